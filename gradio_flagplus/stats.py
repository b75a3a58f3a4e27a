"""What there is in a directory of flags, counted in one pass."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from .reader import Flag, FlagLog, log_paths


@dataclass(slots=True)
class Stats:
    """The flags, those of each log, how often each reason and user occurs, the span of time, sizes in bytes."""

    directory: Path
    flags: int = 0
    logs: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None
    log_bytes: dict[str, int] = field(default_factory=dict)
    files: int = 0
    file_bytes: int = 0


def count_flags(log: FlagLog, progress: Callable[[int], None] | None = None) -> Stats:
    """Look at every flag once. Memory grows with the reasons and users there are, not with the flags."""
    stats = Stats(log.directory)
    for path in log_paths(log.directory):
        stats.log_bytes[path.name] = path.stat().st_size
    stats.files, stats.file_bytes = _sizes(log.directory)
    count = 0
    for count, flag in enumerate(log, 1):
        _take(stats, flag)
        if progress is not None and not count % 1000:
            progress(count)
    stats.flags = count
    if progress is not None:
        progress(count)
    return stats


def _take(stats: Stats, flag: Flag) -> None:
    stats.logs[flag.log] += 1
    stats.reasons.update(flag.reasons)
    if (user := flag.username) is not None:
        stats.users[user] += 1
    if (moment := flag.timestamp) is not None:
        if stats.first is None or moment < stats.first:
            stats.first = moment
        if stats.last is None or moment > stats.last:
            stats.last = moment


def _sizes(directory: Path) -> tuple[int, int]:
    """The number of the files in the folders beside the logs, and their bytes. Hidden folders are not counted."""
    files = size = 0
    with os.scandir(directory) as entries:
        folders = [e.path for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files, size = files + 1, size + entry.stat(follow_symlinks=False).st_size
    return files, size
