"""A component's value becomes what a cell holds: plain values, and files where the value names files.

What arrives is what the browser sends (Gradio runs the flag event without preprocessing), or what a Python caller
hands to `flag()`. Gradio's shapes live here and nowhere else:

- A file is a dict with Gradio's mark, `{"path": …, "meta": {"_type": "gradio.FileData"}}`; all of it becomes that one
  file, wherever it stands: an Image, Audio, Video, File or Model3D cell is a path, a Gallery cell
  `[{"image": "g/3-0.png", "caption": "a cat"}, …]`, a MultimodalTextbox cell `{"text": …, "files": [paths]}`, an
  ImageEditor cell `{"background": path, "layers": [paths], "composite": path}`, and so on: Gradio's own shape, with a
  path where a file was. A Video with subtitles is `{"video": path, "subtitles": path}`, without them just a path.
- A dict with a `path` and without the mark is refused where files are carried, and data like any other in JSON,
  State and text.
- A remote URL stays a URL; a `data:` URL becomes a file; a streamed output is stored as what was streamed so far.
"""

from __future__ import annotations

import json
import mimetypes
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import gradio as gr
import numpy as np
from gradio.components.base import Component
from PIL import Image

from . import images
from .cells import StagedFile, json_text, parse_json
from .columns import untaken
from .errors import FileRefused, WrongValues
from .files import Staging
from .kinds import Traits, column_of, is_password, label_of, traits_of
from .sources import Judge, decoded_url, extension_of, streamed
from .trees import NUMBERS, Whole, rebuilt

__all__ = ["Judge", "column_of", "convert", "is_password", "label_of"]

Redact = Callable[[str], str]


def convert(
    component: Component,
    value: object,
    *,
    staging: Staging,
    judge: Judge,
    decode_webp: bool = True,
    redact: Redact | None = None,
) -> object:
    """The tree for `cells.cell_of`: text, numbers, bools, None, lists and dicts, with a `StagedFile` for each file.

    When it returns, every file of the value lies in `staging`. `redact` has seen every text (file names, captions and
    the `repr` of live objects and the keys of data, too) before anything touched the disk. An update
    dict (`gr.update()`) counts as the value it sets.

    Raises `FileRefused` if the value names a file that may not be copied, `WrongValues` if it cannot be what the
    component holds, `LogNotWritable` if staging fails. Staged files are the caller's to discard.
    """
    if value is None:
        return None
    traits = traits_of(component)
    if isinstance(value, str | int | float) and not (traits.file or traits.hook):
        return redact(value) if redact and isinstance(value, str) else _plain(value)
    return _Conversion(component, traits, staging, judge, decode_webp, redact).run(value)


def _plain(value: Any) -> object:
    """A NumPy scalar as the number it is."""
    return value.item() if isinstance(value, np.generic) else value


_REMOTE = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Conversion:
    """One value on its way in."""

    component: Component
    traits: Traits
    staging: Staging
    judge: Judge
    decode_webp: bool
    redact: Redact | None

    def run(self, value: Any) -> object:
        if isinstance(value, Mapping) and value.get("__type__") == "update":
            value = value.get("value")
        if self.traits.hook and value is not None:
            return self.hooked(value)
        return self.tree(self.shaped(value))

    def tree(self, value: object) -> object:
        """`value` with its files staged and its texts redacted."""
        as_is = NUMBERS if self.redact or self.traits.media else NUMBERS | {str}
        return rebuilt(value, self.visit, as_is)

    def shaped(self, value: Any) -> object:
        """A value that is not yet what the browser would send, brought into that shape."""
        if self.traits.file and isinstance(value, str):
            return self.named(value)
        if self.traits.file and isinstance(value, Mapping) and "video" in value and not value.get("subtitles"):
            return value["video"]
        if isinstance(self.component, gr.Audio) and isinstance(value, tuple):
            return self.sound(value)
        if isinstance(self.component, _LISTS) and isinstance(value, list | tuple):
            return [self.listed(member) for member in value]
        if isinstance(self.component, gr.MultimodalTextbox) and isinstance(value, Mapping) and value.get("files"):
            return {**value, "files": [self.listed(member) for member in value["files"]]}
        if isinstance(value, Mapping | list | tuple | str) or not isinstance(self.component, gr.Dataframe | gr.Plot):
            return value
        if isinstance(self.component, gr.Plot) and hasattr(value, "savefig"):
            figure = self.staging.write(images.png_of_figure(value), ".png")
            return {"type": "matplotlib", "plot": figure}
        return self.postprocessed(value)

    def listed(self, member: Any) -> object:
        """A member of a list of files: text is a path, a URL or a `data:` URL; a pair has a caption with it."""
        if isinstance(member, str):
            return self.named(member)
        if isinstance(member, tuple) and len(member) == 2:
            return [self.listed(member[0]), member[1]]
        return member

    def postprocessed(self, value: object) -> object:
        try:
            return cast(Any, self.component).postprocess(value).model_dump()
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise self.wrong(value) from error

    def wrong(self, value: object) -> WrongValues:
        shape = f" of shape {value.shape} and dtype {value.dtype}" if isinstance(value, np.ndarray) else ""
        return WrongValues(
            f"{type(value).__name__}{shape} is nothing that {type(self.component).__name__} "
            f"{label_of(self.component)!r} can hold. Nothing was written."
        )

    def visit(self, node: Any) -> object:
        """What stands for `node`: a leaf, or a list or dict whose members will be visited in turn."""
        if isinstance(node, str):
            return self.decoded(node) if self.traits.media and node.startswith("data:") else self.text(node)
        if node is None or isinstance(node, int | float | list | tuple | StagedFile):
            return _plain(node)
        if isinstance(node, Mapping):
            return self.data(node) if self.traits.data else self.mapping(node)
        if isinstance(node, np.generic):
            return self.visit(node.item())
        return self.said(node) if self.traits.data else self.python_value(node)

    def data(self, node: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """A dict of a visitor's data: its keys are their text, too, and two that become equal are both kept."""
        if not self.redact:
            return node
        told: dict[Any, Any] = {}
        for key, value in node.items():
            plain = key is None or isinstance(key, int | float)
            told[key if plain else untaken(self.text(key if isinstance(key, str) else repr(key)), told)] = value
        return told

    def text(self, text: str) -> str:
        return self.redact(text) if self.redact else text

    def said(self, node: object) -> object:
        """A live object: as it is, so that the cell holds its `repr`; that goes through `redact` if there is one."""
        return self.text(json.loads(json_text(node))) if self.redact else node

    def python_value(self, node: Any) -> object:
        """What only a Python caller can have handed over."""
        if isinstance(node, np.ndarray | Image.Image):
            return self.picture(node)
        if isinstance(node, Path):
            return self.copied(node, {})
        if hasattr(node, "model_dump"):
            return self.visit(node.model_dump())
        if is_dataclass(node) and not isinstance(node, type):
            return {field.name: getattr(node, field.name) for field in fields(node)}
        if self.traits.file:
            raise self.wrong(node)
        return self.text(node.isoformat()) if hasattr(node, "isoformat") else self.said(node)

    def picture(self, node: Any) -> object:
        if isinstance(self.component, _NO_PICTURES):
            raise self.wrong(node)
        if not (self.traits.file or self.traits.media or isinstance(node, Image.Image)):
            return node.tolist()
        return self.staging.write(images.png_of(node), ".png")

    def sound(self, value: tuple[Any, ...]) -> StagedFile:
        if len(value) != 2 or not isinstance(value[1], np.ndarray) or not isinstance(value[0], int | np.integer):
            raise self.wrong(value)
        return self.staging.write(images.wav_of(*value), ".wav")

    def mapping(self, node: Mapping[Any, Any]) -> object:
        if _is_marked(node):
            return self.file(node)
        if node.get("path") is not None:
            if self.traits.refuses:
                raise FileRefused(str(node["path"]), "comes in a dict without Gradio's mark of a file")
            return node
        url = node.get("url")
        if isinstance(url, str) and (self.traits.file or self.traits.media):
            if url.startswith("data:"):
                return self.decoded(url, node)
            if self.traits.file and _REMOTE.match(url):
                return self.text(url)
        return node

    def file(self, data: Mapping[Any, Any]) -> object:
        """The file that a marked dict stands for, or its URL where that is remote. The path goes before the URL."""
        path, url = data.get("path"), data.get("url")
        if data.get("is_stream"):
            return self.streamed(str(path), data)
        for place in (path,) if path else (url,):
            if isinstance(place, str) and place.startswith("data:"):
                return self.decoded(place, data)
            if isinstance(place, str) and _REMOTE.match(place):
                return self.text(place)
        if isinstance(path, str) and path:
            return self.copied(path, data)
        if path or url:
            raise FileRefused(str(path or url), "is no path")
        return None

    def named(self, text: str) -> object:
        """Text in place of a file: a `data:` URL, a remote URL, or a path like any other."""
        if text.startswith("data:"):
            return self.decoded(text)
        return text if not text or _REMOTE.match(text) else self.copied(text, {})

    def copied(self, path: str | Path, data: Mapping[Any, Any]) -> StagedFile:
        """The local file at `path`, if the judge allows it.

        It is copied, never linked: Gradio writes a picture that it makes once more into the same cache file, and an
        app may work on the files it was given. What was flagged must not change with them.
        """
        with self.judge.open(path, [self.component.GRADIO_CACHE]) as file:
            name = self.name_of(data)
            if self.decode_webp and _is_gradios_webp(file.name, data) and (png := images.png_of_webp(file)) is not None:
                return self.staging.write(png, ".png", name)
            return self.staging.copy(file, self.extension(file.name, data), name)

    def extension(self, path: str, data: Mapping[Any, Any]) -> str:
        """What the stored name ends in. Where texts are redacted, only what is known to end names: the rest is text."""
        found = extension_of(path, data)
        return found if not self.redact or mimetypes.guess_type(f"x{found}")[0] else ""

    def name_of(self, data: Mapping[Any, Any]) -> str:
        """The file's own name, as it was told: a text to be stored, never a path to be used."""
        name = data.get("orig_name")
        return self.text(name) if isinstance(name, str) else ""

    def decoded(self, url: str, data: Mapping[Any, Any] | None = None) -> StagedFile:
        """The file in a `data:` URL (RFC 2397)."""
        data = data or {}
        mime, raw = decoded_url(url)
        if mime == "image/webp" and self.decode_webp and isinstance(self.component, gr.Plot):
            raw, mime = images.png_of_webp(BytesIO(raw)) or raw, "image/png"
        return self.staging.write(raw, extension_of("", {**data, "mime_type": mime}), self.name_of(data))

    def streamed(self, path: str, data: Mapping[Any, Any]) -> StagedFile | None:
        """What a streaming output has streamed so far, chunk after chunk, as its player has it."""
        chunks = streamed(self.component, path)
        if chunks is None:
            raise FileRefused(path, "is a stream that is no longer there")
        if not chunks:
            return None
        return self.staging.write(b"".join(data for data, _ in chunks), chunks[0][1], self.name_of(data))

    # ---- components with a flag() of their own

    def hooked(self, value: object) -> object:
        """What the component's own `flag()` makes of the value; what it leaves in its folder is kept.

        It gets copies of the files that may be copied, so it sees none that the judge has not allowed, and texts that
        went through `redact`. Text that it returns stays as it is, unless it is a JSON list or object, or a path of
        what it left. Raises `WrongValues` if it raises.
        """
        given: dict[str, StagedFile] = {}
        value = rebuilt(value, lambda node: self.allowed(node, given))
        folder = self.staging.folder()
        try:
            result: Any = self.component.flag(value, folder)
        except Exception as error:  # somebody else's code: whatever it raises is this flag's failure, no more
            what = f"flag() of {type(self.component).__name__} {label_of(self.component)!r}"
            raise WrongValues(f"{what} raised {type(error).__name__}: {error}. Nothing was written.") from error
        if isinstance(result, str) and result[:1] in ("{", "["):
            with suppress(ValueError):
                result = parse_json(result)
        return rebuilt(result, lambda node: self.left(node, folder, given))

    def allowed(self, node: Any, given: dict[str, StagedFile]) -> object:
        """`node` as the hook may see it: a file dict names a staged copy."""
        if self.traits.data or not isinstance(node, Mapping):
            return self.text(node) if isinstance(node, str) else node
        if not _is_marked(node):
            return self.mapping(node) if node.get("path") is not None else node
        found = self.file(node)
        if not isinstance(found, StagedFile):
            return Whole(node)
        given[str(found.path)] = found
        return Whole({**node, "path": str(found.path)})

    def left(self, node: Any, folder: Path, given: Mapping[str, StagedFile]) -> object:
        """A leaf of the hook's result: the file that it names, or the text that it is."""
        if not isinstance(node, str):
            return _plain(node)
        if node in given:
            return given[node]
        path = _file_in(folder, node)
        if path is None:
            return self.text(node)
        return self.staging.keep(path, self.text(path.name), extension_of(path.name, {}))


def _file_in(folder: Path, text: str) -> Path | None:
    """The regular file in `folder` that `text` names, or None. Raises `FileRefused` for a link out of the folder."""
    if not 0 < len(text) < _LONGEST_PATH or ".." in Path(text).parts:
        return None
    path = folder / text
    try:
        if not (path.is_relative_to(folder) and path.is_file()):
            return None
        if path.resolve().is_relative_to(folder.resolve()):
            return path.resolve()
    except (OSError, ValueError):  # no text for a path
        return None
    raise FileRefused(text, "is a link out of the folder that flag() was given")


_LONGEST_PATH = 4096
_LISTS = (gr.File, gr.UploadButton, gr.Gallery)
_NO_PICTURES = (gr.Audio, gr.Video, gr.Model3D, gr.File, gr.UploadButton, gr.DownloadButton)


def _is_marked(data: Mapping[Any, Any]) -> bool:
    meta = data.get("meta")
    return isinstance(meta, Mapping) and meta.get("_type") == "gradio.FileData"


def _is_gradios_webp(path: str, data: Mapping[Any, Any]) -> bool:
    """Whether Gradio encoded this picture on its way to the browser.

    It calls such a file `image.webp` and tells neither size nor type of it; a browser that uploads one tells both.
    """
    told = data.get("size") is not None or data.get("mime_type") is not None
    return bool(data) and not told and os.path.basename(path).lower() == "image.webp"
