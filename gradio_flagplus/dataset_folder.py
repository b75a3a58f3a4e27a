"""Flags as a directory that `datasets.load_dataset` of Hugging Face loads: ImageFolder and AudioFolder.

What `datasets` would get wrong by itself is said in the `README.md`: which split there is (or a folder named `test`
becomes one and the metadata is dropped), which files belong to it, and what each column holds (or a column without a
value has no type, and `[]` none either). A column whose name ends in `_file_name` would be taken for the path of a
file, so that ending is changed in the export.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cells import json_text
from .job import CannotExport, Job, matches
from .reader import Flag
from .table import Field, Table, Type
from .table_files import arrow, write_rows

_IMAGES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".ico", ".ppm",
    ".pgm", ".pbm", ".pnm", ".tga", ".jp2",
})  # fmt: skip
_SOUNDS = frozenset({".wav", ".mp3", ".flac", ".ogg", ".opus", ".aiff", ".au", ".caf", ".w64"})


@dataclass(frozen=True, slots=True)
class _Medium:
    """What one kind of export is made of: extensions that `datasets` knows, and components that hold nothing else."""

    feature: str
    extensions: frozenset[str]
    components: frozenset[str]


_IMAGE = _Medium("image", _IMAGES, frozenset({"image"}))
_AUDIO = _Medium("audio", _SOUNDS, frozenset({"audio"}))


def write_imagefolder(job: Job) -> None:
    """An ImageFolder: columns of images as images, all others beside them."""
    _write(job, _IMAGE)


def write_audiofolder(job: Job) -> None:
    """An AudioFolder: columns of sounds as sounds, all others beside them."""
    _write(job, _AUDIO)


def _write(job: Job, medium: _Medium) -> None:
    if not job.copies:
        raise CannotExport(f"A folder of {medium.feature}s holds its files. Nothing was written; leave out --no-copy.")
    table = job.table(_unmistakable)
    media = [field for field in table.fields if _is_medium(field, medium)]
    if not any(field.extensions for field in media):
        raise CannotExport(
            f"No column holds {medium.feature}s alone, so there is no {medium.feature}folder to make. Nothing was "
            "written; use the format jsonl or parquet."
        )
    folders: dict[str, None] = {}
    dated, foreign = _Dated(), Counter[str]()
    keys = {field.name: _key(field, media) for field in table.fields}
    with open(job.place / "metadata.jsonl", "w", encoding="utf-8", newline="\n") as file:
        for flag in job.flags(table):
            row = _row(table, flag, media, foreign)
            folders.update(dict.fromkeys(path.split("/")[0] for field in media for path in _paths(row[field.name])))
            dated.take(row)
            file.write(json_text({keys[name]: value for name, value in row.items()}) + "\n")
    job.result.notes += [
        f"{count} cells of {name!r} hold a URL, not a file, and are left empty." for name, count in foreign.items()
    ]
    name = _as_parquet(job, table, keys) if dated.found else "metadata.jsonl"
    (job.place / "README.md").write_text(_readme(table.fields, media, medium, [name, *folders]), encoding="utf-8")


def _is_medium(field: Field, medium: _Medium) -> bool:
    if field.type not in ("file", "files"):
        return False
    return matches(field.extensions, medium.extensions) or (
        not field.extensions and field.component in medium.components
    )


_ENDING = re.compile(r"(^|_)file_(names?)\Z")


def _unmistakable(name: str) -> str:
    """A name that `datasets` does not take for that of a column of paths."""
    return _ENDING.sub(r"\1file\2", name)


def _key(field: Field, media: Iterable[Field]) -> str:
    """The key in the metadata: `im_file_name` makes a feature `im`."""
    if field not in media:
        return field.name
    return f"{field.name}_file_names" if field.type == "files" else f"{field.name}_file_name"


def _paths(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def _row(table: Table, flag: Flag, media: Iterable[Field], foreign: Counter[str]) -> dict[str, Any]:
    row = table.row(flag)
    for field in media:
        value = row[field.name]
        # A URL in place of a file: `datasets` takes paths only.
        if isinstance(value, str) and not isinstance(flag.values.get(field.column), Path):
            row[field.name] = None
            foreign[field.column] += 1
    return row


_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d(?::?\d\d(?::?\d\d)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?")


class _Dated:
    """Whether a row holds text that pyarrow's reader of JSON would take for a date, and so change."""

    found = False

    def take(self, row: Mapping[str, Any]) -> None:
        if not self.found:
            texts = (text for value in row.values() for text in (value if isinstance(value, list) else [value]))
            self.found = any(isinstance(text, str) and _DATE.fullmatch(text) for text in texts)


def _as_parquet(job: Job, table: Table, keys: Mapping[str, str]) -> str:
    """The metadata once more as Parquet, in which text stays text; where pyarrow is not installed, a note."""
    lines = job.place / "metadata.jsonl"
    if arrow() is None:
        job.result.notes.append("Text that looks like a date will be loaded as one; install pyarrow and export again.")
        return lines.name
    fields = [Field(keys[field.name], field.column, field.type) for field in table.fields]
    with open(lines, encoding="utf-8", newline="\n") as file:
        write_rows(job.place / "metadata.parquet", fields, map(json.loads, file))
    lines.unlink()
    return "metadata.parquet"


_DTYPES: Mapping[Type, str] = {"bool": "bool", "int": "int64", "float": "float64"}


def _readme(fields: Iterable[Field], media: list[Field], medium: _Medium, files: list[str]) -> str:
    """The dataset card. Its YAML is written as JSON texts, which YAML is a superset of."""
    patterns = [files[0], *(f"{_glob(folder)}/*" for folder in files[1:])]
    lines = ["---", "configs:", "- config_name: default", "  data_files:", "  - split: train", "    path:"]
    lines += [f"    - {json.dumps(pattern)}" for pattern in patterns]
    lines.append("  features:")
    for field in fields:
        dtype = medium.feature if field in media else _DTYPES.get(field.type, "string")
        word = "sequence" if field.type in ("texts", "files") else "dtype"
        lines += [f"  - name: {json.dumps(field.name)}", f"    {word}: {dtype}"]
    return "\n".join([*lines, "---", "", "Flags of a Gradio app, exported by gradio_flagplus.", ""])


def _glob(folder: str) -> str:
    """A pattern for a folder's name: what means more than itself becomes `?`."""
    return re.sub(r"[\[\]*?]", "?", folder)
