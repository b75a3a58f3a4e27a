"""The logs of a directory, open for reading: their rows, and the rows' numbers. No lock is taken."""

from __future__ import annotations

import csv
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from . import record
from .bookkeeping import TAIL, Books, LogNames, LogNote, Numbers, read_numbers, read_schema, read_state
from .errors import FlagplusError
from .layout import Claim, Layout, layout_of

_CHUNK = 1 << 16
_ROWS = 128  # so few that they are gone before the garbage collector looks at them twice
REVIEWS = LogNames("reviews.csv")
"""The names of the logs that hold reviews, and so no flags."""


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
    return [directory / name for name in sorted(there) if not REVIEWS.place(name)]


def _families(log_name: str | None, books: Books) -> Iterator[list[LogNames]]:
    if log_name is not None:
        yield [LogNames(log_name)]
        return
    state = read_state(books)
    known = [*read_schema(books), *(state.logs if state else ())]
    yield [LogNames(name) for name in dict.fromkeys(map(first_name, known)) if name != REVIEWS.first]
    yield [LogNames("logs.csv"), LogNames("log.csv")]


def first_name(name: str) -> str:
    """The log name that `name` is a successor of: `logs.csv` for `logs-2.csv`."""
    stem, _, suffix = name.rpartition(".")
    first, _, place = stem.rpartition("-")
    if first and place.isascii() and place.isdigit() and LogNames(f"{first}.{suffix}").place(name):
        return f"{first}.{suffix}"
    return name


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A log that is open for reading, up to the size it had then."""

    path: Path
    file: BinaryIO
    size: int
    header: list[str]
    layout: Layout
    first: int
    """The number of its first row, where no other is noted."""
    note: LogNote | None
    """What was noted of it, if the log is as it was then, or has only grown since."""

    def count(self) -> int:
        """How many rows it has. Of what was noted nothing is read."""
        if self.note is not None:
            return self.note.rows + record.scan(self.file, self.note.size, self.size).records
        return max(0, record.scan(self.file, 0, self.size).records - 1)

    def batches(self) -> Iterator[tuple[list[list[str]], bytes]]:
        """Its rows, some at a time, as they are, and their bytes."""
        header = 1
        for block, ends in record.blocks(self.file, 0, self.size, chunk=_CHUNK):
            bounds = [0, *ends]
            for first in range(header, len(ends), _ROWS):
                part = bounds[first : first + _ROWS + 1]
                raw = block[part[0] : part[-1]]
                yield _split(raw, [end - part[0] for end in part[1:]]), raw
            header = 0

    def padded(self, rows: list[list[str]]) -> list[list[str]]:
        """The rows with a cell for every column."""
        width = len(self.layout)
        if rows and min(map(len, rows)) < width:
            return [row + [""] * (width - len(row)) for row in rows]
        return rows


def _split(raw: bytes, ends: list[int]) -> list[list[str]]:
    """The cells of the records in `raw` that end at `ends`: at the commas where there are no quotes, else by `csv`.

    One by one where `csv` does not see the same records: a cell is longer than its limit, somebody's editor left a
    stray quote or `CR`.
    """
    if b'"' not in raw and raw.count(b"\r\n") == raw.count(b"\r") == len(ends):
        lines = raw.decode("utf-8", "replace").split("\r\n")
        lines.pop()
        rows = [line.split(",") for line in lines]
    else:
        lines = [str(raw[a:b], "utf-8", "replace") for a, b in zip([0, *ends], ends, strict=False)]
        try:
            rows = list(csv.reader(lines))
        except csv.Error:
            rows = []
        if len(rows) != len(lines):
            return [record.decode(raw[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    if b"'" in raw:
        for place, line in enumerate(lines):
            if "'" in line:
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


def open_logs(stack: ExitStack, directory: Path, log_name: str | None, books: Books) -> list[OpenLog]:
    """Every log that has a header, oldest first, up to its size at this moment; `stack` closes them.

    Raises `FlagplusError` if the directory or one of its logs cannot be read.
    """
    schema, state, numbers = read_schema(books), read_state(books), read_numbers(books)
    opened: list[OpenLog] = []
    for path in log_paths(directory, log_name, books):
        if (file := _opened(path)) is None:
            continue
        stack.enter_context(file)
        if (header := header_of(file)) is None:
            continue
        size, note = os.fstat(file.fileno()).st_size, state.logs.get(path.name) if state else None
        # A later log whose rows are not noted to begin anywhere goes on behind the others.
        first = 0 if not opened or numbers.of(path.name, 0) else sum(log.count() for log in opened)
        layout = layout_of(header, schema.get(path.name, ()))
        opened.append(OpenLog(path, file, size, header, layout, first, note if is_noted(file, size, note) else None))
    return opened


def _opened(path: Path) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FlagplusError(f"'{path}' cannot be read: {error.strerror}. Nothing was changed.") from error


class Counting:
    """The numbers of a log's rows: what is noted of them, put right by what their files bear."""

    def __init__(self, log: OpenLog, numbers: Numbers) -> None:
        self._name, self._numbers, self._claims, self._certain = (
            log.path.name,
            numbers,
            log.layout.claims,
            log.note is not None,
        )
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
