"""read_flags: the flags of a directory, typed, streaming, without a lock.

Nothing here changes the directory, and nothing here loads Gradio.
"""

from __future__ import annotations

import csv
import heapq
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from . import record
from .bookkeeping import TAIL, Books, LogNames, LogNote, Numbers, read_numbers, read_schema, read_state
from .columns import Column
from .errors import FlagplusError
from .examples import example_rows
from .flag import Flag, Origin, ReadFlag
from .frame import frame_of
from .layout import Claim, Layout, layout_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Flag", "FlagLog", "log_paths", "read_flags"]

_CHUNK = 1 << 16  # small enough that the rows of a chunk stay in the processor's cache
_REVIEWS = LogNames("reviews.csv")


def read_flags(
    flagging_dir: str | os.PathLike[str], *, log_name: str | None = None, books: Books | None = None
) -> FlagLog:
    """The flags in `flagging_dir`, of all its logs, in the order of their numbers.

    Nothing is read yet but the directory. A directory without logs has no flags. `log_name` and `books` are for
    other logs that are kept beside the flags, such as `reviews.csv`.

    Raises `FlagplusError` if there is no such directory or it cannot be listed.
    """
    directory = Path(os.path.abspath(flagging_dir))
    log_paths(directory, log_name, books)
    return FlagLog(directory, log_name=log_name, books=books)


def log_paths(directory: Path, log_name: str | None = None, books: Books | None = None) -> list[Path]:
    """The logs in `directory`, oldest first.

    Those that the bookkeeping knows and their successors; where it knows none, `logs.csv` and `log.csv` and theirs;
    where there are none of these, every CSV file. Never the reviews, unless they are asked for.

    Raises `FlagplusError` if the directory cannot be listed.
    """
    books = books or Books.of(directory)
    try:
        with os.scandir(directory) as entries:
            there = [e.name for e in entries if e.name.casefold().endswith(".csv") and e.is_file()]
    except OSError as error:
        raise FlagplusError(
            f"'{directory}' cannot be read: {error.strerror}. Nothing was changed; give the directory that holds the "
            "flags, as an app's flagging_dir."
        ) from error
    for families in _families(log_name, books):
        found = [
            (i, place, name) for name in there for i, family in enumerate(families) if (place := family.place(name))
        ]
        if found:
            return [directory / name for name in dict.fromkeys(name for *_, name in sorted(found))]
    if log_name is not None:
        return []
    return [directory / name for name in sorted(there) if not _REVIEWS.place(name)]


def _families(log_name: str | None, books: Books) -> Iterator[list[LogNames]]:
    if log_name is not None:
        yield [LogNames(log_name)]
        return
    state = read_state(books)
    known = [*read_schema(books), *(state.logs if state else ())]
    yield [LogNames(name) for name in dict.fromkeys(map(_first_name, known)) if name != _REVIEWS.first]
    yield [LogNames("logs.csv"), LogNames("log.csv")]


def _first_name(name: str) -> str:
    """The log name that `name` is a successor of: `logs.csv` for `logs-2.csv`."""
    stem, _, suffix = name.rpartition(".")
    first, _, place = stem.rpartition("-")
    if first and place.isascii() and place.isdigit() and LogNames(f"{first}.{suffix}").place(name):
        return f"{first}.{suffix}"
    return name


@dataclass(frozen=True, slots=True)
class _Open:
    """A log that is open for reading, up to the size it had then."""

    path: Path
    file: BinaryIO
    size: int
    layout: Layout
    first: int
    """The number of its first row, where no other is noted."""
    certain: bool
    """Whether the log is as the bookkeeping noted it, or has only grown since."""

    def batches(self) -> Iterator[tuple[list[list[str]], bytes]]:
        """Its rows, some at a time, each with a cell for every column; and their bytes."""
        width, header = len(self.layout), True
        for lines in record.lines(self.file, 0, self.size, chunk=_CHUNK):
            if header:
                del lines[0]
                header = False
            raw = b"".join(lines)
            rows = _split(lines, raw)
            if rows and min(map(len, rows)) < width:
                rows = [row + [""] * (width - len(row)) for row in rows]
            yield rows, raw


def _split(lines: list[bytes], raw: bytes) -> list[list[str]]:
    """The cells of whole records: by `csv` where it sees the same records, one by one where it does not.

    It does not where a cell is longer than its limit, and where somebody's editor left a stray quote or `CR`.
    """
    texts = [str(line, "utf-8", "replace") for line in lines]
    try:
        rows = list(csv.reader(texts))
    except csv.Error:
        rows = []
    if len(rows) != len(lines):
        return [record.decode(line) for line in lines]
    if b"'" in raw:
        for place, text in enumerate(texts):
            if "'" in text:
                rows[place] = [record.unescape(cell) if cell[:1] == "'" else cell for cell in rows[place]]
    return rows


def is_noted(file: BinaryIO, size: int, note: LogNote | None) -> bool:
    """Whether an open log of this size is as it was noted, or has only grown since."""
    if note is None or not 0 < note.size <= size:
        return False
    start = max(0, note.size - TAIL)
    file.seek(start)
    return zlib.crc32(file.read(note.size - start)) == note.tail


def header_of(file: BinaryIO) -> list[str] | None:
    """The names in the header of an open log, or None where it has no whole one."""
    for lines in record.lines(file, chunk=1 << 14):
        return record.decode(lines[0].removeprefix(record.BOM))
    return None


class FlagLog:
    """The flags of a directory: iterate over it as often as you like, each time anew.

    An iteration gives the flags that were in the logs when it began, in the order of their numbers (in a directory
    without bookkeeping, of the numbers that its files bear), and stops at the last whole row: a torn tail, a file that
    is gone or a row with too few cells raises nothing; `check` tells of them. Writers may be at work meanwhile; no lock
    is taken. Memory stays flat, whatever the logs' length. A row with too few cells reads as if the others were empty.
    """

    def __init__(
        self,
        directory: Path,
        *,
        log_name: str | None = None,
        books: Books | None = None,
        filters: tuple[_Filter, ...] = (),
    ) -> None:
        self.directory = directory
        self._log_name, self._books, self._filters = log_name, books or Books.of(directory), filters

    def __repr__(self) -> str:
        return f"<FlagLog of '{self.directory}'>"

    def _open(self, stack: ExitStack) -> list[_Open]:
        """Every log that has a header, up to its size at this moment."""
        schema, state, numbers = read_schema(self._books), read_state(self._books), read_numbers(self._books)
        opened: list[_Open] = []
        for path in log_paths(self.directory, self._log_name, self._books):
            try:
                file = stack.enter_context(open(path, "rb"))  # noqa: SIM115  the stack closes it
            except FileNotFoundError:
                continue
            except OSError as error:
                raise FlagplusError(f"'{path}' cannot be read: {error.strerror}. Nothing was changed.") from error
            header = header_of(file)
            if header is None:
                continue
            size = os.fstat(file.fileno()).st_size
            note = state.logs.get(path.name) if state else None
            # A later log whose rows are not noted to begin anywhere goes on behind the others.
            first = 0 if not opened or numbers.of(path.name, 0) else sum(map(_count, opened))
            layout = layout_of(header, schema.get(path.name, ()))
            opened.append(_Open(path, file, size, layout, first, is_noted(file, size, note)))
        return opened

    def __iter__(self) -> Iterator[Flag]:
        with ExitStack() as stack:
            logs, numbers = self._open(stack), read_numbers(self._books)
            streams = [self._ordered(log, place, numbers) for place, log in enumerate(logs)]
            merged = (flag for _, _, flag in heapq.merge(*streams))
            for flag in self._flags(logs[0], numbers) if len(logs) == 1 else merged:
                if all(wanted(flag) for wanted in self._filters):
                    yield flag

    def _ordered(self, log: _Open, place: int, numbers: Numbers) -> Iterator[tuple[int, int, Flag]]:
        """The flags of one log, each with what it is merged by: never less than the one before."""
        highest = -1
        for flag in self._flags(log, numbers):
            highest = max(highest, flag.number)
            yield highest, place, flag

    def _flags(self, log: _Open, numbers: Numbers) -> Iterator[Flag]:
        directory, layout, name, row = self.directory, log.layout, log.path.name, 0
        count = _Counting(log, numbers)
        for rows, raw in log.batches():
            ready, pending = layout.ready(rows)
            origin = Origin(directory, name, layout, pending)
            following = count.numbers(rows, raw)
            yield from map(ReadFlag, repeat(origin), following, range(row, row + len(rows)), rows, ready)
            row += len(rows)

    def __len__(self) -> int:
        """How many flags there are. Where the bookkeeping is right, only what it has not noted yet is read.

        With `where` all flags are looked at.
        """
        if self._filters:
            return sum(1 for _ in self)
        state = read_state(self._books)
        with ExitStack() as stack:
            return sum(_count(log, state.logs.get(log.path.name) if state else None) for log in self._open(stack))

    @property
    def schema(self) -> tuple[Column, ...]:
        """The columns of all logs, each name once, as the first log that has it describes it."""
        with ExitStack() as stack:
            columns = [column for log in self._open(stack) for column in log.layout]
        return tuple({column.name: column for column in reversed(columns)}[name] for name in _names(columns))

    @property
    def columns(self) -> tuple[str, ...]:
        """The header names of all logs, each once: those of the first log, then what later ones added."""
        return tuple(column.name for column in self.schema)

    def where(
        self,
        *,
        reason: str | Iterable[str] | None = None,
        username: str | Iterable[str] | None = None,
        since: datetime | date | str | None = None,
    ) -> FlagLog:
        """Those flags for which all of this holds; nothing is read yet. Of several reasons or names any will do.

        `since` is a moment, a day, or ISO 8601 text for either; without a time zone it is meant in local time. Flags
        without a timestamp are not since anything. Raises `ValueError` if `since` is no such text.
        """
        wanted = _Filter(_several(reason), _several(username), None if since is None else _since(since))
        return FlagLog(self.directory, log_name=self._log_name, books=self._books, filters=(*self._filters, wanted))

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame with one row a flag; its index, `number`, has the flags' numbers.

        The columns are those of the logs, with the values of `Flag.values`. Reasons are tuples, in one column where
        the log has them joined or one-hot (`df["flag"].str.join("|").str.get_dummies()` makes one column each);
        comments and names are text, timestamps are `datetime64` in UTC. Raises `ImportError` without pandas.
        """
        return frame_of(self, self.schema)

    def examples(self, inputs: Sequence[Any]) -> list[list[Any]]:
        """The flags as `gr.Interface(examples=…)` and `gr.Examples` take them: one list a flag, one value an input.

        `inputs` are the input components as the Interface has them, or names of columns. Files are absolute paths, as
        text. A flag is left out if a file that it names is not there, or if it has none in a column of files: Gradio
        would not start. An input without a column (a password, an excluded one) gets None.
        """
        return example_rows(self, self.schema, inputs)


class _Counting:
    """The numbers of a log's rows: what is noted of them, put right by what their files bear."""

    def __init__(self, log: _Open, numbers: Numbers) -> None:
        self._name, self._numbers, self._claims, self._certain = log.path.name, numbers, log.layout.claims, log.certain
        self._directory = str(log.path.parent)
        self._row = 0
        self._shift = self._following = log.first

    def numbers(self, rows: list[list[str]], raw: bytes) -> Iterable[int]:
        """Those of the next rows; `raw` is what they were read from."""
        if not rows:
            return ()
        first, last = self._noted(self._row), self._noted(self._row + len(rows) - 1)
        claims = [claim for claim in self._claims if claim.needle in raw]
        if claims or last - first != len(rows) - 1 or first + self._shift != self._following:
            return [self._next(texts, claims) for texts in rows]
        self._row += len(rows)
        self._following += len(rows)
        return range(self._following - len(rows), self._following)

    def _noted(self, row: int) -> int:
        return self._numbers.of(self._name, row)

    def _next(self, texts: list[str], claims: list[Claim]) -> int:
        noted = self._noted(self._row)
        if self._row and noted + self._shift != self._following:
            self._shift = 0  # the bookkeeping says anew which number this row has
        number = noted + self._shift
        for claim in claims:
            if (found := claim.number(texts, number, self._directory, certain=self._certain)) != number:
                self._shift, number = self._shift + found - number, found
                break
        self._row, self._following = self._row + 1, number + 1
        return number


def _count(log: _Open, note: LogNote | None = None) -> int:
    if note is not None and log.certain:
        return note.rows + record.scan(log.file, note.size, log.size).records
    return max(0, record.scan(log.file, 0, log.size).records - 1)


def _names(columns: Iterable[Column]) -> dict[str, None]:
    return dict.fromkeys(column.name for column in columns)


@dataclass(frozen=True, slots=True)
class _Filter:
    """What `where` asks for; None is anything."""

    reasons: frozenset[str] | None
    usernames: frozenset[str] | None
    since: datetime | None

    def __call__(self, flag: Flag) -> bool:
        if self.reasons is not None and self.reasons.isdisjoint(flag.reasons):
            return False
        if self.usernames is not None and flag.username not in self.usernames:
            return False
        return self.since is None or ((moment := flag.timestamp) is not None and moment >= self.since)


def _several(wanted: str | Iterable[str] | None) -> frozenset[str] | None:
    if wanted is None:
        return None
    return frozenset([wanted] if isinstance(wanted, str) else wanted)


def _since(since: datetime | date | str) -> datetime:
    if isinstance(since, str):
        try:
            since = datetime.fromisoformat(f"{since[:-1]}+00:00" if since[-1:] in ("Z", "z") else since)
        except ValueError as error:
            raise ValueError(
                f"since={since!r} is no ISO 8601 time, like '2026-01-31' or '2026-01-31T12:00Z'."
            ) from error
    if not isinstance(since, datetime):
        since = datetime(since.year, since.month, since.day)
    return since if since.tzinfo else since.astimezone()
