"""Follow a log that grows: where its records are and where each cell begins, found at memory speed, each byte once."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import record

Offsets = np.ndarray[Any, np.dtype[np.int64]]
_TAIL = 4096
_COMMA, _QUOTE = 0x2C, 0x22


class Rewritten(Exception):
    """Raised if what was read of a log before is not what it holds now."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole records that stand in one piece: their bytes, and where each one starts and ends within these."""

    place: int
    data: bytes
    starts: Offsets
    ends: Offsets

    def columns(self, width: int, wanted: Sequence[int]) -> list[list[bytes]]:
        """For each of these columns its cells, as they stand in the file; nothing for a missing cell."""
        commas = self._commas()
        first = np.searchsorted(commas, self.starts)
        found = np.searchsorted(commas, self.ends) - first
        if not (found == width - 1).all():
            return self._ragged_columns(wanted)
        data, spans = self.data, (self._span(commas, first, width, column) for column in wanted)
        return [[data[a:b] for a, b in zip(start.tolist(), end.tolist(), strict=True)] for start, end in spans]

    def _commas(self) -> Offsets:
        """The commas that stand between two cells: those with an even number of quotes before them."""
        bytes_ = np.frombuffer(self.data, np.uint8)
        commas, quotes = np.flatnonzero(bytes_ == _COMMA), np.flatnonzero(bytes_ == _QUOTE)
        return commas[np.searchsorted(quotes, commas) % 2 == 0] if quotes.size else commas

    def _span(self, commas: Offsets, first: Offsets, width: int, column: int) -> tuple[Offsets, Offsets]:
        start = self.starts if column == 0 else commas[first + column - 1] + 1
        if column < width - 1:
            return start, commas[first + column]
        bytes_ = np.frombuffer(self.data, np.uint8)
        returns = bytes_[np.maximum(self.ends - 2, 0)] == 0x0D
        return start, np.maximum(self.ends - 1 - returns, start)

    def _ragged_columns(self, wanted: Sequence[int]) -> list[list[bytes]]:
        """The slow way, for a log in which somebody left rows of another width."""
        spans = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        rows = [record.decode(self.data[start:end]) for start, end in spans]
        return [[record.field(cells[column]) if column < len(cells) else b"" for cells in rows] for column in wanted]


def text_of(cell: bytes) -> str:
    """The text of one cell as it stands in the file."""
    return record.decode(cell)[0]


class Follower:
    """Reads on in a file from where it stopped. `end` is how far it has read: whole records only."""

    def __init__(self, path: Path) -> None:
        self.path, self.end = path, 0
        self._identity: tuple[int, int] | None = None
        self._seen = (-1, -1)
        self._tail = 0

    def news(self) -> Iterator[Stretch]:
        """The whole records that were added since the last call.

        Raises `Rewritten` if what was read before has changed, and `OSError` if the file cannot be read.
        """
        with open(self.path, "rb") as file:
            self._expect_the_same(file)
            for found in record.lines(file, self.end):
                data = b"".join(found)
                ends = np.cumsum(np.fromiter(map(len, found), np.int64, len(found)))
                place, self.end = self.end, self.end + len(data)
                self._tail = zlib.crc32(data[-_TAIL:]) if len(data) >= _TAIL else self._checksum(file)
                yield Stretch(place, data, np.concatenate([[0], ends[:-1]]), ends)

    def has_news(self) -> bool:
        """Whether the file was written to since the last call of `news`, or is another one. Raises `OSError`."""
        found = os.stat(self.path)
        return (found.st_size, found.st_mtime_ns) != self._seen or (found.st_dev, found.st_ino) != self._identity

    def _expect_the_same(self, file: BinaryIO) -> None:
        found = os.fstat(file.fileno())
        identity = (found.st_dev, found.st_ino)
        if self._identity is not None and (
            identity != self._identity or found.st_size < self.end or self._checksum(file) != self._tail
        ):
            raise Rewritten(self.path)
        self._identity, self._seen = identity, (found.st_size, found.st_mtime_ns)

    def _checksum(self, file: BinaryIO) -> int:
        start = max(0, self.end - _TAIL)
        file.seek(start)
        return zlib.crc32(file.read(self.end - start))
