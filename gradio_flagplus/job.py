"""One export on its way: which flags, to which place, what became of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from .errors import FlagplusError
from .reader import Flag, FlagLog
from .table import Table, files_in, relative


class OutTaken(FlagplusError, FileExistsError):
    """Raised if an export may not go where it is asked to. Nothing was written."""

    def __init__(self, path: Path, why: str = "is there already and not an empty folder") -> None:
        self.path = path
        super().__init__(f"'{path}' {why}. Nothing was written; name a folder that does not exist yet.")

    def __str__(self) -> str:
        return str(self.args[0])


class NothingToExport(FlagplusError, ValueError):
    """Raised if no flag is left to be exported. Nothing was written."""


class CannotExport(FlagplusError, ValueError):
    """Raised if a format cannot be written here, or not with these options. Nothing was written."""


@dataclass(slots=True)
class Exported:
    """What was written where. `missing` counts files that rows name and that are gone; `notes` are for a person."""

    path: Path
    flags: int = 0
    files: int = 0
    missing: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Job:
    """One export on its way: which flags, and the fresh place that they go to."""

    log: FlagLog
    wanted: Callable[[Flag], bool] | None
    place: Path
    copies: bool
    url_prefix: str | None
    progress: Callable[[str, int], None] | None
    result: Exported

    def table(self, rename: Callable[[str], str] = lambda name: name) -> Table:
        """Look through the flags once."""
        table = Table.of(self.log.schema, self._flags("reading"), rename)
        if not table.rows:
            raise NothingToExport(f"No flag in '{self.log.directory}' is asked for. Nothing was written.")
        return table

    def flags(self, table: Table) -> Iterator[Flag]:
        """The flags that the table was made of, and none that came later; their files are copied along."""
        for flag in islice(self._flags("writing"), table.rows):
            self._carry(flag)
            self.result.flags += 1
            yield flag

    def _flags(self, stage: str) -> Iterator[Flag]:
        for place, flag in enumerate(filter(self.wanted, self.log), 1):
            if self.progress is not None:
                self.progress(stage, place)
            yield flag

    def _carry(self, flag: Flag) -> None:
        for path in (path for value in flag.values.values() for path in files_in(flag, value)):
            if not path.is_file():
                self.result.missing += 1
            elif self.copies:
                target = self.place / relative(flag, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                self.result.files += 1


def matches(extensions: Collection[str], allowed: Collection[str]) -> bool:
    """Whether there are extensions and all of them are allowed."""
    return bool(extensions) and all(extension in allowed for extension in extensions)
