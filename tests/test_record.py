"""The bytes of a record, whatever the text; and where records end, whatever the chunk."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradio_flagplus import record
from gradio_flagplus.columns import clean

# Text as it comes: anything at all, and much of what CSV and spreadsheets trip over.
WORST = st.text(st.sampled_from("\r\n\",;'=+-@\t |\\0 1eE.x\0\ud800\ufeffé😀＝－"), max_size=12)  # noqa: RUF001
TEXT = st.one_of(st.text(max_size=30), WORST)
ROWS = st.lists(st.lists(TEXT, min_size=1, max_size=4), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6))
@example([""])
@example(["", ""])
@example(["\ud800", "\0"])
@example(["'=1", "''=1", "-5", "'-5", '"=1"', "\t", "\r", "\n=1", "'\t"])
def test_a_record_reads_back_as_its_cells(cells):
    """Whatever text stands in the cells, `decode` gives it back, cleaned of NULs and lone surrogates."""
    assert record.decode(record.encode(cells)) == [clean(cell) for cell in cells]


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6))
@example([" "])
def test_pythons_csv_reads_the_same(cells):
    """Python's csv module sees the same cells, but for the `'` in front of what could run."""
    (found,) = csv.reader(io.StringIO(record.encode(cells).decode(), newline=""))
    assert [record.unescape(cell) for cell in found] == [clean(cell) for cell in cells]


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_no_cell_begins_like_a_formula(cells):
    """Behind blanks and quotes, no cell begins with a sign that a spreadsheet runs, unless it is a number."""
    (found,) = csv.reader(io.StringIO(record.encode(cells).decode(), newline=""))
    for cell in found:
        assert not cell.startswith(("\t", "\r"))
        bare = cell.lstrip(' \t\r\n"\u00a0')
        assert not bare.startswith(tuple("=+@＝＋－＠")), cell  # noqa: RUF001
        if bare.startswith("-"):
            float(cell)


@pytest.mark.parametrize("text", ["-5", "-1.5", "-1e5", "-.5", "-2.", "0", "1e9", "5", "-1E+10"])
def test_plain_numbers_are_untouched(text):
    """A number stays a number, also a negative one."""
    assert record.encode([text, "x"]) == f"{text},x\r\n".encode()


@pytest.mark.parametrize("text", ["hello", "'quoted'", "it's", "a=b", "x - y", "a@b.c", "1+1", "é", "007", "'", "' x"])
def test_harmless_text_is_untouched(text):
    """Text that no spreadsheet runs stands as it is."""
    assert record.encode([text, "x"]) == f"{text},x\r\n".encode()


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+41 79",
        "- item",
        "@bob",
        "\tx",
        "\rx",
        " =1",
        '"=1',
        "\n@x",
        "\uff0d1",
        "'=1",
        "-5x",
        "--5",
        "-",
        "-1e",
        "'\tx",
    ],
)
def test_what_could_run_gets_a_quote_that_comes_off_again(text):
    """Exactly one `'` is put in front, and exactly one is taken off."""
    raw = record.encode([text, "x"]).decode()
    (cells,) = csv.reader(io.StringIO(raw, newline=""))
    assert cells[0] == "'" + text
    assert record.decode(raw.encode())[0] == text


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(1, 40))
def test_the_scan_finds_the_records_that_were_written(rows, chunk):
    """At any chunk size the scan counts exactly the records, and `lines` gives back their bytes."""
    written = [record.encode(cells) for cells in rows]
    data = b"".join(written)
    assert record.scan(io.BytesIO(data), chunk=chunk) == (len(rows), len(data))
    assert [line for found in record.lines(io.BytesIO(data), chunk=chunk) for line in found] == written


@settings(max_examples=100, deadline=None)
@given(ROWS, st.lists(TEXT, min_size=1, max_size=4), st.integers(1, 40), st.data())
def test_a_torn_record_is_never_taken_for_a_whole_one(rows, last, chunk, data):
    """Cut anywhere in its last record, a log has exactly the records before that."""
    whole, torn = b"".join(map(record.encode, rows)), record.encode(last)
    cut = data.draw(st.integers(0, len(torn) - 1))
    found = record.scan(io.BytesIO(whole + torn[:cut]), chunk=chunk)
    assert found == (len(rows), len(whole))


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        pytest.param(b"a,b\n", ["a", "b"], id="newline"),
        pytest.param(b"a,b", ["a", "b"], id="no-line-end"),
        pytest.param(b'"a",""\r\n', ["a", ""], id="quoted-for-nothing"),
        pytest.param(b"a,\r\n", ["a", ""], id="empty-last"),
        pytest.param(b'5" pipe,b\n', ['5" pipe', "b"], id="quote-inside"),
        pytest.param(b'"a"b,c\n', ["ab", "c"], id="text-behind-a-quote"),
        pytest.param(b"\xff,b\n", ["\ufffd", "b"], id="not-utf-8"),
        pytest.param(b"\r\n", [""], id="blank"),
    ],
)
def test_what_other_programs_write_is_read_too(line, cells):
    """Line ends, quotes and bytes that we would not write are taken as Python's csv module takes them."""
    assert record.decode(line) == cells


def test_a_cell_has_no_limit():
    """A cell of 10 MB with quotes in it goes there and back."""
    text = 'x"\r\n' * 2_500_000
    assert record.decode(record.encode([text, "b"])) == [text, "b"]
