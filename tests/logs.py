"""Flags for the tests of the log, and an oracle that knows nothing of how it works."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from gradio_flagplus.cells import cell_of
from gradio_flagplus.columns import Column, name_columns
from gradio_flagplus.log import CsvLog, Entry, Receipt

TEXT = name_columns([Column("prompt"), Column("answer"), Column("score", "json")])
IMAGE = name_columns([Column("prompt"), Column("im", "file"), Column("Output", "file")])
REASONS = Column("flag", "text", "reasons")
USERNAME = Column("username", "text", "username")
COMMENT = Column("comment", "text", "comment")


def flag_text(log: CsvLog, number: int = 0, *, text: str = "hello", **meta: str) -> Receipt:
    """Append a row of text: its second cell says which it is."""
    columns = {"flag": REASONS, "username": USERNAME, "comment": COMMENT}
    return log.append(Entry(TEXT, [text, f"answer {number}", str(number)], {columns[k]: v for k, v in meta.items()}))


def pixels(number: int, side: str) -> bytes:
    """What the file of this flag holds."""
    return f"{side} {number} ".encode() * 50


def flag_image(log: CsvLog, number: int = 0) -> Receipt:
    """Append a row with two files that say which row they belong to."""
    with log.staging() as staging:
        files = [staging.write(pixels(number, side), ".png") for side in ("in", "out")]
        return log.append(Entry(IMAGE, [f"prompt {number}", *(cell_of(file, "file") for file in files)]))


def rows(path: Path) -> list[list[str]]:
    """The rows behind the header of a log, as Python's own csv module reads them."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def all_rows(directory: Path) -> list[list[str]]:
    """The rows of every log in the directory."""
    return [row for path in sorted(directory.glob("*.csv")) for row in rows(path)]


def published(directory: Path) -> list[str]:
    """The files beside the logs, by relative path."""
    return sorted(
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and ".flagplus" not in path.parts and path.suffix != ".csv"
    )


def snapshot(directory: Path) -> dict[str, bytes]:
    """What readers see: every log and every file beside it, with its bytes; without the bookkeeping."""
    if not directory.is_dir():
        return {}
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and ".flagplus" not in path.parts
    }


def assert_whole(directory: Path, acknowledged: Sequence[int] = (), attempted: Sequence[int] = ()) -> list[int]:
    """No ragged row, no row with a wrong or missing file, nothing acknowledged lost, nothing there twice.

    Returns the flags that are there, by what their rows say.
    """
    found = []
    for path in sorted(directory.glob("*.csv")):
        with open(path, encoding="utf-8", newline="") as file:
            header, *body = csv.reader(file)
        for row in body:
            assert len(row) == len(header), (path, row)
            match = re.fullmatch(r"(?:prompt|answer) (\d+)", row[0] if row[0].startswith("prompt ") else row[1])
            assert match, row
            number = int(match[1])
            found.append(number)
            for place, side in ((header.index("im"), "in"), (header.index("Output"), "out")) if "im" in header else ():
                assert (directory / row[place]).read_bytes() == pixels(number, side), row
    assert len(set(found)) == len(found), f"twice: {sorted(found)}"
    assert set(acknowledged) <= set(found), f"lost: {set(acknowledged) - set(found)}"
    if attempted:
        assert set(found) <= set(attempted)
    return found


def orphans(directory: Path) -> set[str]:
    """Files that no row names."""
    named = {cell for row in all_rows(directory) for cell in row}
    return set(published(directory)) - named
