"""What there is in a directory of flags, counted in one pass."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from .bookkeeping import Books
from .columns import Column
from .flag import moment_of
from .rows import open_logs


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


def count_flags(directory: Path, progress: Callable[[int], None] | None = None) -> Stats:
    """Look at every row once, without making a `Flag` of it. Memory grows with the reasons and users there are.

    Raises `FlagplusError` if the directory or one of its logs cannot be read.
    """
    stats, joined = Stats(Path(os.path.abspath(directory))), Counter[str]()
    with ExitStack() as stack:
        for log in open_logs(stack, stats.directory, None, Books.of(stats.directory)):
            name = log.path.name
            stats.logs[name], stats.log_bytes[name] = 0, log.size
            for rows, _ in log.batches():
                _take(stats, joined, log.layout, log.padded(rows))
                stats.logs[name] += len(rows)
                stats.flags += len(rows)
                if progress is not None:
                    progress(stats.flags)
    for text, count in joined.items():
        stats.reasons.update({reason: count for reason in text.split("|") if reason})
    del stats.users[""]
    stats.files, stats.file_bytes = _sizes(stats.directory)
    return stats


def _take(stats: Stats, joined: Counter[str], columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    for place, column in enumerate(columns):
        if column.role == "reasons":
            joined.update(row[place] for row in rows)
        elif column.role == "reason":
            given = sum(row[place] not in ("", "0", "false") for row in rows)
            stats.reasons.update({column.reason: given} if given else {})
        elif column.role == "username":
            stats.users.update(row[place] for row in rows)
        elif column.role == "timestamp":
            moments = [moment for row in rows if (moment := moment_of(row[place])) is not None]
            stats.first = min([*moments, *filter(None, [stats.first])], default=None)
            stats.last = max([*moments, *filter(None, [stats.last])], default=None)


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
