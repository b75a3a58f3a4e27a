"""Where the bytes of a flag's files come from: the judge of local files, `data:` URLs, streams.

The values of a flag come from a browser, so a path in them is a claim and no more. Whatever looked at the values
before, nothing is copied that this judge did not open itself.
"""

from __future__ import annotations

import base64
import mimetypes
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote_to_bytes

from gradio.context import LocalContext
from gradio.data_classes import _StaticFiles
from gradio.utils import get_upload_folder

from .errors import FileRefused, WrongValues

_ALLOW = "If the app means to store it, name its folder in allowed_paths."
# Not blocking keeps a pipe from hanging the app, no controlling terminal keeps a terminal from taking it over.
_READ = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_NOCTTY", "O_BINARY", "O_NOINHERIT"):
    _READ |= getattr(os, _name, 0)
_WALK = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_WALK |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_WALKS = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")


class Judge:
    """Opens the files that a flag may copy, and no others.

    Allowed is a regular file that is there and, with links resolved, lies in Gradio's cache of this process, in its
    static paths (`gr.set_static_paths`) or in `allowed_paths`. Gradio's two are asked for at each call, since an app
    may set them after its logger was made.
    """

    def __init__(self, allowed_paths: Sequence[str | Path] = ()) -> None:
        self._allowed = tuple(os.path.realpath(path) for path in allowed_paths)

    def open(self, path: str | Path, caches: Iterable[str] = ()) -> BinaryIO:
        """The file at `path`, open for reading; `name` of what is returned is the path that it was found at.

        `caches` are further caches of this process: a component remembers the one it was made with. The decision
        holds for the open file, whatever becomes of its name: copy from it, and do not look it up again. Raises
        `FileRefused` for anything else; what is no regular file is not even opened.
        """
        real = self._resolved(path)
        root = next((root for root in self._roots(caches) if _is_within(real, root)), None)
        if root is None:
            raise FileRefused(path, "lies neither in Gradio's cache nor in a static or an allowed path", _ALLOW)
        try:
            if not stat.S_ISREG(os.lstat(real).st_mode):
                raise FileRefused(path, "is no regular file")
            return _opened(path, real, root)
        except OSError as error:
            raise FileRefused(path, f"cannot be read: {error.strerror or error}") from error

    def _roots(self, caches: Iterable[str]) -> list[str]:
        """The places that files may come from, as they are now, with links resolved."""
        places = [get_upload_folder(), *caches, *_StaticFiles.all_paths]
        return [*(os.path.realpath(place) for place in places), *self._allowed]

    @staticmethod
    def _resolved(path: str | Path) -> str:
        """Where `path` leads to. Text comes from outside, and Gradio itself never writes `..` into a path."""
        if isinstance(path, str) and ".." in path.replace("\\", "/").split("/"):
            raise FileRefused(path, "climbs up the folders with '..'")
        try:
            return os.path.realpath(path, strict=True)
        except (OSError, ValueError) as error:  # ValueError: a NUL in it
            raise FileRefused(str(path).replace("\0", "\ufffd"), "is not there or cannot be reached") from error


def _is_within(path: str, root: str) -> bool:
    try:
        return os.path.commonpath([os.path.normcase(path), os.path.normcase(root)]) == os.path.normcase(root)
    except ValueError:  # two drives
        return False


def _opened(path: str | Path, real: str, root: str) -> BinaryIO:
    """The resolved file, opened once and found to be the one that was judged."""
    descriptor = _walk(real, root) if _WALKS else os.open(real, _READ)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise FileRefused(path, "is no regular file")
        # Where the way to it could not be walked folder by folder, a link put in its place shows here.
        if not _WALKS and not (os.path.realpath(real) == real and os.path.samestat(os.lstat(real), found)):
            raise FileRefused(path, "changed its place while it was opened")
        return cast(BinaryIO, open(real, "rb", opener=lambda _path, _flags: descriptor))
    except BaseException:
        os.close(descriptor)
        raise


def _walk(real: str, root: str) -> int:
    """Open a file below `root` folder by folder, through no link: links were resolved before, a new one is a trick."""
    *folders, name = os.path.relpath(real, root).split(os.sep)
    if name == os.curdir:  # the root is the file itself
        return os.open(real, _READ)
    place = os.open(root, _WALK)
    try:
        for folder in folders:
            below = os.open(folder, _WALK, dir_fd=place)
            os.close(place)
            place = below
        return os.open(name, _READ, dir_fd=place)
    finally:
        os.close(place)


_MIME = {
    "image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif", "image/svg+xml": ".svg",
    "image/bmp": ".bmp", "image/avif": ".avif", "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg", "audio/webm": ".webm", "audio/mp4": ".m4a", "video/mp4": ".mp4", "video/webm": ".webm",
    "text/plain": ".txt", "text/csv": ".csv", "application/json": ".json", "application/pdf": ".pdf",
}  # fmt: skip
_SAFE_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,16}")


def extension_of(path: str, data: Mapping[Any, Any]) -> str:
    """How the stored file's name ends: like the path, or like the name the file was told to have, or by its type.

    Nothing but a dot and up to 16 ASCII letters and digits, or nothing at all.
    """
    mime, name = data.get("mime_type"), data.get("orig_name")
    for found in (
        os.path.splitext(path)[1],
        _by_type(mime),
        os.path.splitext(name)[1] if isinstance(name, str) else "",
    ):
        if _SAFE_EXTENSION.fullmatch(found):
            return found
    return ""


def _by_type(mime: object) -> str:
    if not isinstance(mime, str):
        return ""
    mime = mime.partition(";")[0].strip().lower()
    return _MIME.get(mime) or mimetypes.guess_extension(mime) or ""


def decoded_url(url: str) -> tuple[str, bytes]:
    """The type and the bytes in a `data:` URL (RFC 2397). Raises `WrongValues` if it is none."""
    header, comma, body = url.partition(",")
    mime, *parameters = header[len("data:") :].split(";")
    try:
        if not comma:
            raise ValueError("no comma")
        raw = unquote_to_bytes(body)
        if "base64" in (parameter.strip().lower() for parameter in parameters):
            raw = b"".join(raw.split())
            raw = base64.b64decode(raw + b"=" * (-len(raw) % 4), validate=True)
    except ValueError as error:
        raise WrongValues(f"'{url[:60]}…' is no data: URL that can be read: {error}. Nothing was written.") from error
    return mime.strip().lower(), raw


def streamed(component: Any, path: str) -> list[tuple[bytes, str]] | None:
    """What a streaming output has sent to its player: the chunks and their extensions. None if the stream is gone.

    Gradio keeps it in memory under the session, the run and the component, which `path` names: only the component's
    own streams are given out.
    """
    parts = path.split("/")
    blocks = _blocks_of(component)
    if blocks is None or len(parts) < 3 or parts[2] != str(component._id):
        return None
    runs = blocks.pending_streams.get(parts[0], {})
    run: Mapping[int, Any] = next((runs[key] for key in runs if str(key) == parts[1]), {})
    stream = run.get(component._id)
    if stream is None:
        return None
    chunks = getattr(stream, "segments", stream)  # Gradio 4 keeps the bytes alone
    pairs = [(c["data"], c["extension"]) if isinstance(c, Mapping) else (c, _sniffed(c)) for c in chunks if c]
    return [(data, extension) for data, extension in pairs if data]


def _sniffed(chunk: bytes) -> str:
    return ".wav" if chunk[:4] == b"RIFF" else ".mp3"


def _blocks_of(component: Any) -> Any:
    """The running app: the one whose event this is, or the one that the component stands in."""
    found = LocalContext.blocks.get(None)
    while found is None and component is not None:
        found = component if hasattr(component, "pending_streams") else None
        component = getattr(component, "parent", None)
    return found
