"""Flags as tasks of Label Studio: `tasks.json` to import, `config.xml` to label by.

A task holds the values under `data`. What the user said is a prediction, so that a reviewer starts from it; annotations
are for truth that somebody has reviewed. Media are URLs, because Label Studio loads them in the browser: by default of
its local storage, where LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is the folder that the export lies in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from .cells import json_text
from .columns import untaken
from .job import CannotExport, Job, matches
from .reader import Flag
from .table import Field, Table

_TAGS = {
    "Image": frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".svg", ".webp", ".avif"}),
    "Audio": frozenset({".wav", ".mp3", ".flac", ".m4a", ".ogg", ".opus"}),
    "Video": frozenset({".mp4", ".webm", ".mov"}),
}
_REASON = "reason"


def write_tasks(job: Job) -> None:
    """`tasks.json`, a list with a task a flag, and the labeling configuration that fits it."""
    if not job.copies and job.url_prefix is None:
        raise CannotExport(
            "Without a copy of the files Label Studio cannot find them. Nothing was written; say where they are served "
            "with --url-prefix."
        )
    table = _keyed(job.table())
    prefix = _prefix(job)
    shown = [field for field in table.fields if not field.meta] or list(table.fields)
    with open(job.place / "tasks.json", "w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for place, flag in enumerate(job.flags(table)):
            file.write(",\n" if place else "\n")
            file.write(_strict(_task(table, flag, prefix, shown[0].name)))
        file.write("\n]\n")
    (job.place / "config.xml").write_text(_config(shown, table.reasons), encoding="utf-8")


def _keyed(table: Table) -> Table:
    """The table with names that a labeling configuration can refer to: `$my_image`."""
    taken = {_REASON}
    fields = []
    for field in table.fields:
        name = untaken(re.sub(r"[^A-Za-z0-9_]+", "_", field.name).strip("_") or "column", taken)
        taken.add(name)
        fields.append(replace(field, name=name))
    return Table(tuple(fields), table.reasons, table.rows)


def _prefix(job: Job) -> str:
    if job.url_prefix is None:
        return f"/data/local-files/?d={quote(job.result.path.name)}/"
    return job.url_prefix if job.url_prefix.endswith(("/", "=")) else f"{job.url_prefix}/"


def _task(table: Table, flag: Flag, prefix: str, shown: str) -> dict[str, Any]:
    row = table.row(flag)
    data = {field.name: _datum(field, row[field.name], flag, prefix) for field in table.fields}
    task: dict[str, Any] = {"data": data}
    if flag.reasons:
        choices = {
            "from_name": _REASON,
            "to_name": shown,
            "type": "choices",
            "value": {"choices": [_xml(reason) for reason in flag.reasons]},
        }
        task["predictions"] = [{"model_version": "flag", "result": [choices]}]
    return task


def _datum(field: Field, value: Any, flag: Flag, prefix: str) -> Any:
    """A value of the task. Label Studio refuses a task without one that its configuration asks for: empty text then."""
    if value is None:
        return ""
    if field.type == "texts" and not field.meta:
        return json_text(value)  # it is shown as text
    if field.type == "files":
        urls = [prefix + quote(path) for path in value]
        return urls if matches(field.extensions, _TAGS["Image"]) else json_text(urls)
    # A file column may hold a URL, which stays what it is.
    return prefix + quote(value) if field.type == "file" and isinstance(flag.values[field.column], Path) else value


def _strict(task: Mapping[str, Any]) -> str:
    return json.dumps(task, ensure_ascii=False, allow_nan=False)


def _config(shown: Sequence[Field], reasons: Iterable[str]) -> str:
    """A configuration that shows every column and asks for the reason."""
    lines = ["<View>"]
    for field in shown:
        lines.append(f"  <Header value={quoteattr(_xml(field.column))}/>")
        lines.append(f"  {_object(field)}")
    lines.append(f'  <Choices name="{_REASON}" toName={quoteattr(shown[0].name)} choice="multiple">')
    lines += [f"    <Choice value={quoteattr(_xml(reason))}/>" for reason in reasons or ("keep", "drop")]
    return "\n".join([*lines, "  </Choices>", "</View>", ""])


def _object(field: Field) -> str:
    """The tag that shows a column: its medium if all its files are of one, else text."""
    tag = next((tag for tag, known in _TAGS.items() if matches(field.extensions, known)), "Text")
    if field.type == "files" and tag != "Image":
        tag = "Text"
    value = "valueList" if field.type == "files" and tag == "Image" else "value"
    return f'<{tag} name="{field.name}" {value}="${field.name}"/>'


_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
