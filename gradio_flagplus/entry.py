"""One flag on its way into a log: what is handed in, what waits for the lock, what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, cast

from . import files, record
from .cells import Cell, FileCell
from .columns import Column
from .errors import WrongValues
from .logfile import LogFile


class Entry(NamedTuple):
    """One flag on its way in: a cell for each component column, and the meta columns that it needs."""

    components: tuple[Column, ...]
    cells: Sequence[Cell]
    meta: Mapping[Column, str] = MappingProxyType({})


class Receipt(NamedTuple):
    """Where a flag went: its number, the flags in the directory now, and what stands in which log and row."""

    number: int
    total: int
    log: str
    row: int
    columns: tuple[Column, ...]
    texts: tuple[str, ...]


class Row(NamedTuple):
    """A flag that has its number: its record's bytes, and the text of its cells."""

    ticket: Ticket
    number: int
    row: int
    data: bytes
    texts: tuple[str, ...]


class Ticket:
    """One caller's place in the queue: what to write, and what became of it."""

    __slots__ = ("entry", "error", "fields", "made", "meta", "names_files", "published", "receipt")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        # Encoded before any lock is taken; cells that name files wait for their number.
        self.fields = [b"" if isinstance(cell, FileCell) else record.field(cell) for cell in entry.cells]
        self.meta = {column: record.field(text) for column, text in entry.meta.items()}
        self.names_files = any(isinstance(cell, FileCell) for cell in entry.cells)
        self.published: list[tuple[Path, Path]] = []
        self.made: list[Path] = []
        self.receipt: Receipt | None = None
        self.error: Exception | None = None

    def files(self) -> Iterator[tuple[Column, FileCell]]:
        """The cells that name files, each with its column."""
        for column, cell in zip(self.entry.components, self.entry.cells, strict=True):
            if isinstance(cell, FileCell):
                if not column.folder:
                    raise WrongValues(f"{column.name!r} holds no files, but was flagged with one. Nothing was written.")
                yield column, cell

    def row(self, log: LogFile, number: int, row: int) -> Row:
        """This flag's record in `log`, under its number."""
        fields, texts = self.fields, cast("list[str]", self.entry.cells)
        if self.names_files:
            fields, texts = fields.copy(), self._texts(number)
            for place, cell in enumerate(self.entry.cells):
                if isinstance(cell, FileCell):
                    fields[place] = record.field(texts[place])
        metas = log.columns[len(fields) :]
        data = record.record([*fields, *(self.meta.get(column, b"") for column in metas)])
        told = (*texts, *(self.entry.meta.get(column, "") for column in metas))
        return Row(self, number, row, data, told)

    def _texts(self, number: int) -> list[str]:
        """The texts of the component cells, once the flag has its number."""
        return [
            cell.text(column.folder, number) if isinstance(cell, FileCell) else cell
            for column, cell in zip(self.entry.components, self.entry.cells, strict=True)
        ]

    def withdraw(self) -> None:
        """Take the files back. What cannot be taken back is an orphan, which `check` finds."""
        for staged, target in self.published:
            with suppress(OSError):
                files.withdraw(staged, target)
        files.remove_empty(reversed(self.made))
        self.published, self.made = [], []
