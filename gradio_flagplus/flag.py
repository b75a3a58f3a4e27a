"""Flag: one flag, as values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import repeat
from pathlib import Path
from typing import Any

from .columns import Column
from .layout import Layout, own_files, typed


class Batch:
    """Rows of one log that were read together. What their values need is worked out when one of them is asked."""

    __slots__ = ("directory", "first", "layout", "log", "pending", "ready", "rows")

    def __init__(self, directory: Path, log: str, layout: Layout, first: int, rows: Sequence[Sequence[str]]) -> None:
        self.directory, self.log, self.layout, self.first, self.rows = directory, log, layout, first, rows
        self.ready: list[dict[str, Any]] | None = None  # for each row what `layout.names` hold
        self.pending: list[tuple[str, Column]] = []  # the columns of which that is still text

    def values(self, row: int, number: int) -> dict[str, Any]:
        """The values of the row with this place in the log. To be asked once for each row."""
        if self.ready is None:
            found, self.pending = self.layout.ready(self.rows)
            self.ready = list(map(dict, map(zip, repeat(self.layout.names), found)))
        values = self.ready[row - self.first]
        for name, column in self.pending:
            if (text := values[name]) is not None:
                values[name] = typed(text, column, str(self.directory), number)
        return values


class Flag:
    """One flag: what stood in its row, as values.

    `number` is its number in the directory, `row` its place in its log (0 for the first row). `columns` and `texts`
    are the row as it is: what the header means, and the text of each cell, in that order.
    """

    __slots__ = ("_batch", "_values", "number", "row")

    def __init__(
        self,
        directory: str | os.PathLike[str],
        number: int,
        log: str,
        row: int,
        columns: Sequence[Column],
        texts: Sequence[str],
    ) -> None:
        layout = columns if isinstance(columns, Layout) else Layout(columns)
        self._batch = Batch(Path(os.path.abspath(directory)), log, layout, row, [texts])
        self._values: dict[str, Any] | None = None
        self.number, self.row = number, row

    @property
    def texts(self) -> Sequence[str]:
        """The text of each cell of the row, in the order of the columns."""
        return self._batch.rows[self.row - self._batch.first]

    @property
    def directory(self) -> Path:
        """The flagging directory, absolute."""
        return self._batch.directory

    @property
    def log(self) -> str:
        """The name of the flag's log."""
        return self._batch.log

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the columns of the flag's log hold."""
        return self._batch.layout

    @property
    def values(self) -> Mapping[str, Any]:
        """The value of each component column, and of the extra columns, the original names and the id.

        Text as it was flagged, numbers, bools and JSON structures, None for an empty cell. A file is an absolute
        `Path`, whether or not it is still there; inside JSON the paths of the flag's own files are absolute text. A
        remote file is its URL, as text. A path that leads outside the directory is None. Without bookkeeping, text
        that is no path of ours stays text: what it was cannot be known.
        """
        if self._values is None:
            self._values = self._batch.values(self.row, self.number)
        return self._values

    def __getitem__(self, column: str) -> Any:
        """`values[column]`. Raises `KeyError`, with the names there are."""
        try:
            return self.values[column]
        except KeyError:
            raise KeyError(f"flag {self.number} has no column {column!r}; it has {list(self.values)!r}") from None

    def __repr__(self) -> str:
        return f"<Flag {self.number} of '{self.log}': {dict(self.values)!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flag):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((self.number, self.log, self.row))

    def _identity(self) -> tuple[object, ...]:
        return str(self.directory), self.number, self.log, self.row, self._batch.layout, tuple(self.texts)

    def _text(self, role: str) -> str | None:
        place = self._batch.layout.place(role)
        return None if place is None else self.texts[place] or None

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons given, from a joined column or from one-hot ones."""
        return self._batch.layout.reasons(self.texts)

    @property
    def comment(self) -> str | None:
        """The comment, or None."""
        return self._text("comment")

    @property
    def username(self) -> str | None:
        """Who flagged, or None."""
        return self._text("username")

    @property
    def timestamp(self) -> datetime | None:
        """When it was flagged, aware of its time zone; None where there is no time, or none that can be read."""
        return moment_of(self._text("timestamp") or "")

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the directory that the flag names, absolute, in the order of the columns; there or not."""
        values, directory = self.values, str(self.directory)
        return tuple(
            Path(path)
            for name, column in self._batch.layout.typed
            for path in own_files(values[name], column, directory, self.number)
        )


class ReadFlag(Flag):
    """A flag as the reader makes it, a million times: it holds where it stands, and nothing else until it is asked."""

    __slots__ = ()

    def __init__(self, batch: Batch, number: int, row: int) -> None:
        self._batch, self.number, self.row, self._values = batch, number, row, None


def moment_of(text: str) -> datetime | None:
    """The moment that an ISO 8601 text means, in UTC where it names no zone; None where it is none."""
    try:
        moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in ("Z", "z") else text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
