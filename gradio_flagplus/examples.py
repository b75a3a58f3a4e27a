"""Flags as Gradio's examples: for each flag a list with one value for each input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .columns import Column, untaken
from .flag import Flag
from .trees import map_leaves


def example_rows(flags: Iterable[Flag], schema: Sequence[Column], inputs: Sequence[Any]) -> list[list[Any]]:
    """See `FlagLog.examples`. Raises `ValueError` if `inputs` names a column that no log has."""
    known = {column.name: column for column in schema}
    names = _names_of(inputs, known)
    rows: list[list[Any]] = []
    media = {name for name in names if name in known and known[name].kind == "file"}
    for flag in flags:
        values = [flag.values.get(name) for name in names]
        media |= {name for name, value in zip(names, values, strict=True) if isinstance(value, Path)}
        if _is_whole(flag, values):
            rows.append(values)
    places = [place for place, name in enumerate(names) if name in media]
    return [[_value(value) for value in row] for row in rows if all(row[place] is not None for place in places)]


def _names_of(inputs: Sequence[Any], known: dict[str, Column]) -> list[str]:
    """The names of the columns of these inputs, told apart as the logger does."""
    names: list[str] = []
    for place, each in enumerate(inputs):
        if isinstance(each, str):
            if each not in known:
                raise ValueError(f"inputs: no log has a column {each!r}; there are {list(known)!r}.")
            names.append(each)
        else:
            name = _label(each) or f"component {place}"
            hidden = getattr(each, "type", None) == "password"
            names.append("" if hidden else untaken(name, names))
    return names


def _label(component: Any) -> str:
    label = getattr(component, "label", None)
    return str(getattr(label, "key", label) or "")


def _is_whole(flag: Flag, values: list[Any]) -> bool:
    """Whether every file that the values name is the flag's own and there."""
    own = {str(path) for path in flag.files}
    found: list[str] = []

    def look(leaf: object) -> object:
        if isinstance(leaf, Path) or (isinstance(leaf, str) and leaf in own):
            found.append(str(leaf))
        elif isinstance(leaf, str) and os.path.isabs(leaf) and os.path.lexists(leaf):
            found.append("")  # somebody's text, and Gradio would take it for a file
        return leaf

    for value in values:
        if not isinstance(value, str):
            map_leaves(value, look)
    return all(os.path.isfile(path) for path in found)


def _value(value: Any) -> Any:
    """The value as a component takes it from Python: paths as text, galleries and subtitled videos as tuples."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list) and value and all(map(_is_picture, value)):
        return [(item.get("image") or item.get("video"), item.get("caption")) for item in value]
    if isinstance(value, dict) and value.keys() == {"video", "subtitles"}:
        return value["video"], value["subtitles"]
    return value


def _is_picture(item: object) -> bool:
    return isinstance(item, dict) and item.keys() in ({"image", "caption"}, {"video", "caption"})
