"""Take over what Gradio's own loggers wrote, files included, into a directory of format 1.

What becomes of a log: its columns are the components' by their labels, then the reason, the user name and the time
where any row has them, and an `id`. A column is a `file` column if a cell of it is a file in the source; `json` if
all its cells are numbers, bools, lists or objects, or some hold files; else `text`. The text of a cell stays as it is,
save that Gradio's `'` is taken off, `True` becomes `true`, and file names become ours. A local time becomes UTC by this
machine's time zone.

The `id` is made of the row's text alone, and of how many rows like it stand before it. So a row that was adopted once
is known again, from wherever its log was copied to, and also after the bookkeeping of the target was deleted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path
from uuid import UUID, uuid5

from .bookkeeping import Books, read_schema
from .cells import Cell, FileCell, StagedFile, cell_of, parse_json, text_cell
from .columns import Column, Kind, Role, components_of, name_columns
from .errors import FlagplusError
from .files import Staging
from .gradio_cells import GONE, Source, Survey, as_json, safe_extension, with_files
from .gradio_logs import GradioLog, GradioRow, Misfit, find_logs
from .log import CsvLog, Entry
from .reader import Flag, read_flags

logger = logging.getLogger("gradio_flagplus")


class NothingToAdopt(FlagplusError, ValueError):
    """Raised if there is no log of Gradio's to be found, or the source is the target. Nothing was written."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"'{path}' {why}")


@dataclass(slots=True)
class Adopted:
    """What became of the rows: taken over now, there from before, left out because nobody can tell what they say."""

    rows: int = 0
    known: int = 0
    left_out: int = 0
    files: int = 0
    missing: int = 0


def adopt_logs(
    source: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    warn: Callable[[str], None] = logger.warning,
    progress: Callable[[int], None] | None = None,
) -> Adopted:
    """Append every row of Gradio's logs in `source` (a flagging directory, or one log) to the flags in `directory`.

    When it returns, all of them are there and durable, in the order of the source, each as one flag. When it raises,
    what was taken over so far stays, and the next call goes on from there: nothing is ever added twice. The source is
    only read; only files inside it are copied. A file that is gone leaves an empty cell, and `warn` is told, as it is
    of each row that is left out. `progress` is called with the rows looked at so far.

    Raises `NothingToAdopt`, `LogBusy` or `LogNotWritable`.
    """
    folder, logs = _sources(Path(source), Path(directory))
    known = known_ids(directory)
    taker = _Taker(Source(folder), CsvLog(directory), warn)
    plans = _plans(folder, logs, Path(directory))
    seen, looked = Counter[bytes](), 0
    for log in logs:
        for row in log.rows():
            looked += 1
            if progress is not None:
                progress(looked)
            if isinstance(row, Misfit):
                taker.result.left_out += 1
                warn(f"'{log.path}', row {row.place}, was left out: {row.why}.")
            elif (name := _name(log, row, seen)) in known:
                taker.result.known += 1
            else:
                taker.take(log, row, name, plans[log.components])
    return taker.result


def _sources(source: Path, directory: Path) -> tuple[Path, list[GradioLog]]:
    """The folder that the files lie in, and the logs that have rows to take."""
    if not source.exists():
        raise NothingToAdopt(source, "is not there.")
    folder, paths = (source, find_logs(source)) if source.is_dir() else (source.parent, [source])
    if os.path.realpath(folder) == os.path.realpath(directory):
        raise NothingToAdopt(source, "is the directory to adopt into as well; name another, the source stays as it is.")
    logs = [log for log in map(GradioLog, paths) if log.header]
    if not logs:
        raise NothingToAdopt(source, "holds no log that Gradio's own loggers write: dataset*.csv, log.csv or logs.csv.")
    for log in logs:
        if log.headless:
            raise NothingToAdopt(log.path, "has no header that ends in 'timestamp', so nobody can tell its columns.")
    return folder, logs


@dataclass(frozen=True, slots=True)
class _Plan:
    """The columns of the rows with these components: those of the components, and the meta columns in use."""

    components: tuple[Column, ...]
    metas: dict[str, Column]


def _plans(folder: Path, logs: Sequence[GradioLog], directory: Path) -> dict[tuple[str, ...], _Plan]:
    """Look through all rows once: what is a column, if no cell of it is to be an exception?"""
    source, surveys, used = Source(folder), dict[tuple[str, ...], list[Survey]](), dict[tuple[str, ...], set[str]]()
    for log in logs:
        columns = surveys.setdefault(log.components, [Survey(source, label) for label in log.components])
        metas = used.setdefault(log.components, {"id"})
        for row in log.rows():
            if isinstance(row, Misfit):
                continue
            for survey, cell in zip(columns, row.cells, strict=True):
                survey.take(cell)
            metas.update(name for name, value in _metas(row).items() if value)
    before = [components_of(columns) for columns in read_schema(Books.of(directory)).values()]
    return {labels: _plan(labels, surveys[labels], used[labels], before) for labels in surveys}


def _metas(row: GradioRow) -> dict[str, str]:
    when = row.timestamp.astimezone(timezone.utc).isoformat() if row.timestamp else ""
    return {"flag": row.reason, "username": row.username, "timestamp": when}


_META_ROLES: dict[str, Role] = {
    "flag": "reasons",
    "comment": "comment",
    "username": "username",
    "id": "id",
    "timestamp": "timestamp",
}


def _plan(
    labels: tuple[str, ...], surveys: Sequence[Survey], used: set[str], before: Sequence[tuple[Column, ...]]
) -> _Plan:
    # Named together, as FlagLogger does it, so that an app with these components goes on in the same log.
    metas = [Column(name, "text", role) for name, role in _META_ROLES.items()]
    columns = [Column(label, survey.kind()) for label, survey in zip(labels, surveys, strict=True)]
    named = name_columns([*columns, *metas])
    components = _as_before(named[: len(labels)], before)
    return _Plan(
        components,
        {meta.name: column for meta, column in zip(metas, named[len(labels) :], strict=True) if meta.name in used},
    )


def _as_before(columns: tuple[Column, ...], before: Sequence[tuple[Column, ...]]) -> tuple[Column, ...]:
    """The kinds that these columns have in a log of the target, where every cell can be kept under them, too."""
    for others in reversed(before):
        if [c.name for c in others] == [c.name for c in columns] and all(map(_holds, others, columns)):
            return others
    return columns


def _holds(old: Column, new: Column) -> bool:
    return old.kind == new.kind or new.kind == "text" or (new.kind == "json" and old.kind == "file")


def known_ids(directory: str | os.PathLike[str]) -> set[str]:
    """The ids of all flags in `directory`; empty where there is none yet."""
    if not os.path.isdir(directory):
        return set()
    return {text for flag in read_flags(directory) for text in _ids(flag)}


def _ids(flag: Flag) -> Iterator[str]:
    return (text for column, text in zip(flag.columns, flag.texts, strict=False) if column.role == "id" and text)


def _name(log: GradioLog, row: GradioRow, seen: Counter[bytes]) -> str:
    """The id of a row: the same for the same text under the same labels, and another for each row that repeats it."""
    digest = hashlib.sha256(json.dumps([log.components, row.raw]).encode()).digest()
    seen[digest] += 1
    return str(uuid5(_NAMESPACE, f"{digest.hex()}/{seen[digest]}"))


_NAMESPACE = UUID("d1a0c9a6-0f5b-5d0e-9b43-6d6b7e1f9a52")


class _Taker:
    """Takes rows over, one flag each."""

    def __init__(self, source: Source, target: CsvLog, warn: Callable[[str], None]) -> None:
        self._source, self._target, self._warn = source, target, warn
        self.result = Adopted()

    def take(self, log: GradioLog, row: GradioRow, name: str, plan: _Plan) -> None:
        """Append one row to the target."""
        texts = {**_metas(row), "id": name}
        with self._target.staging() as staging:
            cells = [
                _Cells(self._source, staging, label, lambda why: self._lost(log, row, why)).cell(cell, column.kind)
                for label, cell, column in zip(log.components, row.cells, plan.components, strict=True)
            ]
            metas = {column: texts[meta] for meta, column in plan.metas.items()}
            self._target.append(Entry(plan.components, cells, metas))
        self.result.rows += 1
        self.result.files += sum(len(cell.files) for cell in cells if isinstance(cell, FileCell))

    def _lost(self, log: GradioLog, row: GradioRow, name: str) -> None:
        self.result.missing += 1
        self._warn(f"'{log.path}', row {row.place}: the file '{name}' is not there; its cell is left empty.")


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells of one column of one row, with files of theirs brought into staging."""

    source: Source
    staging: Staging
    label: str
    lost: Callable[[str], None]

    def cell(self, text: str, kind: Kind) -> Cell:
        """The cell for what Gradio wrote."""
        if not text or kind == "text":
            return text
        as_data = as_json(text)
        if as_data is None:
            found = self._find(text)
            return text_cell(text, kind) if found is None else cell_of(self._stage(found, text), kind)
        if as_data[0] not in "[{":
            return as_data
        touched: list[Path] = []

        def put(path: Path, name: str) -> object:
            touched.append(path)
            return self._stage(path, name)

        tree = with_files(parse_json(as_data), self._find, put)
        return cell_of(tree, kind) if touched else as_data  # untouched JSON stays to the letter what it is

    def _find(self, text: str) -> Path | None:
        return self.source.find(text, self.label)

    def _stage(self, path: Path, name: str) -> StagedFile | None:
        file = None if path is GONE else self.source.open(path)
        if file is None:
            self.lost(name)
            return None
        with file:
            return self.staging.copy(file, safe_extension(path.name), os.path.basename(name) or path.name)
