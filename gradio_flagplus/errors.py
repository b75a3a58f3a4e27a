"""The exceptions. Each knows its path or value, and its message says what became of the data.

Every one of them is a `FlagplusError`; where Python has a built-in of the same meaning it is that, too,
so `except OSError` and `except TimeoutError` keep working.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class FlagplusError(Exception):
    """The base of every error that this package raises on purpose."""


class NotSetUp(FlagplusError, RuntimeError):
    """Raised if a `FlagLogger` is used before `setup()`, or set up for a second Interface."""


class WrongValues(FlagplusError, ValueError):
    """Raised if the values of a flag do not fit its components, in number or in kind. Nothing was written."""


class UnknownReason(FlagplusError, ValueError):
    """Raised if a flag gives a reason that was not declared, or one that cannot be stored. Nothing was written."""

    def __init__(self, reason: str, allowed: Iterable[str], why: str = "is not a declared reason") -> None:
        self.reason, self.allowed = reason, tuple(allowed)
        remedy = f" Use one of: {', '.join(map(repr, self.allowed))}." if self.allowed else ""
        super().__init__(f"{reason!r} {why}. Nothing was written.{remedy}")


class FileRefused(FlagplusError, ValueError):
    """Raised if a file may not be copied: outside the allowed places, a link out of them, no regular file, or gone.

    Nothing was written, and nothing of the file was copied.
    """

    def __init__(self, path: str | os.PathLike[str], why: str, remedy: str = "") -> None:
        self.path, self.why = Path(path), why
        super().__init__(f"'{path}' {why}. Nothing was written.{' ' + remedy if remedy else ''}")


class LogBusy(FlagplusError, TimeoutError):
    """Raised if another process holds the log for longer than `lock_timeout`. Nothing was written."""

    def __init__(self, path: Path, waited: float) -> None:
        self.path, self.waited = path, waited
        super().__init__(
            f"'{path}' is in use by another process and stayed so for {waited:g} s. Nothing was written; flag again."
        )


class LogNotWritable(FlagplusError, OSError):
    """Raised if the log or a file beside it cannot be written: no room, no right, a broken disk.

    The log was cut back to what it was, and the flag's files were taken back. `errno` is the system's.
    If `certain` is false, the disk refused even that: the row may nevertheless be there, and its files were kept.
    """

    def __init__(self, path: str | os.PathLike[str], error: OSError, *, certain: bool = True) -> None:
        self.path, self.certain = Path(path), certain
        fate = (
            "The flag was not stored and the log is as it was."
            if certain
            else "The disk refused to undo the flag too: the row may nevertheless be there, its files were kept."
        )
        super().__init__(
            f"'{path}' could not be written: {error.strerror or error}. {fate} "
            "Make room or give the app the right to write there, then flag again."
        )
        self.errno, self.strerror = error.errno, error.strerror

    def __str__(self) -> str:
        return str(self.args[0])
