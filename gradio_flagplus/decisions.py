"""What people decided about flags when they looked through them: `reviews.csv`, beside the logs.

A decision is a row of its own, written through the same crash-safe log as the flags; the flags are not touched. Of
several decisions about one flag the latest counts, the earlier ones stay on record.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from .bookkeeping import Books
from .columns import BOOKS, Column, name_columns
from .log import CsvLog, Entry
from .reader import Flag, read_flags

REVIEWS = "reviews.csv"

_COMPONENTS = name_columns([Column("number", "json"), Column("decision"), Column("note")])
_USERNAME, _TIMESTAMP = Column("username", "text", "username"), Column("timestamp", "text", "timestamp")


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about the flag with this number, and when."""

    number: int
    decision: str
    note: str = ""
    username: str | None = None
    timestamp: datetime | None = None


def review_books(directory: Path) -> Books:
    """The bookkeeping of the reviews in `directory`."""
    return Books(directory / BOOKS / "reviews")


def decide(
    directory: str | os.PathLike[str], number: int, decision: str, note: str = "", username: str | None = None
) -> Decision:
    """Put a decision about the flag with this number on record.

    When it returns, the decision survives a crash. Raises `LogBusy` or `LogNotWritable`, and nothing was written then.
    Whether there is such a flag is not looked up.
    """
    moment = datetime.now(timezone.utc)
    meta = {_USERNAME: username or "", _TIMESTAMP: moment.isoformat(timespec="milliseconds")}
    folder = Path(os.path.abspath(directory))
    log = CsvLog(folder, log_name=REVIEWS, books=review_books(folder))
    log.append(Entry(_COMPONENTS, [str(int(number)), decision, note], meta))
    return Decision(number, decision, note, username, moment)


def read_decisions(directory: str | os.PathLike[str]) -> dict[int, Decision]:
    """The latest decision about each flag that has any, by the flag's number; empty where nobody decided anything.

    Reads without a lock while others decide. Rows that are no decisions are passed over.
    """
    folder = Path(os.path.abspath(directory))
    rows = read_flags(folder, log_name=REVIEWS, books=review_books(folder))
    return {decision.number: decision for row in rows if (decision := _decision(row)) is not None}


def _decision(row: Flag) -> Decision | None:
    values = row.values
    try:
        number = int(values["number"])
    except (KeyError, TypeError, ValueError):
        return None
    text, note = values.get("decision"), values.get("note")
    return Decision(number, str(text or ""), str(note or ""), row.username, row.timestamp)
