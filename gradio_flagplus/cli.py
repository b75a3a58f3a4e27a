"""The command `flagplus`: what can be done with flags without writing Python.

Exits with 0, with 1 if something was found or failed, with 2 if it was called wrongly.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .errors import FlagplusError
from .terminal import counted, printable, progress, show_problems, show_stats

if TYPE_CHECKING:
    from .integrity import Problem
    from .stats import Stats

app = typer.Typer(
    name="flagplus",
    help="Count, check, export, adopt and review the flags of a Gradio app.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Directory = Annotated[Path, typer.Argument(help="A flagging directory.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


class Format(str, Enum):
    """What `export` writes."""

    jsonl = "jsonl"
    imagefolder = "imagefolder"
    audiofolder = "audiofolder"
    label_studio = "label-studio"
    parquet = "parquet"


def main() -> None:
    """Run the command line; the entry point of `flagplus`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a text must not end in an error
    app()


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from . import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.command(epilog="Example: flagplus stats flagged")
def stats(directory: Directory, as_json: AsJson = False) -> None:
    """Count the flags: reasons, users, the span of time, sizes."""
    from .reader import read_flags
    from .stats import count_flags

    with _told():
        with progress("Counting", len(read_flags(directory))) as advance:
            found = count_flags(directory, advance)
        if as_json:
            typer.echo(json.dumps(_stats_json(found), ensure_ascii=False, indent=2))
        else:
            show_stats(found)


@app.command(epilog="Example: flagplus check flagged --fix")
def check(
    directory: Directory,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended; nothing a person could miss is deleted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a directory: files that are missing or belong to no flag, torn rows, stale bookkeeping."""
    from .integrity import check as find_problems

    with _told():
        found = find_problems(directory, fix=fix)
        left = find_problems(directory) if fix and found else found
        if as_json:
            typer.echo(
                json.dumps(
                    {"found": [_problem_json(p) for p in found], "left": len(left)}, ensure_ascii=False, indent=2
                )
            )
        else:
            _tell_problems(directory, found, len(left), fix=fix)
    if left:
        raise typer.Exit(1)


@app.command(epilog="Example: flagplus export flagged dataset --format imagefolder --reason wrong")
def export(
    directory: Directory,
    out: Annotated[Path, typer.Argument(help="A folder that does not exist yet.", show_default=False)],
    format: Annotated[Format, typer.Option("--format", help="What to write.", show_default=False)],  # noqa: A002
    reason: Annotated[list[str] | None, typer.Option(help="Only flags with this reason; may be repeated.")] = None,
    user: Annotated[list[str] | None, typer.Option(help="Only flags of this user; may be repeated.")] = None,
    since: Annotated[str | None, typer.Option(help="Only flags since then: 2026-01-31, or with a time.")] = None,
    where_reviewed: Annotated[
        list[str] | None, typer.Option(help="Only flags whose latest review decided this; may be repeated.")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy/--no-copy", help="Copy the files along.")] = True,
    url_prefix: Annotated[
        str | None, typer.Option(help="label-studio: where the files are served; its local files if not given.")
    ] = None,
) -> None:
    """Export flags for training or labeling, whole or not at all."""
    from .export import export_flags

    with _told(), progress("Exporting") as advance:
        done = export_flags(
            directory, out, format.value,
            reason=reason or None, username=user or None, since=_since(since), reviewed=where_reviewed or None,
            copy=copy, url_prefix=url_prefix, progress=lambda _, flags: advance(flags),
        )  # fmt: skip
    for note in done.notes:
        _say(f"Note: {note}")
    if done.missing:
        gone = "1 file that a flag names is gone; its value is empty."
        if done.missing > 1:
            gone = f"{done.missing:,} files that flags name are gone; their values are empty."
        _say(f"Note: {gone}")
    typer.echo(f"Wrote {counted(done.flags, 'flag')} and {counted(done.files, 'file')} to '{printable(str(out))}'.")


@app.command(epilog="Example: flagplus adopt .gradio/flagged flagged")
def adopt(
    source: Annotated[
        Path, typer.Argument(help="What Gradio's own logger wrote: its folder, or one CSV.", show_default=False)
    ],
    directory: Annotated[Path, typer.Argument(help="The flagging directory to add to.", show_default=False)],
) -> None:
    """Take over what Gradio's own loggers wrote, with its files. May be repeated: nothing is added twice."""
    from .adopt import adopt_logs

    told = _Warnings()
    with _told(), progress("Adopting") as advance:
        done = adopt_logs(source, directory, warn=told, progress=advance)
    told.sum_up()
    typer.echo(
        f"Took over {counted(done.rows, 'flag')} and {counted(done.files, 'file')} into '{printable(str(directory))}'; "
        f"{done.known} were there already, {done.left_out} were left out."
    )
    if done.left_out:
        raise typer.Exit(1)


@app.command(epilog="Example: flagplus review flagged --auth ann:secret")
def review(
    directory: Directory,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="The port to listen at; the first free one from 7860 on if not given.")
    ] = None,
    auth: Annotated[str | None, typer.Option(help="user:password, asked for before anything is shown.")] = None,
) -> None:
    """Look through the flags in the browser, and decide about each."""
    name, colon, password = (auth or "").partition(":")
    if auth is not None and not (name and colon and password):
        raise typer.BadParameter("write it as user:password", param_hint="--auth")
    with _told():
        from .review import launch

        launch(directory, host=host, port=port, auth=(name, password) if auth else None)


def _tell_problems(directory: Path, found: list[Problem], left: int, *, fix: bool) -> None:
    if not found:
        typer.echo("No problems.")
        return
    show_problems(directory, found)
    ending = f", {len(found) - left} of them mended." if fix else "; --fix mends what can be mended."
    typer.echo(f"{counted(len(found), 'problem')}{ending}")


# ---- failing, and telling how it goes


@contextmanager
def _told() -> Iterator[None]:
    """An error of ours or of the disk becomes one line on stderr and exit 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read our output has gone; typer leaves quietly
    except (FlagplusError, OSError) as error:
        _say(f"Error: {error}")
        raise typer.Exit(1) from None


def _say(text: str) -> None:
    typer.echo(printable(text), err=True)


def _since(text: str | None) -> str | None:
    """`text`, if it is a time; a usage error if not."""
    from datetime import datetime

    try:
        datetime.fromisoformat((text or "2000-01-01").replace("Z", "+00:00"))
    except ValueError:
        raise typer.BadParameter(
            "not a date or time like 2026-01-31 or 2026-01-31T12:00Z", param_hint="--since"
        ) from None
    return text


@dataclass(slots=True)
class _Warnings:
    """Prints the first warnings and counts the rest."""

    most: int = 20
    count: int = 0

    def __call__(self, text: str) -> None:
        self.count += 1
        if self.count <= self.most:
            _say(f"Warning: {text}")

    def sum_up(self) -> None:
        if self.count > self.most:
            _say(f"… and {self.count - self.most} more warnings.")


def _stats_json(found: Stats) -> dict[str, Any]:
    return {
        "directory": str(found.directory),
        "flags": found.flags,
        "logs": [{"name": n, "flags": found.logs[n], "bytes": size} for n, size in found.log_bytes.items()],
        "files": {"count": found.files, "bytes": found.file_bytes},
        "first": found.first and found.first.isoformat(),
        "last": found.last and found.last.isoformat(),
        "reasons": dict(found.reasons.most_common()),
        "users": dict(found.users.most_common()),
    }


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {"kind": problem.kind, "path": str(problem.path), "row": problem.row, "message": problem.message}
