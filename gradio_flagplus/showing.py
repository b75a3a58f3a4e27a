"""One flag on the review page: each value in the component of its kind, and text always as text."""

from __future__ import annotations

import html
import inspect
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from .cells import json_text
from .columns import Column
from .decisions import Decision
from .layout import own_files
from .reader import Flag
from .trees import map_leaves

logger = logging.getLogger("gradio_flagplus")

_LONGEST = 20_000  # characters of one value that are shown
_MOST_ROWS = 500
_MOST_FILES = 60
_PICTURES = {".png", ".jpg", ".jpeg", ".jfif", ".gif", ".webp", ".bmp", ".svg", ".avif", ".ico"}
_SOUNDS = {".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".m4a", ".aac"}
_FILMS = {".mp4", ".webm", ".mov", ".ogv", ".mkv", ".m4v"}


def show_values(flag: Flag) -> None:
    """Put the flag's values on the page, inputs and outputs apart where that is known. Call it inside Blocks."""
    columns = [column for column in flag.columns if column.role == "component"]
    for side, title in (("input", "Inputs"), ("output", "Outputs"), ("", "Other values")):
        group = [column for column in columns if column.side == side]
        if group:
            with gr.Column(min_width=280):
                if len(group) < len(columns):
                    gr.HTML(f"<h3 class='flagplus-title'>{title}</h3>")
                for column in group:
                    _show(flag, column)


def _show(flag: Flag, column: Column) -> None:
    value, text = flag.values.get(column.name), dict(zip(_names(flag), flag.texts, strict=False)).get(column.name, "")
    if value is None:
        _text(column.name, "", "leads out of the directory and is not shown" if text else "empty")
    elif files := list(own_files(value, column, str(flag.directory), flag.number)):
        _files(flag, column, value, files)
    elif column.component == "dataframe" and isinstance(value, dict) and isinstance(value.get("data"), list):
        _table(column.name, value)
    elif isinstance(value, dict | list):
        _json(column.name, value)
    else:
        _text(column.name, value if isinstance(value, str) else json_text(value))


def _names(flag: Flag) -> list[str]:
    return [column.name for column in flag.columns]


def _text(label: str, text: str, hint: str = "") -> None:
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}\n… and {len(text) - _LONGEST:,} characters more; the log has them all."
    gr.Textbox(text, label=label, placeholder=hint, lines=1, max_lines=12, interactive=False)


def _json(label: str, value: object) -> None:
    text = json_text(value)
    if len(text) > _LONGEST:
        _text(label, text)
    else:
        # NaN and the infinities are Python's JSON, not the browser's.
        gr.JSON(json.loads(text, parse_constant=str), label=label)


def _table(label: str, value: dict[str, Any]) -> None:
    rows = [row if isinstance(row, list) else [row] for row in value["data"][:_MOST_ROWS]]
    width = max(map(len, rows), default=0)
    headers = [str(header) for header in value.get("headers") or ()][:width]
    headers += [str(place + 1) for place in range(len(headers), width)]
    more = len(value["data"]) - len(rows)
    if not width:
        _json(label, value)
        return
    gr.Dataframe(
        [[_cell(cell) for cell in [*row, *[None] * (width - len(row))]] for row in rows],
        headers=headers,
        datatype="str",
        label=f"{label} (and {more:,} rows more)" if more else label,
        interactive=False,
        wrap=True,
    )


def _cell(cell: object) -> str:
    return "" if cell is None else cell if isinstance(cell, str) else json_text(cell)


def _files(flag: Flag, column: Column, value: object, files: Sequence[str]) -> None:
    there = [path for path in files if os.path.isfile(path)]
    for path in files:
        if path not in there:
            _text(column.name, f"{_relative(flag, path)} is missing: the row names it, but it is not in the directory.")
    if there:
        _guarded(column, there[:_MOST_FILES])
    rest = _without_files(flag, value, set(files))
    if rest is not None:
        _json(f"{column.name} (the whole value)", rest)


def _without_files(flag: Flag, value: object, files: set[str]) -> object | None:
    """The value with its files as they stand in the row; None where it is nothing but files."""
    said: list[object] = []

    def relative(leaf: object) -> object:
        if isinstance(leaf, str) and leaf in files:
            return _relative(flag, leaf)
        if leaf is not None:
            said.append(leaf)
        return leaf

    if isinstance(value, Path):
        return None
    told = map_leaves(value, relative)
    return told if said else None


def _relative(flag: Flag, path: str) -> str:
    return os.path.relpath(path, flag.directory).replace(os.sep, "/")


def _guarded(column: Column, paths: Sequence[str]) -> None:
    """Show files; one that is not what its name says must not take the page with it."""
    try:
        _media(column, [cached(path) for path in paths])
    except Exception as error:  # noqa: BLE001  ffmpeg, Pillow and Gradio raise what they like about a broken file
        logger.warning("'%s' cannot be shown: %s", paths[0], error)
        _text(column.name, f"{', '.join(os.path.basename(path) for path in paths)} cannot be shown; it may be broken.")


def _media(column: Column, paths: list[str]) -> None:
    kinds = {_kind(path, column.component) for path in paths}
    kind = kinds.pop() if len(kinds) == 1 else "file"
    if kind == "image" and len(paths) > 1:
        wide = min(3, len(paths))
        gr.Gallery(
            paths, label=column.name, columns=wide, object_fit="contain", interactive=False, **_unshared(gr.Gallery)
        )
    elif len(paths) == 1 and kind != "file":
        _PLAYERS[kind](paths[0], label=column.name, interactive=False, **_unshared(_PLAYERS[kind]))
    else:
        gr.File(paths[0] if len(paths) == 1 else paths, label=column.name, interactive=False)


_PLAYERS: dict[str, Callable[..., Any]] = {"image": gr.Image, "audio": gr.Audio, "video": gr.Video}


def _unshared(player: Callable[..., Any]) -> dict[str, Any]:
    """No button that puts what visitors flagged on the Hub for all to see."""
    if "show_share_button" in inspect.signature(player).parameters:
        return {"show_share_button": False}
    return {"buttons": ["download"] if player is gr.Audio else ["download", "fullscreen"]}


def _kind(path: str, component: str) -> str:
    extension = os.path.splitext(path)[1].casefold()
    if extension in _PICTURES:
        return "image"
    if component == "audio" and extension in _FILMS:
        return "audio"  # a recording in a film's container
    return "audio" if extension in _SOUNDS else "video" if extension in _FILMS else "file"


def cached(path: str) -> str:
    """A copy of the file in Gradio's cache, which is all that the page serves: the directory itself stays closed.

    Raises `OSError` if it cannot be read.
    """
    found = os.stat(path)
    copy = _copy(path, found.st_mtime_ns, found.st_size)
    if not os.path.exists(copy):  # the cache was emptied
        _copy.cache_clear()
        copy = _copy(path, found.st_mtime_ns, found.st_size)
    return copy


@lru_cache(maxsize=4096)
def _copy(path: str, changed: int, size: int) -> str:  # noqa: ARG001  a changed file is another one
    return str(save_file_to_cache(path, get_upload_folder()))


# ---- what is said about a flag; all of it escaped


def facts(flag: Flag) -> str:
    """Who flagged, when, why, and what else stands in the row beside its values, as HTML."""
    reasons = "".join(f"<span class='flagplus-reason'>{_safe(reason)}</span>" for reason in flag.reasons)
    said = [
        ("Reasons", reasons or _nothing("none given")),
        ("Comment", _safe(flag.comment) if flag.comment else _nothing("none")),
        ("User", _safe(flag.username) if flag.username else _nothing("not known")),
        ("Time", _safe(moment(flag.timestamp)) if flag.timestamp else _nothing("not recorded")),
        *((_safe(name), _safe(_cell(value))) for name, value in _others(flag)),
        ("Row", f"{flag.row + 1:,} of {_safe(flag.log)}"),
    ]
    rows = "".join(
        f"<div{_WIDE if len(text) > 120 else ''}><dt>{name}</dt><dd>{text}</dd></div>" for name, text in said
    )
    return f"<h2 class='flagplus-title'>Flag {flag.number}</h2><dl class='flagplus-facts'>{rows}</dl>"


_WIDE = " class='flagplus-wide'"


def _others(flag: Flag) -> Iterable[tuple[str, object]]:
    for column in flag.columns:
        if column.role in ("extra", "original name", "id") and flag.values.get(column.name) is not None:
            yield column.name, flag.values[column.name]


def verdict(decision: Decision | None) -> str:
    """What was decided, by whom and when, as HTML."""
    if decision is None:
        return "<p class='flagplus-verdict'>Not reviewed yet.</p>"
    by = f" by {_safe(decision.username)}" if decision.username else ""
    at = f", {moment(decision.timestamp)}" if decision.timestamp else ""
    note = f"<br>{_safe(decision.note)}" if decision.note else ""
    return f"<p class='flagplus-verdict flagplus-done'><strong>{_safe(decision.decision)}</strong>{by}{at}{note}</p>"


def line(flag: Flag, decision: Decision | None) -> str:
    """The flag in one line, for the list."""
    parts = [f"#{flag.number}", f"[{decision.decision}]" if decision else "", ", ".join(flag.reasons)]
    return " · ".join(part for part in [*parts, flag.username or "", flag.comment or _preview(flag)] if part)[:200]


def _preview(flag: Flag) -> str:
    """The first text of the row that is no file."""
    texts = dict(zip(_names(flag), flag.texts, strict=False))
    for column in flag.columns:
        if column.role == "component" and column.kind in ("text", "json", "unknown") and texts.get(column.name):
            return " ".join(texts[column.name][:200].split())
    return ""


def moment(when: datetime | None) -> str:
    """A time as people read it, in UTC."""
    if when is None:
        return ""
    with suppress(OverflowError):
        when = when.astimezone(timezone.utc)
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def _nothing(text: str) -> str:
    return f"<span class='flagplus-nothing'>{text}</span>"


def _safe(text: str) -> str:
    return html.escape(text[:_LONGEST])
