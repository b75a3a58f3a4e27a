"""Labels become header names and folder names; a column has a kind; a bare header is recognised.

Pure functions over names: nothing here touches the disk or knows Gradio.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

Kind = Literal["text", "json", "file", "unknown"]
"""What a column's cells hold.

`text`: text as it is. `json`: JSON, or text that would not itself parse as JSON. `file`: the path of one file, a
remote URL, or (where one value held several files) JSON. `unknown`: the bookkeeping is gone; a path that is ours
is a file, everything else stays the text that it is.
"""

KINDS: tuple[Kind, ...] = ("text", "json", "file", "unknown")

Role = Literal["component", "reasons", "reason", "comment", "username", "extra", "original name", "id", "timestamp"]
"""Why a column is there. `reasons` is the joined column, `reason` one one-hot column."""

ROLES: tuple[Role, ...] = (
    "component", "reasons", "reason", "comment", "username", "extra", "original name", "id", "timestamp",
)  # fmt: skip
BOOKS = ".flagplus"
"""The name of the bookkeeping folder in a flagging directory."""


NO_FOLDER = "/"
"""In place of a folder: the component's values hold no files, so no text in them is a path of ours."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a log. Two columns are equal if their name, kind and role are.

    `folder` is the folder of its files, `component` the Gradio name of its component (`image`), `side` is `input`,
    `output` or empty where that is not known, `reason` the reason that a one-hot column counts.
    """

    name: str
    kind: Kind = "text"
    role: Role = "component"
    folder: str = field(default="", compare=False)
    component: str = field(default="", compare=False)
    side: str = field(default="", compare=False)
    reason: str = field(default="", compare=False)

    def to_json(self) -> dict[str, str]:
        """The column as `schema.json` keeps it: without what is empty."""
        return {slot: text for slot in self.__slots__ if (text := getattr(self, slot))}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Column:
        """The column that `to_json` gave. Raises `ValueError` or `TypeError` if `data` is nothing of the kind."""
        known = {slot: data[slot] for slot in cls.__slots__ if slot in data}
        if not all(isinstance(value, str) for value in known.values()):
            raise TypeError("a column is described by text only")
        if known.get("kind", "text") not in KINDS or known.get("role", "component") not in ROLES:
            raise ValueError(f"{data!r} is no column of format 1")
        return cls(**known)


def clean(text: str) -> str:
    """`text` as it can be stored: a NUL or a lone surrogate becomes U+FFFD, nothing else is changed."""
    return _UNSTORABLE.sub("\ufffd", text)


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def untaken(name: str, taken: Collection[str]) -> str:
    """`name`, or `name_1`, `name_2` … where it is taken."""
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def name_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """The same columns, each with a header name and (for components that can hold files) a folder that no other has.

    Names are told apart by case and by how accents are coded, folders are not: not every file system does.
    """
    names: set[str] = set()
    folders: set[str] = set()
    named = []
    for column in columns:
        name = untaken(clean(column.name), names)
        names.add(name)
        folder = ""
        if column.role == "component" and column.folder != NO_FOLDER:
            folder = _untaken_folder(safe_folder(name), folders)
            folders.add(_folded(folder))
        named.append(replace(column, name=name, folder=folder))
    return tuple(named)


RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"
}
_LONGEST_FOLDER = 100


def safe_folder(label: str) -> str:
    """A folder name for `label` that is safe on every system and stays readable.

    It has no separator, control or formatting character, none of what Windows forbids, no leading dot, quote,
    bracket or formula sign, no trailing dot or blank, at most 100 bytes of UTF-8, and is neither a reserved Windows
    name nor one that a log can have.
    """
    name = "".join("_" if c in '<>:"/\\|?*' or not (c.isprintable() or c == " ") else c for c in label)
    name = name.strip().lstrip(".=+-@'[{＝＋－＠ ").rstrip(". ")  # noqa: RUF001
    name = _cut(name, _LONGEST_FOLDER)
    if not name.strip("_"):
        return "files"
    stem, dot, rest = name.partition(".")
    if stem.rstrip().casefold() in RESERVED:
        name = f"{stem.rstrip()}_{dot}{rest}"
    if name.casefold().endswith(".csv"):
        name = f"{_cut(name, _LONGEST_FOLDER - 1)}_"
    return name


def _cut(name: str, most: int) -> str:
    return name.encode()[:most].decode(errors="ignore").rstrip(". ")


def _untaken_folder(name: str, taken: Collection[str]) -> str:
    if _folded(name) not in taken:
        return name
    number = 1
    while _folded(other := f"{_cut(name, _LONGEST_FOLDER - 8)}_{number}") in taken:
        number += 1
    return other


def _folded(name: str) -> str:
    """The same text for all names that some file system takes for one: macOS ignores case and how accents are coded."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def meta_order(columns: Iterable[Column]) -> list[Column]:
    """Meta columns in the order of the format: reasons, comment, username, extras, original names, id, timestamp."""
    rank: Callable[[Column], int] = lambda column: ROLES.index(column.role)  # noqa: E731
    return sorted(columns, key=rank)


def components_of(columns: Iterable[Column]) -> tuple[Column, ...]:
    """The component columns among `columns`."""
    return tuple(column for column in columns if column.role == "component")


def recognise(
    header: Sequence[str], components: Sequence[Column], metas: Iterable[Column]
) -> tuple[Column, ...] | None:
    """The columns of a log of which only the header is known, or None where they are not those of this row.

    Used where the bookkeeping is gone: names must match, kinds are taken from the row that asks.
    """
    if tuple(header[: len(components)]) != tuple(column.name for column in components):
        return None
    known = {column.name: column for column in (*guess_columns(header), *metas)}
    rest = [known[name] for name in header[len(components) :]]
    return None if any(column.role == "component" for column in rest) else (*components, *rest)


_JOINED = re.compile(r"flag(_\d+)?")
_ONE_HOT = re.compile(r"flag: (.*)", re.DOTALL)
_COMMENT = re.compile(r"comment(_\d+)?")
_USERNAME = re.compile(r"username(_\d+)?")
_ID = re.compile(r"id(_\d+)?")
_TIMESTAMP = re.compile(r"timestamp(_\d+)?")


def guess_columns(header: Sequence[str]) -> tuple[Column, ...]:
    """The columns that `header` tells of where the bookkeeping is gone.

    Meta columns are known by their names and by their order; the first column is always a component's. The kind of
    everything else cannot be known.
    """
    known: dict[int, Column] = {}
    end = len(header)
    for role, pattern in (("timestamp", _TIMESTAMP), ("id", _ID)):
        if end > 1 and pattern.fullmatch(header[end - 1]):
            end -= 1
            known[end] = Column(header[end], "text", cast("Role", role))

    start = end
    hot = [i for i in range(1, end) if _ONE_HOT.fullmatch(header[i])]
    if hot:
        start = hot[0]
        for i in hot:
            known[i] = Column(header[i], "json", "reason", reason=header[i].removeprefix("flag: "))
    after = hot[-1] + 1 if hot else 1
    for role, pattern in (("reasons", _JOINED), ("comment", _COMMENT), ("username", _USERNAME)):
        places = [i for i in range(after, end) if pattern.fullmatch(header[i])]
        if places:
            known[places[-1]] = Column(header[places[-1]], "text", cast("Role", role))
            start, after = min(start, places[-1]), places[-1] + 1
    for i, name in enumerate(header):
        if i not in known:
            role = "extra" if start < i < end else "component"
            folder = safe_folder(name) if role == "component" else ""
            known[i] = Column(name, "unknown", cast("Role", role), folder)
    return tuple(known[i] for i in range(len(header)))
