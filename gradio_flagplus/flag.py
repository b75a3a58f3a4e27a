"""Flag: one flag, as values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from .columns import Column
from .layout import Layout, own_files, typed


class Origin(NamedTuple):
    """Where flags were read, the same for many of them."""

    directory: Path
    log: str
    layout: Layout
    pending: list[tuple[str, Column]]
    """The columns of `Flag.values` whose values are still texts."""


class Flag:
    """One flag: what stood in its row, as values.

    `number` is its number in the directory, `row` its place in its log (0 for the first row). `columns` and `texts`
    are the row as it is: what the header means, and the text of each cell, in that order.
    """

    __slots__ = ("_origin", "_ready", "_values", "number", "row", "texts")

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
        ready, pending = layout.ready([texts])
        self._origin = Origin(Path(os.path.abspath(directory)), log, layout, pending)
        self.number, self.row, self.texts = number, row, texts
        self._ready: Sequence[Any] = next(iter(ready), ())
        self._values: dict[str, Any] | None = None

    @property
    def directory(self) -> Path:
        """The flagging directory, absolute."""
        return self._origin.directory

    @property
    def log(self) -> str:
        """The name of the flag's log."""
        return self._origin.log

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the columns of the flag's log hold."""
        return self._origin.layout

    @property
    def values(self) -> Mapping[str, Any]:
        """The value of each component column, and of the extra columns, the original names and the id.

        Text as it was flagged, numbers, bools and JSON structures, None for an empty cell. A file is an absolute
        `Path`, whether or not it is still there; inside JSON the paths of the flag's own files are absolute text. A
        remote file is its URL, as text. A path that leads outside the directory is None. Without bookkeeping, text
        that is no path of ours stays text: what it was cannot be known.
        """
        values = self._values
        if values is None:
            _, _, layout, pending = self._origin
            values = self._values = dict(zip(layout.names, self._ready))  # noqa: B905  asking costs as much as the zip
            for name, column in pending:
                if (text := values[name]) is not None:
                    values[name] = typed(text, column, str(self.directory), self.number)
        return values

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
        return str(self.directory), self.number, self.log, self.row, self._origin.layout, tuple(self.texts)

    def _text(self, role: str) -> str | None:
        place = self._origin.layout.place(role)
        return None if place is None else self.texts[place] or None

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons given, from a joined column or from one-hot ones."""
        return self._origin.layout.reasons(self.texts)

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
            for name, column in self._origin.layout.typed
            for path in own_files(values[name], column, directory, self.number)
        )


class ReadFlag(Flag):
    """A flag as the reader makes it, a million times: part of what its values need is done for many rows at once."""

    __slots__ = ()

    def __init__(self, origin: Origin, number: int, row: int, texts: Sequence[str], ready: Sequence[Any]) -> None:
        self._origin, self.number, self.row, self.texts, self._ready = origin, number, row, texts, ready
        self._values = None


def moment_of(text: str) -> datetime | None:
    """The moment that an ISO 8601 text means, in UTC where it names no zone; None where it is none."""
    try:
        moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in ("Z", "z") else text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
