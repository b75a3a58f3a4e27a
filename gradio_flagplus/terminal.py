"""What a person sees in a terminal: tables, a bar, and text that cannot play tricks on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from .integrity import Problem
    from .stats import Stats


def printable(text: str, most: int = 0) -> str:
    """`text` for a terminal: what would move the cursor, colour the screen or turn the line is shown as an escape."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"{text[: most - 1]}…" if most and len(text) > most else text


def counted(number: int, thing: str) -> str:
    """`1 flag`, `2 flags`, `1,000 flags`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, nothing elsewhere; gone when it is done."""
    if not sys.stderr.isatty():
        yield lambda done: None  # noqa: ARG005
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _console() -> Console:
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else 80)


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(_text(heading), justify="right" if place and len(headings) == 2 else "left", overflow="fold")
    return table


def show_stats(found: Stats) -> None:
    """Print what was counted as tables."""
    console = _console()
    rows = [("Flags", f"{found.flags:,}")]
    rows += [
        (f"  in {printable(name, 40)}", f"{found.logs[name]:,} ({_size(size)})")
        for name, size in found.log_bytes.items()
    ]
    rows.append(("Files", f"{found.files:,} ({_size(found.file_bytes)})"))
    if found.first is not None:
        rows += [("First", f"{found.first:%Y-%m-%d %H:%M:%S %Z}"), ("Last", f"{found.last:%Y-%m-%d %H:%M:%S %Z}")]
    _print_pairs(console, (printable(str(found.directory), 55), ""), rows)
    for heading, counts in (("Reason", found.reasons), ("User", found.users)):
        if counts:
            pairs = [(printable(name, 60), f"{count:,}") for name, count in counts.most_common(20)]
            if len(counts) > len(pairs):
                pairs.append((f"… and {len(counts) - len(pairs):,} more", ""))
            _print_pairs(console, (heading, "Flags"), pairs)


def _print_pairs(console: Console, headings: tuple[str, str], pairs: list[tuple[str, str]]) -> None:
    table = _table(*headings)
    for name, count in pairs:
        table.add_row(_text(name), _text(count))
    console.print(table)


def _size(number: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def show_problems(directory: Path, found: Sequence[Problem]) -> None:
    """Print the problems of a directory as a table."""
    table = _table("Problem", "Where", "What")
    for problem in found:
        where = os.path.relpath(problem.path, os.path.abspath(directory))
        row = "" if problem.row is None else f", row {problem.row}"
        table.add_row(*(_text(text) for text in (problem.kind, where + row, problem.message)))
    _console().print(table)


def _text(text: str) -> RenderableType:
    from rich.text import Text

    return Text(printable(text))  # not a str, which rich would take for markup
