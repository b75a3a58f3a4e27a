"""check: a flagging directory against the order rule, and what can be mended of it.

The rule: a row never names a file that is not there; a file without a row is garbage; nothing else can happen.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import record
from .bookkeeping import Books, LogNote, State, parse_state, read_numbers, read_schema, read_state
from .columns import Column
from .errors import LogNotWritable
from .files import staged_by
from .flag import Batch, Flag, ReadFlag
from .log import CsvLog
from .rows import REVIEWS, Counting, OpenLog, first_name, log_paths, open_logs

BEYOND_MENDING = ("missing file", "outside path", "ragged row", "foreign header")
"""The kinds of problems that a person must see to."""

KINDS = (*BEYOND_MENDING, "orphan file", "torn tail", "stale staging", "bookkeeping")
"""All kinds of problems."""

_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as the format has it: what, where, in which row (0 for the first), and a sentence."""

    kind: str
    path: Path
    row: int | None
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def check(flagging_dir: str | os.PathLike[str], *, fix: bool = False) -> list[Problem]:
    """What is wrong in a flagging directory; an empty list if nothing is, or there are no logs.

    The writers' lock is held while it looks, so that an app may go on flagging meanwhile: its flags wait. Where
    nothing may be written, it looks without the lock.

    - `missing file`: a row names a file that is not there. `outside path`: one that is not in the directory.
    - `orphan file`: a file bears a flag's number, in the folder of a column, and no row names it.
    - `torn tail`: what follows the last whole row of a log is none. `ragged row`: a row has too few cells or too many.
    - `foreign header`: a log's header is not the one that was noted. `bookkeeping`: what was noted is not so.
    - `stale staging`: a file on its way in whose process is gone, or that is older than a day.

    With `fix` it returns the same, and has mended what can be mended: orphans moved to `.flagplus/torn/orphans/`, torn
    tails to `.flagplus/torn/`, the bookkeeping made anew, stale staging removed. A missing file, an outside path, a
    ragged row and a foreign header stay as they are, and a second check tells of nothing else. No row of a log is ever
    changed, and no file that does not bear a flag's number is touched.

    Raises `FlagplusError` if the directory cannot be read, `LogBusy` if another process holds the lock too long, and
    `LogNotWritable` if `fix` may not write.
    """
    directory = Path(os.path.abspath(flagging_dir))
    problems: list[Problem] = []
    for shelf in _shelves(directory):
        with shelf.locked(must=fix):
            found = shelf.problems()
            if fix:
                shelf.mend(found)
        if fix and any(problem.kind in ("torn tail", "bookkeeping") for problem in found):
            shelf.log.mend()
        problems += found
    return problems


def _shelves(directory: Path) -> Iterator[_Shelf]:
    """The flags of the directory and the reviews, each with bookkeeping of its own."""
    books = Books.of(directory)
    names = [*(path.name for path in log_paths(directory)), *read_schema(books)]
    if names:
        yield _Shelf(directory, books, first_name(names[0]), None)
    books = Books(Books.of(directory).folder / "reviews")
    if log_paths(directory, REVIEWS.first, books):
        yield _Shelf(directory, books, REVIEWS.first, REVIEWS.first)


class _Shelf:
    """One kind of logs with its bookkeeping."""

    def __init__(self, directory: Path, books: Books, first: str, log_name: str | None) -> None:
        self.directory, self.books, self._log_name = directory, books, log_name
        self.log = CsvLog(directory, log_name=first, books=books)

    @contextmanager
    def locked(self, *, must: bool) -> Iterator[None]:
        """The writers' lock; none where it cannot be had because nothing may be written, unless it must."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self.log.locked())
            except LogNotWritable:
                if must:
                    raise
            yield

    def problems(self) -> list[Problem]:
        """Everything that is found. The lock is held."""
        found = _Files(self.directory)
        for columns in read_schema(self.books).values():
            found.expect(columns)  # a crash at the first flag leaves files, and no log yet
        with ExitStack() as stack:
            logs = open_logs(stack, self.directory, self._log_name, self.books)
            problems = [problem for log in logs for problem in self._of_log(log, found)]
        if self._log_name is None:
            problems += found.orphans()
        return [*problems, *self._torn_headers(logs), *self._of_books(), *self._of_staging()]

    def _torn_headers(self, logs: list[OpenLog]) -> Iterator[Problem]:
        for path in log_paths(self.directory, self._log_name, self.books):
            if path not in [log.path for log in logs] and (size := path.stat().st_size):
                yield Problem("torn tail", path, None, f"'{path.name}' holds {size} bytes that are no whole header.")

    # ---- one log

    def _of_log(self, log: OpenLog, files: _Files) -> Iterator[Problem]:
        noted = read_schema(self.books).get(log.path.name)
        if noted is not None and [column.name for column in noted] != log.header:
            yield Problem(
                "foreign header", log.path, None,
                f"'{log.path.name}' has the header {log.header!r}; noted was {[column.name for column in noted]!r}.",
            )  # fmt: skip
        row, counting = 0, Counting(log, read_numbers(self.books))
        files.expect(log.layout)
        for rows, raw in log.batches():
            yield from _ragged(log, rows, row)
            padded = log.padded(rows)
            yield from files.named(log, padded, raw, row, counting.numbers(padded, raw))
            row += len(rows)
        end = record.scan(log.file, 0, log.size).end
        if end < log.size:
            yield Problem(
                "torn tail", log.path, row,
                f"'{log.path.name}' ends in {log.size - end} bytes that are no whole row.",
            )  # fmt: skip
        yield from self._of_note(log, end, row)

    def _of_note(self, log: OpenLog, end: int, rows: int) -> Iterator[Problem]:
        state = read_state(self.books)
        if state is None:
            return
        note, name = state.logs.get(log.path.name), log.path.name
        if note is None:
            said = "nothing is noted of it"
        elif log.note is None:
            said = "it is not the file that was noted: somebody edited or replaced it"
        elif (note.size, note.rows) != (end, rows):
            said = f"noted are {note.rows} rows in {note.size} bytes"
        else:
            return
        yield Problem("bookkeeping", self.books.state, None, f"'{name}' has {rows} rows in {end} bytes; {said}.")

    # ---- the bookkeeping

    def _of_books(self) -> Iterator[Problem]:
        state, schema = self.books.state, self.books.schema
        if os.path.exists(schema) and not _is_schema(self.books):
            yield Problem(
                "bookkeeping", schema, None, "'schema.json' cannot be read: the columns' kinds are not known."
            )
        with suppress(FileNotFoundError):
            raw = state.read_bytes()
            if parse_state(raw) is None:
                yield Problem(
                    "bookkeeping", state, None, "'state' cannot be read: how far the logs were whole is not known."
                )
        noted = read_state(self.books)
        for name in noted.logs if noted else ():
            if not os.path.lexists(self.directory / name):
                yield Problem("bookkeeping", state, None, f"'{name}' is noted and not there.")

    def _of_staging(self) -> Iterator[Problem]:
        for path in _entries(self.books.staging):
            if _is_stale(path):
                yield Problem("stale staging", path, None, f"'{path.name}' was on its way in, and its process is gone.")
        for path in _entries(self.books.folder):
            if _DRAFT.fullmatch(path.name) and _is_old(path):
                yield Problem("stale staging", path, None, f"'{path.name}' was never put in its place.")

    # ---- mending

    def mend(self, problems: list[Problem]) -> None:
        """What can be mended while the lock is held. The logs themselves mend themselves, under a lock of their own."""
        try:
            for problem in problems:
                if problem.kind == "orphan file":
                    self._set_aside(problem.path, "orphans", problem.path.parent.name)
                elif problem.kind == "stale staging":
                    _remove(problem.path)
                elif problem.path == self.books.schema:
                    self._set_aside(problem.path, "")
            if any(problem.path == self.books.state for problem in problems):
                self._forget_notes()
        except OSError as error:
            raise LogNotWritable(error.filename or self.directory, error) from error

    def _set_aside(self, path: Path, *folders: str) -> None:
        target = self.books.torn.joinpath(*folders, path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            target = target.with_name(f"{target.name}-{time.time_ns()}")
        os.rename(path, target)

    def _forget_notes(self) -> None:
        """Keep of the state what is so, and the next number in any case: no number is ever given twice."""
        state = read_state(self.books) or State(0)
        with ExitStack() as stack:
            logs = open_logs(stack, self.directory, self._log_name, self.books)
            right = {log.path.name: log.note for log in logs if log.note is not None and _is_right(log, log.note)}
        self.books.state.write_bytes(State(state.next, right).line())


def _ragged(log: OpenLog, rows: list[list[str]], first: int) -> Iterator[Problem]:
    width = len(log.header)
    if rows and (min(map(len, rows)) < width or max(map(len, rows)) > width):
        for row, texts in enumerate(rows, first):
            if len(texts) != width:
                yield Problem(
                    "ragged row", log.path, row,
                    f"row {row} of '{log.path.name}' has {len(texts)} cells; the header has {width}.",
                )  # fmt: skip


def _is_right(log: OpenLog, note: LogNote) -> bool:
    return record.scan(log.file, 0, note.size) == record.Scan(note.rows + 1, note.size)


def _is_schema(books: Books) -> bool:
    with suppress(OSError):
        return bool(read_schema(books)) or books.schema.stat().st_size == 0
    return True


# ---- files


_NUMBERED = re.compile(r"[0-9]+(?:-[0-9]+)?(?:\.[^/\\]*)?")


class _Files:
    """The files that rows name, and those in the columns' folders."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # By folder a hash of each name: a million names would take hundreds of megabytes.
        self._folders: dict[str, array[int]] = {}

    def expect(self, columns: Iterable[Column]) -> None:
        """The columns whose folders hold flags' files."""
        for column in columns:
            if column.role == "component" and column.kind != "text" and column.folder:
                self._folders.setdefault(column.folder, array("q"))

    def named(
        self, log: OpenLog, rows: list[list[str]], raw: bytes, first: int, numbers: Iterable[int]
    ) -> Iterator[Problem]:
        """Take note of the files that these rows name. Yields those that are not there, or not in the directory."""
        layout = log.layout
        claims = [claim for claim in layout.claims if claim.needle in raw]
        for claim in claims:
            # Also what only looks like one of ours: a file that a row may mean is no orphan.
            names = re.findall(re.escape(claim.needle) + rb'([0-9]+(?:-[0-9]+)?(?:\.[^/\\:",\r\n]*)?)', raw)
            self._folders[claim.folder].extend(hash(name.decode("utf-8", "replace")) for name in names)
        if not claims and not any(column.kind == "file" for column in layout):
            return
        batch = Batch(self._directory, log.path.name, layout, first, rows)
        for row, number in enumerate(numbers, first):
            yield from self._of_flag(ReadFlag(batch, number, row), log.path)

    def _of_flag(self, flag: Flag, log: Path) -> Iterator[Problem]:
        for column, text in zip(flag.columns, flag.texts, strict=False):
            if column.kind == "file" and text and flag.values[column.name] is None:
                said = f"row {flag.row} of '{flag.log}' names {text!r}, which leads out of the directory."
                yield Problem("outside path", log, flag.row, said)
        for path in flag.files:
            if (folder := self._folders.get(path.parent.name)) is not None:
                folder.append(hash(path.name))
            if not os.path.isfile(path):
                name = path.relative_to(self._directory).as_posix()
                yield Problem(
                    "missing file",
                    path,
                    flag.row,
                    f"row {flag.row} of '{flag.log}' names '{name}', which is not there.",
                )

    def orphans(self) -> Iterator[Problem]:
        """The files that bear a flag's number and that no row names."""
        for name, hashes in self._folders.items():
            folder = self._directory / name
            if folder.is_symlink():
                continue
            known = np.append(np.unique(np.frombuffer(hashes, np.int64)), np.iinfo(np.int64).max)
            for path in _entries(folder):
                own = _NUMBERED.fullmatch(path.name) and path.is_file() and not path.is_symlink()
                if own and known[np.searchsorted(known, hash(path.name))] != hash(path.name):
                    yield Problem("orphan file", path, None, f"'{name}/{path.name}' is named by no row.")


# ---- staging

_DRAFT = re.compile(r"schema-[0-9]+\.json")


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            yield Path(entry.path)


def _is_stale(path: Path) -> bool:
    """Whether a staged file is nobody's any more. Another machine's, or nobody's, counts as alive for a day."""
    owner = staged_by(path.name)
    return _is_old(path) or (owner is not None and not _is_alive(owner))


def _is_old(path: Path) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > _DAY
    except FileNotFoundError:
        return False


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # os.kill would end it there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
