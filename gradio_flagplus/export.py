"""Flags for other programs: a choice of them, in one of their formats, in a directory of its own.

An export is written to a fresh place beside its own and moved there when it is whole: there never is half of one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Literal
from uuid import uuid4

from .decisions import read_decisions
from .job import Exported, Job, OutTaken
from .reader import Flag, read_flags

Format = Literal["jsonl", "imagefolder", "audiofolder", "label-studio", "parquet"]

FORMATS: tuple[Format, ...] = ("jsonl", "imagefolder", "audiofolder", "label-studio", "parquet")

# Loaded when asked for: some of them need a package that not everybody has.
_WRITERS = {
    "jsonl": ("table_files", "write_jsonl"),
    "parquet": ("table_files", "write_parquet"),
    "imagefolder": ("dataset_folder", "write_imagefolder"),
    "audiofolder": ("dataset_folder", "write_audiofolder"),
    "label-studio": ("label_studio", "write_tasks"),
}


def export_flags(
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    format: Format,  # noqa: A002
    *,
    reason: str | Iterable[str] | None = None,
    username: str | Iterable[str] | None = None,
    since: datetime | date | str | None = None,
    reviewed: str | Iterable[str] | None = None,
    numbers: Container[int] | None = None,
    copy: bool = True,
    url_prefix: str | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Exported:
    """Write the flags of `directory` to `out`, a folder that is not there yet or empty.

    `reason`, `username` and `since` choose as `FlagLog.where` does; `reviewed` keeps the flags whose latest decision
    is that one, or one of those, whatever the case of its letters; `numbers` keeps those with these numbers. Without
    `copy` the files stay where they are; `url_prefix` is where Label Studio finds them. `progress` is called with
    `"reading"` or `"writing"` and the number of flags.

    When it returns, `out` holds the whole export, with a copy of each file that is there. When it raises, `out` is as
    it was: `OutTaken`, `NothingToExport`, `CannotExport`, another `FlagplusError` if the flags cannot be read, or the
    `OSError` of a disk that refuses. `ValueError` for a format or a date that is none.
    """
    if format not in FORMATS:
        raise ValueError(f"format={format!r} is none of {', '.join(FORMATS)}.")
    log = read_flags(directory).where(reason=reason, username=username, since=since)
    target = Path(os.path.abspath(out))
    if target.resolve().is_relative_to(log.directory.resolve()):
        raise OutTaken(target, "lies in the flagging directory, where it would be taken for flags")
    module, name = _WRITERS[format]
    write = getattr(import_module(f".{module}", __package__), name)
    with _fresh(target) as place:
        wanted = _wanted(log.directory, reviewed, numbers)
        job = Job(log, wanted, place, copy, url_prefix, progress, Exported(target))
        write(job)
    return job.result


def _wanted(
    directory: Path, reviewed: str | Iterable[str] | None, numbers: Container[int] | None
) -> Callable[[Flag], bool] | None:
    sets = [] if numbers is None else [numbers]
    if reviewed is not None:
        names = {name.casefold() for name in ([reviewed] if isinstance(reviewed, str) else reviewed)}
        sets.append({n for n, latest in read_decisions(directory).items() if latest.decision.casefold() in names})
    return (lambda flag: all(flag.number in kept for kept in sets)) if sets else None


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """A new folder beside `target` that takes its place at the end, or leaves nothing behind."""
    if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
        raise OutTaken(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    place = target.parent / f".{target.name[:100]}-{uuid4().hex[:12]}"
    place.mkdir()
    try:
        yield place
        if target.is_dir():
            target.rmdir()
        place.rename(target)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
