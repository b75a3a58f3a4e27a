"""Files on their way in: stage, publish, withdraw.

Staging holds no lock, so slow copies run side by side. Publishing gives a staged file its name and never replaces
what is there. Only this module moves files.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from uuid import uuid4

from .cells import StagedFile
from .errors import LogNotWritable

# What a file system says that cannot do a thing, as against one that failed to.
UNSUPPORTED = {
    getattr(errno, name)
    for name in ("ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EINVAL", "ENOTTY")
    if hasattr(errno, name)
}  # fmt: skip
_NO_HARD_LINK = UNSUPPORTED | {errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EACCES}
OPEN_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_turn = itertools.count()

logger = logging.getLogger("gradio_flagplus")


def sync(descriptor: int) -> None:
    """fsync, knowingly doing without where the file system has none (some mounts)."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Up to `size` bytes from `offset`; fewer only at the end of the file."""
    data = _read(descriptor, size, offset)
    while 0 < len(data) < size and (more := _read(descriptor, size - len(data), offset + len(data))):
        data += more
    return data


def _seek_and_read(descriptor: int, size: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def _seek_and_write(descriptor: int, data: bytes, offset: int) -> int:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, data)


# Windows has neither of the two.
_read: Callable[[int, int, int], bytes] = getattr(os, "pread", _seek_and_read)
_write: Callable[[int, bytes, int], int] = getattr(os, "pwrite", _seek_and_write)


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write a few bytes in place. Raises `OSError` if not all of them could be written."""
    if _write(descriptor, data, offset) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Windows has no such call and needs none for NTFS's journalled names."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, fsync: bool) -> list[Path]:
    """Make `folder` and its missing parents, durably if `fsync`. Returns those that were made, outermost first."""
    made: list[Path] = []
    try:
        os.mkdir(folder)
        made = [folder]
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file is in the folder's place", str(folder)) from None
    except FileNotFoundError:
        made = [*make_folder(folder.parent, fsync=fsync), folder]
        with suppress(FileExistsError):
            os.mkdir(folder)
    if made and fsync:
        sync_folder(folder.parent)
    return made


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those folders that are empty; innermost first is the caller's business."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LogNotWritable(path, error) from error


class Staging:
    """The place of one flag's files until they are published; a context manager that leaves nothing behind.

    Every file that a method returns is whole and, with `fsync`, durable. Every method raises `LogNotWritable` if the
    disk refuses. What was not published by the end is removed.
    """

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self._folder, self._fsync = folder, fsync
        self._paths: list[Path] = []

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove the staged names. Published files stay: they have names of their own."""
        for path in self._paths:
            _remove(path)
        self._paths.clear()

    def fresh(self, extension: str = "") -> Path:
        """A path in staging that nothing has yet, for a caller who writes the file itself and then calls `keep`."""
        # Whose it is can be read off the name, so that `check` can tell a dead process's from a living one's.
        path = self._folder / f"{_HOST}-{os.getpid()}-{next(_turn)}-{uuid4().hex[:8]}{extension}"
        if not os.path.isdir(self._folder):
            with _reported(self._folder):
                make_folder(self._folder, fsync=self._fsync)
        self._paths.append(path)
        return path

    def folder(self) -> Path:
        """A fresh folder in staging, for callers who do not name their files (a component's own `flag()`)."""
        path = self.fresh()
        with _reported(path):
            path.mkdir()
        return path

    def keep(self, path: Path, name: str = "", extension: str | None = None) -> StagedFile:
        """A file that the caller wrote at a path below staging."""
        if self._fsync:
            with _reported(path), open(path, "r+b", buffering=0) as file:
                sync(file.fileno())
        return StagedFile(path, path.suffix if extension is None else extension, name)

    def write(self, data: bytes, extension: str = "", name: str = "") -> StagedFile:
        """A file with these bytes."""
        path = self.fresh(extension)
        with _reported(path), open(path, "xb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            if self._fsync:
                sync(file.fileno())
        return StagedFile(path, extension, name)

    def copy(self, source: BinaryIO, extension: str = "", name: str = "", *, link: bool = False) -> StagedFile:
        """A copy of an open file, from where it stands; with `link` the file itself under a second name, if it can be.

        Ask for a link only where the source is never written again. `source.name` must be its path. The link is
        taken by name and then proven to be the open file, so a swap of names in between gives a copy instead.
        """
        path = self.fresh(extension)
        with _reported(path):
            if not (link and self._link(source, path)):
                with open(path, "xb", buffering=0) as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                    if self._fsync:
                        sync(target.fileno())
        return StagedFile(path, extension, name)

    def _link(self, source: BinaryIO, path: Path) -> bool:
        if os.name == "nt":  # a file open for reading cannot be flushed there
            return False
        try:
            os.link(source.name, path, follow_symlinks=False)
        except (OSError, NotImplementedError):
            return False
        if not os.path.samestat(os.lstat(path), os.fstat(source.fileno())):
            path.unlink()
            return False
        if self._fsync:
            sync(source.fileno())
        return True


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):
        shutil.rmtree(path, ignore_errors=True)
    except OSError as error:
        logger.warning("'%s' could not be removed: %s. `flagplus check --fix` removes what is left.", path, error)


_HOST = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:40]
_STAGED = re.compile(r"([A-Za-z0-9_]*)-([0-9]+)-[0-9]+-[0-9a-f]{8}")


def staged_by(name: str) -> int | None:
    """The process on this machine that staged the file `name`, or None: another machine's, or nobody's."""
    match = _STAGED.match(name)
    return int(match[2]) if match and match[1] == _HOST else None


def publish(staged: Path, target: Path) -> None:
    """Give a staged file its name beside the log. Raises `FileExistsError` if anything has that name; replaces nothing.

    A second hard link rather than a rename, because a rename replaces; the staged name goes when the flag is through.
    Where there are no hard links, a rename after a look: the caller holds the lock, so no flag can come between.
    """
    try:
        os.link(staged, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        os.rename(staged, target)


def withdraw(staged: Path, target: Path) -> None:
    """Take back what `publish` did: `target` is gone and the staged file where it was."""
    if os.path.lexists(staged):
        os.unlink(target)
    else:
        os.rename(target, staged)


_NUMBERED = re.compile(r"([0-9]+)(?:-[0-9]+)?(?:\.[^/\\]*)?")


def highest_number(directory: Path) -> int:
    """The highest number that a file in a folder of `directory` bears, or -1. An unreadable folder counts as empty."""
    highest = -1
    for folder in _folders(directory):
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if match := _NUMBERED.fullmatch(entry.name):
                    highest = max(highest, int(match[1][:18]))
    return highest


def _folders(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []
