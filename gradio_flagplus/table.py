"""Flags of any number of logs as one table: a field a column, a type a field, a row a flag.

A typed file (Parquet, a dataset's features) wants one type for all cells of a column, and Gradio's values need not have
one. So the flags are looked through once before they are written.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .cells import json_text
from .columns import Column, untaken
from .reader import Flag
from .trees import map_leaves

Type = Literal["bool", "int", "float", "text", "texts", "json", "file", "files"]
"""`texts` is a list of text, `json` text that holds JSON, `file` one path, `files` a list of paths."""

_META = ("number", "reasons", "comment", "username", "timestamp")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the table: its name there, the column that it comes from, and what its cells hold.

    `extensions` are those of all its files that are there, `component` is the Gradio name of its component if known.
    """

    name: str
    column: str
    type: Type
    extensions: frozenset[str] = frozenset()
    component: str = ""
    meta: bool = False


def names_for(
    columns: Iterable[str], rename: Callable[[str], str] = lambda name: name
) -> tuple[dict[str, str], dict[str, str]]:
    """Field names for the columns and for the meta fields, each only once; the columns keep theirs, ours give way."""
    taken: set[str] = set()
    names: dict[str, str] = {}
    metas: dict[str, str] = {}
    for chosen, wanted in ((names, columns), (metas, _META)):
        for name in wanted:
            chosen[name] = untaken(rename(name), taken)
            taken.add(chosen[name])
    return names, metas


def plain(flag: Flag, value: object) -> object:
    """`value` with each file of ours as its path relative to the flagging directory, `/` between its parts.

    A number that JSON does not know (NaN, infinity) becomes its name.
    """

    def leaf(node: object) -> object:
        if (path := _file(flag, node)) is not None:
            return relative(flag, path)
        return repr(node) if isinstance(node, float) and not math.isfinite(node) else node

    return map_leaves(value, leaf) if isinstance(value, list | dict) else leaf(value)


def relative(flag: Flag, path: Path) -> str:
    """The path of a file of ours from its flagging directory, `/` between its parts."""
    return Path(os.path.relpath(path, flag.directory)).as_posix()


def files_in(flag: Flag, value: object) -> list[Path]:
    """The files of ours in `value`, in order, whether they are there or not."""
    if not isinstance(value, list | dict):
        path = _file(flag, value)
        return [] if path is None else [path]
    found: list[Path] = []

    def leaf(node: object) -> object:
        if (path := _file(flag, node)) is not None:
            found.append(path)
        return node

    map_leaves(value, leaf)
    return found


def _file(flag: Flag, leaf: object) -> Path | None:
    """The file of ours that a leaf of a value stands for. Asking the flag is dear; most text is told by its start."""
    if isinstance(leaf, Path):
        return leaf
    if isinstance(leaf, str) and leaf.startswith(str(flag.directory)) and (path := Path(leaf)) in flag.files:
        return path
    return None


@dataclass(slots=True)
class _Tally:
    """What the cells of one column were, so far."""

    kind: str
    component: str
    seen: set[str] = field(default_factory=set)
    extensions: set[str] = field(default_factory=set)
    detailed: bool = False

    def take(self, flag: Flag, value: object) -> None:
        if value is None:
            return
        if isinstance(value, str) or not isinstance(value, Path | list | dict):
            self.seen.add(_type_of(value))
            return
        found = files_in(flag, value)
        self.extensions.update(path.suffix.lower() for path in found if path.is_file())
        if found and isinstance(value, list) and all(len(files_in(flag, item)) == 1 for item in value):
            self.seen.add("files")
            self.detailed |= any(isinstance(item, dict) and _says_more(item) for item in value)
        else:
            self.seen.add("file" if isinstance(value, Path) else _type_of(value))

    def type(self) -> Type:
        if not self.seen and self.kind == "file":
            return "file"
        for known, type_ in _LATTICE:
            if self.seen <= known:
                return "text" if type_ == "file" and self.kind != "file" and "text" in self.seen else type_
        return "json"


def _says_more(item: Mapping[str, object]) -> bool:
    """Whether an item of a list of files (a Gallery's) holds more than its file."""
    return sum(value is not None for value in item.values()) > 1


# In this order: what is in all cells of a column, and the type that holds all of it. A file column's text is a URL.
_LATTICE: tuple[tuple[set[str], Type], ...] = (
    ({"text"}, "text"),
    ({"file", "text"}, "file"),
    ({"bool"}, "bool"),
    ({"int"}, "int"),
    ({"int", "float"}, "float"),
    ({"texts", "empty"}, "texts"),
    ({"files", "empty"}, "files"),
)


def _type_of(value: object) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        # Beyond this, numbers change on their way through 64 bits, or through a double.
        return "int" if abs(value) < 1 << 53 else "json"
    if isinstance(value, float):
        return "float" if math.isfinite(value) else "json"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "texts" if value else "empty"
    return "json"


class Table:
    """The fields of the flags it was made from, and the way from one flag to one row."""

    def __init__(self, fields: tuple[Field, ...], reasons: tuple[str, ...], rows: int) -> None:
        self.fields, self.reasons, self.rows = fields, reasons, rows

    @classmethod
    def of(
        cls, schema: Iterable[Column], flags: Iterable[Flag], rename: Callable[[str], str] = lambda name: name
    ) -> Table:
        """Look through the flags once. Memory is that of the columns and of the reasons there are."""
        tallies: dict[str, _Tally] = {c.name: _Tally(c.kind, c.component) for c in schema if _has_value(c)}
        reasons: dict[str, None] = {}
        used, rows = {"number", "reasons"}, 0
        for flag in flags:
            rows += 1
            reasons.update(dict.fromkeys(flag.reasons))
            used.update(name for name in ("comment", "username", "timestamp") if getattr(flag, name) is not None)
            for name, value in flag.values.items():
                tallies.setdefault(name, _Tally("unknown", "")).take(flag, value)
        names, metas = names_for(tallies, rename)
        fields = [
            Field(names[name], name, t.type(), frozenset(t.extensions), t.component) for name, t in tallies.items()
        ]
        taken = {*names.values(), *metas.values()}
        fields += [
            Field(untaken(f"{names[name]} details", taken), name, "json") for name, t in tallies.items() if t.detailed
        ]
        meta = [Field(metas[name], name, _META_TYPES[name], meta=True) for name in _META if name in used]
        return cls((meta[0], *fields, *meta[1:]), tuple(reasons), rows)

    def row(self, flag: Flag) -> dict[str, Any]:
        """The row of one flag: a value of its type, or None, for every field."""
        return {field.name: value_for(field, flag) for field in self.fields}


_META_TYPES: Mapping[str, Type] = {
    "number": "int", "reasons": "texts", "comment": "text", "username": "text", "timestamp": "text",
}  # fmt: skip


def _has_value(column: Column) -> bool:
    return column.role in ("component", "extra", "original name", "id")


def value_for(field: Field, flag: Flag) -> Any:
    """The value of `flag` in this field, of the field's type, or None."""
    if field.meta:
        return meta_value(flag, field.column)
    value = flag.values.get(field.column)
    if field.type == "files":
        return [relative(flag, path) for path in files_in(flag, value) if path.is_file()]
    if value is None or (isinstance(value, Path) and not value.is_file()):
        return None
    if field.type == "float":
        return float(value)
    return json_text(plain(flag, value)) if field.type == "json" else plain(flag, value)


def meta_value(flag: Flag, name: str) -> Any:
    """A flag's number, reasons, comment, user or time. The time is ISO 8601 with microseconds, always."""
    if name == "reasons":
        return list(flag.reasons)
    if name == "timestamp":
        return flag.timestamp.isoformat(timespec="microseconds") if flag.timestamp else None
    return getattr(flag, name)
