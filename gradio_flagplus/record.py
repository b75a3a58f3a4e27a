r"""Cells to the bytes of one record and back; formula-safe; where a record ends.

The bytes are RFC 4180: comma, double quote, `\r\n`, UTF-8. Only this module knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from .columns import clean

LINE_END = b"\r\n"
BOM = b"\xef\xbb\xbf"
CHUNK = 1 << 22
"""How many bytes a scan reads at a time."""

# OWASP's "CSV Injection" names = + - @, tab and CR as what a spreadsheet takes for a formula; the full-width forms
# run in some locales, and blanks, line ends and quotes in front of them do not stop every spreadsheet.
_SIGN = "=+\\-@＝＋－＠"  # noqa: RUF001
_RUNS = re.compile(rf"'*[\t\r]|[\s\"'\ufeff\u200b-\u200f\u2060]*[{_SIGN}]")
_PLAIN_NUMBER = re.compile(r"-(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _would_run(text: str) -> bool:
    """Whether a spreadsheet could run `text`, or it looks as if it had been escaped before."""
    return _RUNS.match(text) is not None and _PLAIN_NUMBER.fullmatch(text) is None


def escape(text: str) -> str:
    """`text` as a cell that no spreadsheet runs: with one `'` in front where it needs one. `unescape` takes it off."""
    return f"'{text}" if _would_run(text) else text


def unescape(cell: str) -> str:
    """The text that `escape` was given. A cell that `escape` cannot have made is returned as it is."""
    return cell[1:] if cell[:1] == "'" and _would_run(cell[1:]) else cell


# `;` and tab need no quotes in RFC 4180, but separate cells in spreadsheets of many locales.
# A byte order mark at the start of a file must not be taken for the first label's.
_QUOTED = re.compile(r'[",;\t\r\n]|^\ufeff')


def field(text: str) -> bytes:
    """The bytes of one cell: cleaned, escaped, quoted where it must be. Empty text is an empty cell."""
    if text.isalnum() and text.isascii():
        return text.encode()
    text = escape(text)
    if _QUOTED.search(text):
        text = '"' + text.replace('"', '""') + '"'
    try:
        return text.encode() if "\0" not in text else clean(text).encode()
    except UnicodeEncodeError:
        return clean(text).encode()


def record(fields: Sequence[bytes]) -> bytes:
    """The bytes of one record. A lone blank cell is quoted: readers skip a line that is blank."""
    if len(fields) == 1 and not fields[0].strip():
        return b'"' + fields[0] + b'"' + LINE_END
    return b",".join(fields) + LINE_END


def encode(cells: Iterable[str]) -> bytes:
    """The bytes of the record with these cells. `decode` gives them back, cleaned of what cannot be stored."""
    return record([field(cell) for cell in cells])


_FIELD = re.compile(rb'(?:"([^"]*(?:""[^"]*)*)"([^,]*)|([^,]*))(,|\Z)', re.DOTALL)


def decode(line: bytes) -> list[str]:
    r"""The cells of one whole record, its line end included or not. There is no limit on the length of a cell.

    Takes what other programs write, too: `\n` line ends, quotes where none were needed, bytes that are not UTF-8.
    """
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    cells, place, comma = [], 0, b","
    while comma:
        match = _FIELD.match(line, place)
        assert match is not None  # the second form of a field matches anything
        quoted, tail, plain, comma = match.groups()
        cells.append(_cell(plain if quoted is None else quoted.replace(b'""', b'"') + tail))
        place = match.end()
    return cells


def _cell(raw: bytes) -> str:
    return unescape(raw.decode("utf-8", "replace"))


def _outside(chunk: bytes, quotes: np.ndarray, inside: bool) -> tuple[np.ndarray, bool]:
    r"""Where records end in `chunk`, and whether it stops inside quotes; the quotes at these offsets count.

    Returns the offsets just behind each line end that stands outside quotes, ascending, and the state to hand to the
    next chunk. `inside` says whether the chunk begins inside quotes. A line end is `\n`, with or without `\r` before
    it; it stands outside quotes if the number of `"` before it, from the start of the file, is even (RFC 4180, 2.6
    and 2.7).
    """
    line_ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == 0x0A)
    if quotes.size:
        outside = (np.searchsorted(quotes, line_ends) + inside) % 2 == 0
        line_ends = line_ends[outside]
    elif inside:
        line_ends = line_ends[:0]
    return line_ends + 1, bool((quotes.size + inside) % 2)


class Scan(NamedTuple):
    """What a scan found: the whole records, and the offset behind the last of them."""

    records: int
    end: int


def scan(file: BinaryIO, start: int = 0, stop: int | None = None, *, chunk: int = CHUNK) -> Scan:
    """Count the whole records in `file[start:stop]`; `start` must be the start of a record.

    Memory is a few times `chunk`, whatever the file's size. What follows `end` is no whole record.
    """
    records, end = 0, start
    for found, _, _ in _whole(file, start, stop, chunk):
        records += len(found)
        if len(found):
            end = int(found[-1])
    return Scan(records, end)


def lines(file: BinaryIO, start: int = 0, stop: int | None = None, *, chunk: int = CHUNK) -> Iterator[list[bytes]]:
    """The whole records in `file[start:stop]`, a list for each chunk read; an unfinished one at the end is left out."""
    for block, ends in blocks(file, start, stop, chunk=chunk):
        yield [block[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def blocks(
    file: BinaryIO, start: int = 0, stop: int | None = None, *, chunk: int = CHUNK
) -> Iterator[tuple[bytes, list[int]]]:
    """The same in one piece for each chunk read, with the offsets behind each record in it."""
    end = start
    for ends, base, data in _whole(file, start, stop, chunk):
        if len(ends):
            block = data[max(end - base, 0) : int(ends[-1]) - base]
            if end < base:  # the first record began in an earlier chunk
                file.seek(end)
                block = file.read(base - end) + block
            yield block, (ends - end).tolist()
            end = int(ends[-1])


_Chunk = tuple[np.ndarray, int, bytes]
"""The offsets of the record ends in a chunk, the chunk's own offset, and its bytes."""


def _whole(file: BinaryIO, start: int, stop: int | None, chunk: int) -> Iterator[_Chunk]:
    """The chunks of `file[start:stop]` with the ends of their whole records."""
    inside, closed, before = False, _NOWHERE, 0x0A
    for base, data in _chunks(file, start, stop, chunk):
        quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == 0x22)
        if not _all_meant(data, quotes, inside, closed, before):
            quotes = _meant(data, quotes, inside, closed, before)
        ends, inside = _outside(data, quotes, inside)
        closed = int(quotes[-1]) - len(data) if quotes.size and not inside else _NOWHERE
        before = data[-1]
        yield ends + base, base, data


def _chunks(file: BinaryIO, start: int, stop: int | None, chunk: int) -> Iterator[tuple[int, bytes]]:
    base = start
    while True:
        file.seek(base)  # whoever gets a chunk may read elsewhere before the next
        data = file.read(chunk if stop is None else min(chunk, stop - base))
        if not data:
            return
        yield base, data
        base += len(data)


# An odd quote that somebody typed into a cell by hand (`5" pipe`) would turn inside out all that follows, and the rest
# of the log would be one record without an end. So a quote counts only if it begins a cell, doubles one, or ends what
# one began; any other is a character, as it is for csv.reader. `record` never writes one of those: a log of ours, cut
# at any byte, has the same records as if every quote counted, and that all of them do is seen at memory speed.

_NOWHERE = -2


def _all_meant(data: bytes, quotes: np.ndarray, inside: bool, closed: int, before: int) -> bool:
    """Whether every quote in `data` counts. `closed` is the offset of the last quote that ended something."""
    opening = quotes[int(inside) :: 2]
    if opening.size and opening[0] == 0:
        if before not in b",\n" and closed != -1:
            return False
        opening = opening[1:]
    return bool(_OPENS[np.frombuffer(data, np.uint8)[opening - 1]].all())


_OPENS = np.zeros(256, bool)
_OPENS[list(b',\n"')] = True
"""The bytes that an opening quote can follow; behind another quote it is the second of a pair."""


def _meant(data: bytes, quotes: np.ndarray, inside: bool, closed: int, before: int) -> np.ndarray:
    """Those of `quotes` that count."""
    meant = []
    for place in quotes.tolist():
        previous = data[place - 1] if place else before
        if inside or place - 1 == closed or previous in b",\n":
            meant.append(place)
            inside, closed = not inside, place if inside else _NOWHERE
    return np.array(meant, np.intp)
