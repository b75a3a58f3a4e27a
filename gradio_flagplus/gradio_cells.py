"""What a cell of Gradio's own logs says: text, JSON, or a file, as a path or as Gradio's `FileData`."""

from __future__ import annotations

import ast
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .cells import json_text, parse_json
from .columns import Kind
from .trees import map_leaves

GONE = Path()
"""In place of a path: the cell names a file of the log that is not there any more."""

_LONGEST_PATH = 4096
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_COPIED = re.compile(r"[0-9a-f]{16,64}")  # Component.flag copies to <label>/<secrets.token_hex(10)>/<name>
_COUNTED = re.compile(r"[0-9]+\.[A-Za-z0-9]{1,8}")  # the guide's im/0.png


class Source:
    """The directory that a log's files lie in. Nothing outside it is ever looked at."""

    def __init__(self, folder: Path) -> None:
        self._root = Path(os.path.realpath(folder))

    def find(self, cell: str, label: str) -> Path | None:
        """The file that `cell` names in the column with this label, `GONE`, or None if it names none.

        Gradio wrote the path as the app saw it, absolute or from the directory it was started in, so the log may have
        moved since. What is known is how the path ends: with the label's folder and what lies in it.
        """
        if len(cell) > _LONGEST_PATH or not ("/" in cell or "\\" in cell) or "\n" in cell or "\0" in cell:
            return None
        parts = re.split(r"[\\/]+" if _WINDOWS.match(cell) else "/+", cell)
        wanted = _letters(label)
        gone = None
        for place in range(len(parts) - 1):
            if _letters(parts[place]) != wanted:
                continue
            tail = parts[place:]
            if found := self._inside(tail):
                return found
            if (_COPIED.fullmatch(tail[1]) and len(tail) == 3) or (place == 0 and _is_counted(tail)):
                gone = GONE
        return gone

    def _inside(self, parts: list[str]) -> Path | None:
        if ".." in parts:
            return None
        path = Path(os.path.realpath(self._root.joinpath(*parts)))
        return path if path.is_relative_to(self._root) and path.is_file() else None

    def open(self, path: Path) -> BinaryIO | None:
        """The regular file at a path that `find` gave, or None if it is not to be had."""
        try:
            file = open(path, "rb")  # noqa: SIM115  the caller closes it
        except OSError:
            return None
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
        return None


def _letters(text: str) -> str:
    """What every version of Gradio leaves of a label in the name of its folder."""
    return "".join(c for c in text if c.isalnum())[:60]


def _is_counted(tail: list[str]) -> bool:
    return len(tail) == 2 and _COUNTED.fullmatch(tail[1]) is not None


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": "true", "false": "false", "True": "true", "False": "false"}


def as_json(cell: str) -> str | None:
    """`cell` as JSON text if it is a number, a bool, a list or an object, in JSON or as Python writes it; else None.

    JSON stays to the letter what it is. Null, text in quotes and NaN are no JSON here: Gradio writes none of them.
    """
    if cell in _WORDS:
        return _WORDS[cell]
    if _NUMBER.fullmatch(cell):
        return cell
    if cell[:1] not in ("[", "{"):
        return None
    try:
        return cell if isinstance(parse_json(cell), list | dict) else None
    except ValueError:
        return _python_as_json(cell)


def _python_as_json(cell: str) -> str | None:
    """Gradio before 4 left lists to the csv module, which writes them as Python does."""
    if len(cell) > 100_000:
        return None
    try:
        value = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return json_text(value) if isinstance(value, list | dict) else None


def with_files(value: object, find: Callable[[str], Path | None], put: Callable[[Path, str], object]) -> object:
    """`value`, a tree out of JSON, with `put(path, name)` in place of each file in it."""

    def leaf(text: object) -> object:
        if not isinstance(text, str):
            return text
        path = find(text)
        return text if path is None else put(path, Path(text).name)

    with suppress(RecursionError):  # deeper than anything Gradio writes: data, whatever it looks like
        value = _without_file_data(value, find, put)
    return map_leaves(value, leaf)


def _without_file_data(value: object, find: Callable[[str], Path | None], put: Callable[[Path, str], object]) -> object:
    if isinstance(value, list):
        return [_without_file_data(child, find, put) for child in value]
    if not isinstance(value, dict):
        return value
    path = value.get("path")
    if isinstance(path, str) and isinstance(value.get("meta"), dict) and "_type" in value["meta"]:
        found = find(path)
        return put(GONE if found is None else found, str(value.get("orig_name") or ""))
    return {key: _without_file_data(child, find, put) for key, child in value.items()}


class Survey:
    """What the cells of one column have in common, cell by cell."""

    def __init__(self, source: Source, label: str) -> None:
        self._source, self._label = source, label
        self._files = self._nested = self._json = self._texts = 0

    def take(self, cell: str) -> None:
        """Look at one more cell."""
        if not cell:
            return
        text = as_json(cell)
        if text is None:
            found = self._source.find(cell, self._label) is not None
            self._files += found
            self._texts += not found
        elif text[0] in "[{" and self._holds_files(text):
            self._nested += 1
        else:
            self._json += 1

    def _holds_files(self, text: str) -> bool:
        if "/" not in text and "\\" not in text:
            return False
        seen: list[Path] = []
        tree = with_files(
            parse_json(text), lambda leaf: self._source.find(leaf, self._label), lambda p, _: seen.append(p)
        )
        # A FileData that is the whole cell is one file, as a path is.
        self._files += tree is None and bool(seen)
        return bool(seen)

    def kind(self) -> Kind:
        """The kind of the column."""
        if self._files:
            return "file"
        return "json" if self._nested or (self._json and not self._texts) else "text"


def safe_extension(name: str) -> str:
    """The extension of `name` if it is a plain one."""
    extension = os.path.splitext(name)[1]
    return extension.lower() if re.fullmatch(r"\.[A-Za-z0-9]{1,16}", extension) else ""
