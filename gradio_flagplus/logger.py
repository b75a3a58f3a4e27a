"""FlagLogger: Gradio's `setup()` and `flag()`. What differs between Gradio's versions is met here."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import gradio as gr
import numpy as np
from gradio.context import LocalContext
from gradio.flagging import FlaggingCallback

from . import kinds, payload
from .cells import Cell, FileCell, cell_of, json_text, text_cell
from .columns import Column, Role, clean, name_columns
from .errors import NotSetUp, UnknownReason, WrongValues
from .files import Staging
from .log import CsvLog, Entry, Receipt
from .reader import Flag
from .rows import REVIEWS
from .trees import map_leaves

logger = logging.getLogger("gradio_flagplus")

Redact = Callable[[str, str], str]
_LIST = "list"
"""Marks a column of names that is a list even of one: its component holds lists of files."""


class FlagLogger(FlaggingCallback):
    """A flagging callback that writes what Gradio's guide promises, and loses no flag.

    Pass it to an Interface, `gr.Interface(…, flagging_callback=FlagLogger())`, or call `setup()` and `flag()`
    yourself in Blocks. One logger serves one Interface.

    Args:
        reasons: The reasons a flag may give. Their column is there from the start and any other reason is refused.
            Without them any reason is taken, and the column is there as soon as a flag gives one.
        reason_columns: `"joined"` writes them as `wrong|blurry` into one column `flag`, as pandas' `str.get_dummies`
            reads it; `"one-hot"` writes 1 or 0 into a column `flag: wrong` for each declared reason.
        comment: Have the column `comment` from the start. It appears with the first comment anyway.
        timestamp: Add the column `timestamp`, last: the time of the flag, ISO 8601, in UTC.
        row_id: Add the column `id`: a random UUID for each flag.
        extra_columns: More columns, each a constant or a callable that is asked at each flag.
        original_names: Add a column `<label> name` for each file column: the names that the files had on the
            visitor's machine; a JSON list where the column holds lists of files.
        exclude: Labels of components that are never stored. `gr.Textbox(type="password")` never is.
        redact: Called as `redact(column, text)` for every text that is to be stored, inside lists and dicts too, for
            comments, names and extra columns; what it returns is stored. Nothing else of the text touches the disk.
        allowed_paths: Folders and files that may be copied from, beside Gradio's cache and static paths.
        log_name: The name of the log. `"log.csv"` makes `gr.Interface(examples=<flagging_dir>)` work.
        decode_webp: Store as PNG what Gradio encoded as WebP on its way to the browser.
        fsync: Survive a power loss, not only the death of the process.
        lock_timeout: Seconds to wait for another process before `LogBusy` is raised.
        on_flag: Called with the stored `Flag` after the commit. If it fails that is logged; the flag stands.

    Raises:
        ValueError: if an argument makes no sense, with the reason why.
    """

    def __init__(
        self,
        *,
        reasons: Sequence[str] | None = None,
        reason_columns: Literal["joined", "one-hot"] = "joined",
        comment: bool = False,
        timestamp: bool = False,
        row_id: bool = False,
        extra_columns: Mapping[str, object] | None = None,
        original_names: bool = False,
        exclude: Sequence[str] = (),
        redact: Redact | None = None,
        allowed_paths: Sequence[str | Path] = (),
        log_name: str = "logs.csv",
        decode_webp: bool = True,
        fsync: bool = True,
        lock_timeout: float = 30.0,
        on_flag: Callable[[Flag], None] | None = None,
    ) -> None:
        self._reasons = _declared(reasons, reason_columns)
        self._one_hot = reason_columns == "one-hot"
        wanted: dict[Role, bool] = {
            "reasons": bool(self._reasons),
            "reason": True,
            "comment": comment,
            "extra": True,
            "original name": original_names,
            "id": row_id,
            "timestamp": timestamp,
        }
        self._always = {role for role, always in wanted.items() if always}
        self._extras = dict(extra_columns or {})
        self._exclude = _not_text("exclude", exclude)
        self._redact = redact
        self._judge = payload.Judge(_not_text("allowed_paths", allowed_paths))
        self._decode_webp = decode_webp
        self._open_log = partial(CsvLog, log_name=log_name, fsync=fsync, lock_timeout=lock_timeout)
        self._open_log(os.curdir)  # a log name that cannot be is refused now, not at the first flag
        if REVIEWS.place(log_name):
            raise ValueError(f"log_name={log_name!r} is where reviews are kept.")
        self._on_flag = on_flag
        self._log: CsvLog | None = None
        self._components: list[Any] = []
        self._columns: tuple[Column, ...] = ()
        self._places: list[int] = []
        self._bearers: set[int] = set()
        self._served: object = None
        self._texts: set[int] = set()
        self._meta: list[Column] = []
        self._sided = False

    @property
    def reasons(self) -> tuple[str, ...]:
        """The declared reasons; empty where any reason is taken."""
        return self._reasons

    # ---- Gradio's two hooks

    def setup(self, components: Sequence[Any], flagging_dir: str | Path) -> None:
        """Learn which components' values will be flagged, and where to.

        Creates nothing on disk and does not fail because of the disk: a folder that cannot be written to is logged as
        a warning now and raised at the first flag. May be called again for the same components and directory.

        Raises `NotSetUp` if the logger already serves other components or another directory, and `ValueError` if
        `exclude` names a label that no component has, or nothing would be left to be stored.
        """
        components = list(components)
        places, columns = self._stored(components)
        stored = dict(zip(places, name_columns(columns), strict=True))
        bearers = [place for place, column in stored.items() if column.folder]
        named = name_columns([*columns, *self._meta_columns(components, stored)])
        if not places and not self._always.intersection(column.role for column in named):
            raise ValueError("nothing would be stored: every component is excluded or a password.")
        log = self._open_log(flagging_dir)
        # Components that would be stored alike are not the same: another order could bring a password to light.
        served = (log.directory, named, places, [type(component) for component in components])
        if self._log is not None and served != self._served:
            raise NotSetUp(
                f"one FlagLogger per Interface: this one already serves [{_names(self._columns)}] in "
                f"'{self._log.directory}' and cannot serve [{_names(named[: len(columns)])}] in '{log.directory}' too. "
                "Nothing was changed; give each Interface a FlagLogger() of its own."
            )
        self._components, self._places, self._bearers = components, places, set(bearers)
        self._texts = {place for place in places if not kinds.traits_of(components[place]).carries}
        self._columns, self._meta = named[: len(columns)], list(named[len(columns) :])
        if self._log is None:
            self._log, self._served = log, served
        _warn_if_unwritable(log.directory)

    def flag(
        self,
        flag_data: Sequence[Any],
        flag_option: str | Sequence[str] | None = None,
        username: str | None = None,
        comment: str | None = None,
    ) -> int:
        """Store one flag.

        `flag_data` holds one value for each component of `setup()`, in its order, as Gradio hands them over with
        `preprocess=False`; Python values (arrays, PIL images, data frames, figures, `pathlib.Path`) are taken, too.
        `flag_option` is a reason or several.

        When it returns, the row and every file it names survive a crash. Returns the number of flags in all logs of
        the directory. When it raises, the directory is as it was and the error has been logged with its traceback,
        since Gradio shows "Error!" at most: `NotSetUp`, `WrongValues`, `UnknownReason`, `FileRefused`, `LogBusy`, or
        `LogNotWritable`.
        """
        try:
            return self._flag(flag_data, _reasons(flag_option), username or None, comment or None)
        except Exception:
            logger.exception("A flag was not stored.")
            raise

    # ---- what setup() finds out

    def _stored(self, components: list[Any]) -> tuple[list[int], list[Column]]:
        """Which components are stored, and their columns, not yet told apart by name."""
        labels = [kinds.label_of(c) or f"component {place}" for place, c in enumerate(components)]
        unknown = [label for label in self._exclude if label not in labels]
        if unknown:
            raise ValueError(f"exclude={unknown!r}: no component has this label. The labels are {labels!r}.")
        places = [
            place
            for place, component in enumerate(components)
            if labels[place] not in self._exclude and not kinds.is_password(component)
        ]
        return places, [kinds.column_of(components[place], labels[place]) for place in places]

    def _meta_columns(self, components: list[Any], columns: Mapping[int, Column]) -> list[Column]:
        """Every meta column a flag could come to need, in the order of the format."""
        hot = [Column(f"flag: {reason}", "json", "reason", reason=reason) for reason in self._reasons]
        extras = [
            Column(name, "text" if isinstance(value, str) else "json", "extra") for name, value in self._extras.items()
        ]
        # Where a component can hold several files their names are a list, so the column holds JSON.
        names = [
            Column(
                f"{column.name} name",
                "text" if kinds.is_one_file(components[place]) else "json",
                "original name",
                component="" if column.kind == "file" else _LIST,
            )
            for place, column in columns.items()
            if column.folder
        ]
        return [
            *(hot if self._one_hot else [Column("flag", "text", "reasons")]),
            Column("comment", "text", "comment"),
            Column("username", "text", "username"),
            *extras,
            *(names if "original name" in self._always else []),
            Column("id", "text", "id"),
            Column("timestamp", "text", "timestamp"),
        ]

    # ---- what flag() does

    def _flag(self, values: Sequence[Any], reasons: list[str], username: str | None, comment: str | None) -> int:
        if self._log is None:
            raise NotSetUp(
                "this FlagLogger was not set up. Nothing was written. In Blocks nobody calls setup() for you: call "
                'logger.setup([component, …], "flagged") once, before the app starts.'
            )
        values = self._one_for_each(values)
        self._check_reasons(reasons)
        if not self._sided:
            self._columns, self._sided = self._with_sides(), True
        log = self._log
        with log.staging() as staging:
            cells = self._cells(values, staging)
            meta = self._meta_texts(reasons, username, comment, cells)
            receipt = log.append(Entry(self._columns, cells, meta))
        self._tell(receipt)
        return receipt.total

    def _one_for_each(self, values: Sequence[Any]) -> list[Any]:
        """The values, one a component. A unified Interface in `auto` mode hands them over twice."""
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise WrongValues(
                f"flag() was given {values!r:.80}, not one value for each of the {len(self._components)} components "
                f"[{_names(self._columns)}]. Nothing was written. Pass a list, in the order given to setup()."
            )
        values, expected = list(values), len(self._components)
        if len(values) == 2 * expected and _same(values[:expected], values[expected:]):
            return values[expected:]
        if len(values) != expected:
            raise WrongValues(
                f"{len(values)} values were flagged for {expected} components [{_names(self._columns)}]. Nothing was "
                "written. Pass one value for each component given to setup(), in the same order."
            )
        return values

    def _with_sides(self) -> tuple[Column, ...]:
        """The columns, each knowing whether its component is an input or an output of the app that is running."""
        sides = _sides([self._components[place] for place in self._places])
        return tuple(replace(column, side=side) for column, side in zip(self._columns, sides, strict=True))

    def _check_reasons(self, reasons: list[str]) -> None:
        for reason in reasons:
            if self._reasons and reason not in self._reasons:
                raise UnknownReason(reason, self._reasons)
            if "|" in reason and not self._one_hot:
                raise UnknownReason(reason, self._reasons, "holds a '|', which stands between two reasons")

    def _cells(self, values: list[Any], staging: Staging) -> list[Cell]:
        cells: list[Cell] = []
        for place, column in zip(self._places, self._columns, strict=True):
            component, value = self._components[place], values[place]
            if type(value) is str and not self._redact and place in self._texts:
                cells.append(text_cell(value, column.kind))  # by far the most frequent value
            else:
                cells.append(self._cell(component, column, value, staging))
        return cells

    def _cell(self, component: Any, column: Column, value: Any, staging: Staging) -> Cell:
        if not isinstance(value, _PLAIN) and _is_pythons(component, value) and _event_preprocesses(self._components):
            raise WrongValues(
                f"{column.name!r} was flagged with a {type(value).__name__} that Gradio made of what the browser "
                "sent. Nothing was written. Add preprocess=False to the event that calls flag()."
            )
        tree = payload.convert(
            component,
            value,
            staging=staging,
            judge=self._judge,
            decode_webp=self._decode_webp,
            redact=partial(self._redacted, column.name) if self._redact else None,
        )
        return cell_of(tree, column.kind)

    def _redacted(self, column: str, text: str) -> str:
        if self._redact is None or not text:
            return text
        redacted = self._redact(column, text)
        if not isinstance(redacted, str):
            raise WrongValues(
                f"redact({column!r}, …) returned a {type(redacted).__name__}, not text. Nothing was written."
            )
        return redacted

    def _meta_texts(
        self, reasons: list[str], username: str | None, comment: str | None, cells: list[Cell]
    ) -> dict[Column, str]:
        """The meta columns that this flag needs, and their texts."""
        given = {"reasons": reasons, "comment": comment, "username": username}
        extras, names = iter(self._extras.values()), iter(self._original_names(cells))
        texts: dict[Column, str] = {}
        for column in self._meta:
            role, text = column.role, ""
            if role not in self._always and not given.get(role):
                continue
            if role == "reasons":
                text = "|".join(reasons)
            elif role == "reason":
                text = "1" if column.reason in reasons else "0"
            elif role == "comment":
                text = self._redacted(column.name, comment or "")
            elif role == "username":
                text = self._redacted(column.name, username or "")
            elif role == "extra":
                text = self._extra_text(column, next(extras))
            elif role == "original name":
                text = self._names_text(column, next(names))
            else:
                text = str(uuid4()) if role == "id" else datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            texts[column] = text
        return texts

    def _original_names(self, cells: list[Cell]) -> Iterator[list[str]]:
        for place, cell in zip(self._places, cells, strict=True):
            if place in self._bearers:
                yield [file.name for file in cell.files] if isinstance(cell, FileCell) else []

    def _names_text(self, column: Column, names: list[str]) -> str:
        names = [self._redacted(column.name, name) for name in names]
        several = len(names) > 1 or (names and column.component == _LIST)
        return json_text(names) if several else text_cell("".join(names), column.kind)

    def _extra_text(self, column: Column, value: object) -> str:
        value = value() if callable(value) else value
        cell = cell_of(map_leaves(value, partial(self._redacted_leaf, column.name)), column.kind)
        assert isinstance(cell, str)
        return cell

    def _redacted_leaf(self, column: str, leaf: object) -> object:
        if isinstance(leaf, str):
            return self._redacted(column, leaf)
        known = leaf is None or isinstance(leaf, int | float | np.generic) or self._redact is None
        return leaf if known else self._redacted(column, repr(leaf))

    def _tell(self, receipt: Receipt) -> None:
        if self._on_flag is None or self._log is None:
            return
        record = Flag(
            self._log.directory,
            receipt.number,
            receipt.log,
            receipt.row,
            receipt.columns,
            [clean(text) for text in receipt.texts],
        )
        try:
            self._on_flag(record)
        except Exception:
            logger.exception("on_flag failed for flag %d; the flag itself is stored.", receipt.number)


def _declared(reasons: Sequence[str] | None, columns: str) -> tuple[str, ...]:
    declared = tuple(_not_text("reasons", reasons or ()))
    if columns not in ("joined", "one-hot"):
        raise ValueError(f"reason_columns={columns!r} is neither 'joined' nor 'one-hot'.")
    if columns == "one-hot" and not declared:
        raise ValueError("reason_columns='one-hot' needs to know the reasons: pass reasons=[…].")
    for reason in declared:
        if not isinstance(reason, str) or not reason:
            raise ValueError(f"reasons: {reason!r} is no text.")
        if "|" in reason and columns == "joined":
            raise ValueError(f"reasons: {reason!r} holds a '|', which stands between two reasons in the joined column.")
    if len(set(declared)) < len(declared):
        raise ValueError(f"reasons={list(declared)!r} names one twice.")
    return declared


def _not_text(name: str, values: Sequence[Any]) -> Sequence[Any]:
    if isinstance(values, str):
        raise ValueError(f"{name}={values!r} is one text; pass a list: [{values!r}].")
    return values


def _reasons(option: str | Sequence[str] | None) -> list[str]:
    """The reasons in Gradio's flag option, each once. Gradio 4 passes `""` where later versions pass None."""
    options = [option] if isinstance(option, str) else option or ()
    return list(dict.fromkeys(str(reason) for reason in options if reason not in (None, "")))


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(column.name for column in columns)


def _same(first: list[Any], second: list[Any]) -> bool:
    try:
        return bool(first == second)
    except ValueError:  # arrays and frames in a State do not say whether they are equal
        return True


_PLAIN = (int, float, type(None))


def _is_pythons(component: Any, value: Any) -> bool:
    """Whether Gradio's preprocessing, not the browser, must have made `value`."""
    traits = kinds.traits_of(component)
    if isinstance(value, str):
        return traits.file and not value.startswith(("data:", "http:", "https:"))
    if value is None or traits.data or isinstance(value, int | float):
        return False
    if isinstance(component, gr.MultimodalTextbox) and isinstance(value, dict):
        value = value.get("files") or []
    if isinstance(component, gr.File | gr.UploadButton | gr.MultimodalTextbox) and isinstance(value, list):
        return any(not isinstance(member, dict) for member in value)
    members = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    if members is None:
        return True
    return any(not isinstance(member, str | int | float | list | dict | type(None)) for member in members)


def _event_preprocesses(components: list[Any]) -> bool:
    """Whether we are called from an app with an event that hands all these components over with `preprocess=True`."""
    blocks = LocalContext.blocks.get(None)
    if blocks is None:
        return False
    ours = {id(component) for component in components}
    events = getattr(blocks, "fns", {})
    return any(
        event.preprocess and ours.issubset(id(component) for component in event.inputs)
        for event in (events.values() if isinstance(events, dict) else events)
    )


def _warn_if_unwritable(directory: Path) -> None:
    # os.path swallows what the disk says to a question; pathlib raises some of it.
    existing = next((path for path in (directory, *directory.parents) if os.path.exists(path)), None)
    if existing is None or not os.path.isdir(existing) or not os.access(existing, os.W_OK | os.X_OK):
        logger.warning(
            "'%s' cannot be written to, so flags cannot be stored in '%s'. The app runs on; the first flag will fail.",
            existing or directory,
            directory,
        )


def _sides(components: Sequence[Any]) -> list[str]:
    """`input` or `output` for each component, as far as the running app's events tell, else empty."""
    blocks = LocalContext.blocks.get(None)
    events = getattr(blocks, "fns", None) or {}
    ours = {id(component) for component in components}
    made, given = set(), set()
    for event in events.values() if isinstance(events, dict) else events:
        inputs, outputs = ({id(c) for c in group} & ours for group in (event.inputs, event.outputs))
        if event.fn is not None and inputs and outputs - inputs:
            made |= outputs - inputs
            given |= inputs
    return ["output" if id(c) in made else "input" if id(c) in given else "" for c in components]
