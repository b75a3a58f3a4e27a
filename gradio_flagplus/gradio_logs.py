"""The logs that Gradio's own loggers left: which files they are, their rows put right, their escapes undone.

`dataset*.csv` is `CSVLogger` of Gradio 5 and 6, `log.csv` the same of 4.x and `ClassicCSVLogger`, `logs.csv` what the
guide "Flagging" shows. All are read, none is written here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from . import record
from .bookkeeping import Books, read_schema

_DATASET = re.compile(r"dataset([0-9]*)\.csv")


def find_logs(directory: Path) -> list[Path]:
    """The logs in `directory` that Gradio's loggers name so, oldest first; those that are format 1 are left out."""
    ours = read_schema(Books.of(directory))
    names = [entry.name for entry in os.scandir(directory) if entry.is_file() and entry.name not in ours]
    ranks = {"logs.csv": -2, "log.csv": -1}
    ranks |= {name: int(match[1] or 0) for name in names if (match := _DATASET.fullmatch(name))}
    return [directory / name for name in sorted(set(names) & set(ranks), key=lambda name: (ranks[name], name))]


# gradio.utils.sanitize_value_for_csv, the same in 4.44.1, 5.49.1 and 6.31 for what is no JSON.
_PREFIXES = ("=", "+", "-", "@", "\t", "\n")
_SEQUENCES = re.compile(r",[=+\-@\t\n]")


def undo_escape(cell: str) -> str:
    """The text that Gradio's escape was given; a cell that it cannot have made is returned as it is.

    Gradio puts a `'` before text that begins like a formula or has one behind a comma, and leaves a `'` of the user's
    own alone. So `'-5` is taken for an escaped `-5`, although somebody may have typed it so.
    """
    if not cell.startswith("'"):
        return cell
    rest = cell[1:]
    return rest if rest.startswith(_PREFIXES) or _SEQUENCES.search(rest) else cell


@dataclass(frozen=True, slots=True)
class GradioRow:
    """One flag of such a log. `place` counts rows from 1; `raw` is what stands there; the rest is put right."""

    place: int
    raw: tuple[str, ...]
    cells: tuple[str, ...]
    reason: str = ""
    username: str = ""
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """What cannot be told: a row whose cells fit the header in no way that Gradio's loggers write, or half a row."""

    place: int
    why: str


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a header says of the rows below it."""

    components: tuple[str, ...]
    reason: bool
    username: bool
    timestamp: bool

    @classmethod
    def of(cls, header: Sequence[str]) -> _Shape:
        names, found = list(header), []
        for name in ("timestamp", "username", "flag"):
            found.append(len(names) > 1 and names[-1] == name)
            if found[-1]:
                names.pop()
        return cls(
            tuple(name or f"component {place}" for place, name in enumerate(names)), found[2], found[1], found[0]
        )

    def fit(self, place: int, raw: tuple[str, ...]) -> GradioRow | Misfit:
        """The row, or why it is none.

        CSVLogger writes a reason and a user name into every row that has them, whatever the header says, so a row may
        be one or two cells longer than its header, or shorter. The time stands last and tells a row that is whole.
        """
        cells, when = [undo_escape(cell) for cell in raw], None
        count = len(self.components)
        middle = cells[count : len(cells) - self.timestamp]
        if self.timestamp:
            when = parse_time(cells[-1])
        if len(cells) < count + self.timestamp or len(middle) > 2 or (self.timestamp and when is None):
            return Misfit(place, f"its {len(cells)} cells do not fit the header")
        reason, username = self._middle(middle)
        return GradioRow(place, raw, tuple(cells[:count]), reason, username, when)

    def _middle(self, middle: Sequence[str]) -> tuple[str, str]:
        if len(middle) == 2:
            return middle[0], middle[1]
        if not middle:
            return "", ""
        # One cell alone: the reason where the header has one, else a user who came later than the header.
        return (middle[0], "") if self.reason else ("", middle[0])


def parse_time(text: str) -> datetime | None:
    """The time as Gradio writes it, `str(datetime.now())`: made aware by this machine's time zone."""
    if not re.match(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


class GradioLog:
    """One log of Gradio's, open for reading as often as wanted; memory does not grow with its length."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with open(path, "rb") as file:
            first = next(_records(file), b"")
        # CSVLogger escapes the header of a new dataset file twice.
        times = 2 if _DATASET.fullmatch(path.name) else 1
        self.header = tuple(_undo(cell, times) for cell in split(first)) if first else ()
        self._shape = _Shape.of(self.header)

    @property
    def components(self) -> tuple[str, ...]:
        """The labels of the components."""
        return self._shape.components

    @property
    def headless(self) -> bool:
        """Whether this is a `log.csv` whose first line is no header: `SimpleCSVLogger` writes none."""
        return self.path.name == "log.csv" and not self._shape.timestamp

    def rows(self) -> Iterator[GradioRow | Misfit]:
        """The rows in order; what follows the last line end is half a row, still being written or torn."""
        with open(self.path, "rb") as file:
            place, read = 0, 0
            for place, line in enumerate(_records(file)):
                read += len(line)
                if place and line.strip():
                    yield self._shape.fit(place, tuple(split(line)))
            file.seek(read)
            if file.read(1):
                yield Misfit(place + 1, "it is cut off before its end")


def _undo(cell: str, times: int) -> str:
    for _ in range(times):
        cell = undo_escape(cell)
    return cell


def _records(file: BinaryIO) -> Iterator[bytes]:
    for lines in record.lines(file):
        yield from lines


_FIELD = re.compile(rb'(?:"([^"]*(?:""[^"]*)*)"([^,]*)|([^,]*))(,|\Z)', re.DOTALL)


def split(line: bytes) -> list[str]:
    """The cells of one whole record as they stand there, quotes of CSV taken off and nothing else.

    Our own reading would take Gradio's escapes for ours, which are not quite the same.
    """
    line = line.removeprefix(record.BOM).removesuffix(b"\n").removesuffix(b"\r")
    cells, place, comma = [], 0, b","
    while comma:
        match = _FIELD.match(line, place)
        assert match is not None  # the second form of a field matches anything
        quoted, tail, plain, comma = match.groups()
        cells.append((plain if quoted is None else quoted.replace(b'""', b'"') + tail).decode("utf-8", "replace"))
        place = match.end()
    return cells
