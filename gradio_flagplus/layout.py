"""What the columns of a log mean to who reads it: cell text to values, our own files to paths inside the directory.

Nothing here reads a file; links are looked at, because one could lead out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .cells import value_of
from .columns import BOOKS, Column, Kind, guess_columns, name_columns
from .trees import map_leaves


def layout_of(header: Sequence[str], noted: Sequence[Column]) -> Layout:
    """What a log with this header holds, `noted` being what the bookkeeping says of it.

    If somebody edited the header, the columns that kept their names keep what was noted; the others are guessed.
    """
    if [column.name for column in noted] == list(header):
        return Layout(noted)
    kept = {column.name: column for column in noted}
    return Layout(kept.get(column.name, column) for column in name_columns(guess_columns(header)))


class Layout(tuple[Column, ...]):
    """The columns of a log, and what of them is worked out once rather than for each flag."""

    names: tuple[str, ...]
    """The columns that `Flag.values` holds."""
    _places: list[int]
    typed: list[tuple[str, Column]]
    """Those of `names` whose cells are not simply text."""
    claims: list[Claim]
    """The component columns that can name files."""

    def __new__(cls, columns: Iterable[Column]) -> Layout:
        """The same columns, looked at."""
        self = super().__new__(cls, columns)
        places = [i for i, column in enumerate(self) if column.role in ("component", "extra", "original name", "id")]
        self.names = tuple(self[i].name for i in places)
        self._places = places
        self.typed = [(self[i].name, self[i]) for i in places if self[i].kind != "text"]
        self.claims = [
            Claim(i, self[i].folder, self[i].kind)
            for i in places
            if self[i].role == "component" and self[i].kind != "text" and self[i].folder
        ]
        return self

    def ready(self, rows: Sequence[Sequence[str]]) -> tuple[Iterable[tuple[Any, ...]], list[tuple[str, Column]]]:
        """For each row what `names` hold, and which of these columns are still text, or None where they are empty.

        Columns that hold nothing but numbers, `true` and `false` are read at once; it is most of the work.
        """
        if not rows:
            return (), []
        columns: list[Sequence[Any]] = list(zip(*rows, strict=False))  # what a row has too many of is left out
        pending = []
        for name, place in zip(self.names, self._places, strict=True):
            texts = columns[place]
            scalars = json_scalars(texts) if self[place].kind == "json" else None
            if scalars is not None:
                columns[place] = scalars
                continue
            if self[place].kind != "text":
                pending.append((name, self[place]))
            if "" in texts:
                columns[place] = [text or None for text in texts]
        return zip(*[columns[place] for place in self._places], strict=True), pending

    def place(self, role: str) -> int | None:
        """Where the first column of this role is."""
        return next((i for i, column in enumerate(self) if column.role == role), None)

    def reasons(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The reasons of a row, of whichever style its columns are."""
        found: list[str] = []
        for column, text in zip(self, texts, strict=False):
            if column.role == "reasons":
                found += [reason for reason in text.split("|") if reason]
            elif column.role == "reason" and text not in ("", "0", "false"):
                found.append(column.reason)
        return tuple(dict.fromkeys(found))


class Claim:
    """A column whose cells can name files, and so tell the number of the row's flag."""

    def __init__(self, place: int, folder: str, kind: Kind) -> None:
        self.needle = f"{folder}/".encode()
        """What is in the bytes of every row that names a file here."""
        self._place, self.folder, self._kind = place, folder, kind
        self._pattern = re.compile(rf"{re.escape(folder)}/([0-9]{{1,18}})(?:-[0-9]+)?(?:\.[^/\\:\"]*)?")

    def number(self, texts: Sequence[str], expected: int, directory: str, *, certain: bool) -> int:
        """The number that the row's files bear, or `expected` where they bear none.

        Paths inside JSON and in columns of unknown kind could be somebody's text: they count only if the bookkeeping
        is not certain, and the file is there.
        """
        text = texts[self._place]
        if self.folder not in text or _begins(text, self.folder, expected):
            return expected
        if self._kind == "file":
            match = self._pattern.fullmatch(text)
            return int(match[1]) if match else expected
        for match in () if certain else self._pattern.finditer(text):
            if os.path.lexists(os.path.join(directory, match[0])):
                return int(match[1])
        return expected


_REST = re.compile(r"(?:-[0-9]+)?(?:\.[^/\\:]*)?")


def _begins(text: str, folder: str, number: int) -> bool:
    prefix = f"{folder}/{number}"
    return text.startswith(prefix) and _REST.fullmatch(text, len(prefix)) is not None


_URL = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)


def inside(directory: str, relative: str) -> str | None:
    """The absolute path of `relative`, or None if that is not a plain way down from `directory`.

    No `..`, no absolute path, no drive, no backslash, not the bookkeeping, and no link that leads out. Whether there
    is anything at the end of the way is not asked.
    """
    parts = relative.split("/")
    if parts[0] == BOOKS or any(part in ("", ".", "..") or _UNSAFE.search(part) for part in parts):
        return None
    path, linked = directory, False
    for part in parts:
        path = os.path.join(path, part)
        linked = linked or os.path.islink(path)
    if linked and not os.path.realpath(path).startswith(os.path.join(os.path.realpath(directory), "")):
        return None
    return path


_UNSAFE = re.compile(r"[\\:\0]")


def typed(text: str, column: Column, directory: str, number: int) -> Any:
    """The value of a cell that is not empty, its files as absolute paths: a `Path` for one, `str` inside JSON.

    A path that leads outside the directory is None.
    """
    if column.kind == "json":
        return _json(text, column, directory, number)
    if column.kind == "file":
        return _file(text, column, directory, number)
    if column.kind == "unknown" and column.folder and f"{column.folder}/{number}" in text:
        return _unknown(text, column, directory, number)
    return text


def _json(text: str, column: Column, directory: str, number: int) -> Any:
    if text.isdigit() and text.isascii() and len(text) < 19 and (text[0] != "0" or text == "0"):
        return int(text)
    if column.folder and _begins(text, column.folder, number):
        return inside(directory, text)  # one file and nothing else
    if text[0] not in _JSON_STARTS:
        return text
    value = value_of(text, "json")
    if not column.folder or f"{column.folder}/{number}" not in text:
        return value

    def absolute(leaf: object) -> object:
        return inside(directory, leaf) if isinstance(leaf, str) and _begins(leaf, column.folder, number) else leaf

    return map_leaves(value, absolute)


def json_scalars(texts: Sequence[str]) -> list[Any] | None:
    """The values of cells that are all numbers, `true`, `false` or empty; None if one of them may be anything else."""
    joined = ",".join(texts)
    if '"' in joined or "[" in joined or "{" in joined:
        return None
    if "" in texts:
        joined = ",".join(text or "null" for text in texts)
    try:
        values: list[Any] = json.loads(f"[{joined}]")  # C all through, unlike `parse_json`
    except ValueError:
        return None
    # A cell with a comma would make more values of it; fewer there cannot be.
    return values if len(values) == len(texts) else None


_JSON_STARTS = frozenset('[{"-0123456789tfnNI \t\r\n')


def _file(text: str, column: Column, directory: str, number: int) -> Any:
    if text[0] in "[{" and not _begins(text, column.folder, number):
        value = value_of(text, "file")
        if not isinstance(value, str):
            return map_leaves(value, lambda leaf: _way(directory, leaf) if isinstance(leaf, str) else leaf)
    found = _way(directory, text)
    return found if found is None or found is text else Path(found)


def _way(directory: str, text: str) -> str | None:
    return text if _URL.match(text) else inside(directory, text)


def _unknown(text: str, column: Column, directory: str, number: int) -> Any:
    if _begins(text, column.folder, number):
        found = inside(directory, text)
        return None if found is None else Path(found)
    if text[0] not in "[{":
        return text
    value = _json(text, column, directory, number)
    return value if any(own_files(value, column, directory, number)) else text


def own_files(value: object, column: Column, directory: str, number: int) -> Iterator[str]:
    """The absolute paths in a value that are the flag's own files, as they stand in it."""
    if isinstance(value, Path):
        yield str(value)
        return
    if not column.folder:
        return
    prefix = os.path.join(directory, column.folder, str(number))
    found: list[str] = []

    def collect(leaf: object) -> object:
        if isinstance(leaf, str) and leaf.startswith(prefix) and _REST.fullmatch(leaf, len(prefix)):
            found.append(leaf)
        return leaf

    map_leaves(value, collect)
    yield from found
