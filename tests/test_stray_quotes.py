"""A quote that somebody typed into a log by hand must not cost the rows behind it."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_flagplus import record

TEXT = st.text(st.sampled_from("a\",;\r\n'=\t "), max_size=8)
ROWS = st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=4)


def records_of(data: bytes, chunk: int = record.CHUNK) -> list[bytes]:
    return [line for found in record.lines(io.BytesIO(data), chunk=chunk) for line in found]


def whole_before(data: bytes, rows: list[bytes]) -> list[bytes]:
    """Those of `rows` that lie in `data`, which is the beginning of all of them."""
    found, size = [], 0
    for row in rows:
        size += len(row)
        if size > len(data):
            break
        found.append(row)
    return found


@given(ROWS, st.data(), st.sampled_from([1, 2, 3, 7, record.CHUNK]))
def test_a_log_of_ours_cut_at_any_byte_has_its_whole_records_and_no_other(rows, data, chunk):
    """What the logger wrote holds no stray quote: reading it as if it did never finds a record more or less."""
    written = [record.encode(row) for row in rows]
    raw = b"".join(written)
    cut = raw[: data.draw(st.integers(0, len(raw)))]

    assert records_of(cut, chunk) == whole_before(cut, written)
    assert record.scan(io.BytesIO(cut), chunk=chunk).records == len(whole_before(cut, written))


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, record.CHUNK])
@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(b'5" pipe,2\r\n', id="inch"),
        pytest.param(b'a,5" pipe\n', id="last-cell"),
        pytest.param(b'"5"" pipe",5" pipe\r\n', id="beside-a-quoted-one"),
        pytest.param(b'x,"a"b"\r\n', id="behind-a-quoted-part"),
    ],
)
@pytest.mark.parametrize("rest", [[], [b"1,2\r\n"], [b'"a\r\nb",2\r\n', b'"say ""hi""",\r\n', b"3,4\r\n"]])
def test_rows_behind_a_stray_quote_are_read(stray, rest, chunk):
    """A quote in the middle of a cell stands for itself, and the rows behind it are rows."""
    assert records_of(b"".join([b"a,b\r\n", stray, *rest]), chunk) == [b"a,b\r\n", stray, *rest]


@pytest.mark.parametrize("chunk", [1, 4, record.CHUNK])
def test_a_torn_tail_behind_a_stray_quote_is_no_record(chunk):
    """What a crash cut off inside quotes stays unread, stray quote before it or not."""
    rows = [b"a,b\r\n", b'5" pipe,2\r\n', b"1,2\r\n"]

    assert records_of(b"".join(rows) + b'3,"to\r\nrn\r\n', chunk) == rows


def test_memory_stays_flat_behind_a_stray_quote():
    """The rest of a log behind a stray quote is read a chunk at a time, not as one record."""
    raw = b'a,b\r\n5" pipe,2\r\n' + (b"1," + b"2" * 26 + b"\r\n") * 300_000
    file = io.BytesIO(raw)
    tracemalloc.start()
    try:
        count = sum(len(found) for found in record.lines(file, chunk=1 << 16))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 300_002
    assert peak < 2 << 20
