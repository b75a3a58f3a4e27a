"""What a cell says: a value to its text and back, by the kind of its column; file names inside.

Text here is what a person would read; the bytes and the formula-safe door are `record`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from .columns import Kind, clean
from .trees import map_leaves

_LONGEST_INT = 4000  # digits; CPython refuses to convert more than 4,300 at a time (CVE-2020-10735)


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file on its way in: its bytes lie at `path`, `extension` starts with a dot or is empty, `name` is its own."""

    path: Path
    extension: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class FileCell:
    """A cell that names files. Its text is known once the flag has a number: `pieces[0] file[0] pieces[1] …`."""

    pieces: tuple[str, ...]
    files: tuple[StagedFile, ...]

    def paths(self, folder: str, number: int) -> list[str]:
        """Where the files will lie, relative to the log: `im/0.png`, or `im/0-0.png`, `im/0-1.png` if several."""
        if len(self.files) == 1:
            return [f"{folder}/{number}{self.files[0].extension}"]
        return [f"{folder}/{number}-{place}{file.extension}" for place, file in enumerate(self.files)]

    def text(self, folder: str, number: int) -> str:
        """The cell's text for the flag with this number."""
        paths = self.paths(folder, number)
        return self.pieces[0] + "".join(a + b for a, b in zip(paths, self.pieces[1:], strict=True))


Cell = str | FileCell
"""A cell on its way in. Empty text is an empty cell."""


def cell_of(value: object, kind: Kind) -> Cell:
    """The cell for `value`, in which every `StagedFile` stands for that file.

    `value` is text, a number, a bool, None, a `StagedFile`, or lists and dicts of these; what JSON does not know
    becomes its `repr`.
    """
    if value is None:
        return ""
    if isinstance(value, StagedFile):
        return FileCell(("", ""), (value,))
    if isinstance(value, str):
        return text_cell(value, kind)
    # A mark that occurs nowhere else stands for a file until the flag has its number.
    mark, files = uuid4().hex, list[StagedFile]()

    def marked(leaf: object) -> object:
        if not isinstance(leaf, StagedFile):
            return leaf
        files.append(leaf)
        return f"{mark}-{len(files) - 1};"

    text = json_text(map_leaves(value, marked))
    if not files:
        return text
    pieces = re.split(f"{mark}-([0-9]+);", text)
    return FileCell(tuple(pieces[::2]), tuple(files[int(place)] for place in pieces[1::2]))


def text_cell(text: str, kind: Kind) -> str:
    """The cell for text: itself, or a JSON string in a column where it could be mistaken for JSON."""
    return json_text(text) if kind == "json" and _parses(text) else text


_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def json_text(value: object) -> str:
    """`value` as JSON, text in it cleaned of what cannot be stored; what JSON does not know becomes its `repr`.

    NaN and the infinities are written as Python's `json` does. Any depth and any number of digits.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, default=_told)
    except (ValueError, RecursionError, TypeError):
        # ValueError: more than 4,300 digits, or a loop; TypeError: keys that are no text.
        text = "".join(_json_pieces(value))
    return clean(_ESCAPED_NUL.sub("\\1\ufffd", text))


def _told(value: Any) -> object:
    """What stands for a value that JSON does not know: a NumPy scalar's number, else its `repr`."""
    if getattr(value, "shape", None) == () and isinstance(item := value.item(), bool | int | float | str):
        return item
    return _repr(value)


def _repr(value: object) -> str:
    try:
        return clean(repr(value))
    except Exception as error:  # noqa: BLE001  somebody else's __repr__ must not cost the flag
        return f"<{type(value).__module__}.{type(value).__qualname__} whose repr raised {type(error).__name__}>"


def _json_pieces(root: object) -> Iterator[str]:
    """JSON without recursion, for what `json.dumps` refuses."""
    todo: list[object] = [_Value(root)]
    open_ids: set[int] = set()
    while todo:
        item = todo.pop()
        if not isinstance(item, _Value):
            if isinstance(item, int):
                open_ids.discard(item)
            else:
                yield str(item)
            continue
        value = item.value
        if isinstance(value, Mapping | list | tuple):
            if id(value) in open_ids:
                yield json.dumps("...")
                continue
            open_ids.add(id(value))
            todo.append(id(value))
            todo.extend(reversed(list(_bracketed(value))))
        else:
            yield _scalar(value)


@dataclass(frozen=True, slots=True)
class _Value:
    value: object


def _bracketed(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterator[object]:
    comma = ""
    if isinstance(value, Mapping):
        yield "{"
        for key, child in value.items():
            yield f"{comma}{json.dumps(_key(key), ensure_ascii=False)}: "
            yield _Value(child)
            comma = ", "
        yield "}"
    else:
        yield "["
        for child in value:
            if comma:
                yield comma
            yield _Value(child)
            comma = ", "
        yield "]"


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    return _scalar(key) if key is None or isinstance(key, int | float) else _repr(key)


def _scalar(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return format(Decimal(int(value)), "f")
    try:
        return json.dumps(value, ensure_ascii=False, default=_told)
    except (ValueError, RecursionError, TypeError):
        return json.dumps(_repr(value), ensure_ascii=False)


def _big_int(digits: str) -> int:
    return int(digits) if len(digits) < _LONGEST_INT else int(Decimal(digits))


_decoder = json.JSONDecoder(parse_int=_big_int, strict=False)


def parse_json(text: str) -> Any:
    """The value of JSON `text`. Raises `ValueError` if it is no JSON, or nested deeper than Python can read."""
    try:
        return _decoder.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


_JSON_START = re.compile(r'[\s]*(?:[\[{"0-9-]|true|false|null|NaN|Infinity)')


def _parses(text: str) -> bool:
    """Whether `text` could be read as JSON. Too deep to tell counts as yes: quoting is always safe."""
    if not _JSON_START.match(text):
        return False
    try:
        _decoder.decode(text)
    except ValueError:
        return False
    except RecursionError:
        return True
    return True


def value_of(cell: str, kind: Kind) -> Any:
    """What the text of a cell stands for, short of its files: text, a number, a bool, JSON's lists and dicts, None.

    A cell that cannot be what its kind says is returned as text; nothing is raised.
    """
    if not cell:
        return None
    if kind == "json" or (kind == "file" and cell[0] in "[{"):
        try:
            return parse_json(cell)
        except ValueError:
            return cell
    return cell
