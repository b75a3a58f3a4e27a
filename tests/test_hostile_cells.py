"""No cell runs in a spreadsheet, and every text comes back: thousands of texts, and LibreOffice itself."""

from __future__ import annotations

import csv
import io
import os
import random
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gradio_flagplus import record
from gradio_flagplus.columns import Column, clean, name_columns
from gradio_flagplus.entry import Entry
from gradio_flagplus.log import CsvLog

SIGNS = "=+-@＝＋－＠"  # noqa: RUF001
BEFORE = ["", " ", "  ", "\t", "\r", "\n", "\r\n", "'", "''", '"', '""', "' "]
BEFORE += ["\ufeff", "\u200b", "\u00a0", "\u3000", "\x0b", ","]
AFTER = ["", "1", "1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://x","y")', "SUM(1,1)", " x"]
AFTER += ["5", "1e5", "\t1", "\n=2", '"', "'", ";1"]
TEXTS = [before + sign + after for before in BEFORE for sign in SIGNS for after in AFTER]
PLAIN = ["-5", "-1.5", "-.5", "-1e5", "-1E+5", "0", "5", "1.50", "a=b", "x-y", "me@example.com"]
PLAIN += ["", "a'b", "1,5", "true"]


def generated(count: int) -> list[str]:
    """Texts of all the characters that CSV, spreadsheets and this package give a meaning, mixed at random."""
    made = random.Random(13)
    alphabet = [*SIGNS, *"'\"\t\r\n ,;|!()0159.eEaé😀\ufeff\u200b\u00a0\\\0\x7f\x1b\ud800", "\r\n", "SUM(1)"]
    return ["".join(made.choices(alphabet, k=made.randint(1, 9))) for _ in range(count)]


HOSTILE = TEXTS + PLAIN + generated(3000)


def would_run(cell: str) -> bool:
    """OWASP's rule: a cell runs if it begins with tab or CR, or its first character that counts is a sign."""
    rest = cell.lstrip(' \t\r\n\v\f"\u00a0\u3000\ufeff\u200b')
    return cell[:1] in ("\t", "\r") or (rest[:1] in tuple(SIGNS) and rest[:1] != "" and not is_number(cell))


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell[0] in "-.0123456789" and "_" not in cell and cell.isascii()


def test_every_text_is_read_back():
    """Thousands of texts that try to be formulas come back as they were, whichever way the log is read."""
    lines = record.encode(["x", "y"]) + b"".join(record.encode([text, "y"]) for text in HOSTILE)
    ours = [record.decode(line) for chunk in record.lines(io.BytesIO(lines)) for line in chunk][1:]
    pythons = list(csv.reader(io.StringIO(lines.decode(), newline="")))[1:]

    assert [cells[0] for cells in ours] == [clean(text) for text in HOSTILE]
    assert [record.unescape(cells[0]) for cells in pythons] == [clean(text) for text in HOSTILE]


def test_no_cell_would_run():
    """What stands in the log begins with nothing that a spreadsheet runs, whatever stood in the text."""
    lines = b"".join(record.encode([text, "y"]) for text in HOSTILE)
    cells = [row[0] for row in csv.reader(io.StringIO(lines.decode(), newline=""))]

    assert [cell for cell in cells if would_run(cell)] == []


@pytest.mark.parametrize("text", PLAIN)
def test_what_cannot_run_is_untouched(text):
    """Numbers and plain text stand in the log as they are."""
    assert record.escape(text) == text


def test_escaping_is_reversible_at_any_depth():
    """Escaped text is text, too: escaped n times, it comes back after n times."""
    for text in HOSTILE:
        cell = clean(text)
        for _ in range(3):
            cell = record.escape(cell)
        for _ in range(3):
            cell = record.unescape(cell)

        assert cell == clean(text)


@pytest.fixture
def hostile_log(flag_dir: Path) -> Path:
    """A log with hostile headers, values, reasons, comments and user names."""
    columns = name_columns([Column("=1+1"), Column("@SUM(1)", "json"), Column("ok")])
    roles = {"flag": "reasons", "comment": "comment", "username": "username"}
    metas = [Column(name, "text", role) for name, role in roles.items()]
    log = CsvLog(flag_dir, fsync=False)
    texts = TEXTS + PLAIN + generated(300)
    for text in texts:
        log.append(Entry(columns, [text, text, "ok"], dict.fromkeys(metas, text or "x")))
    return flag_dir / "logs.csv"


@pytest.mark.stress
@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")
@pytest.mark.parametrize("evaluate", ["false", "true"], ids=["default", "formulas-allowed"])
def test_libreoffice_evaluates_no_cell(hostile_log, tmp_path, evaluate):
    """LibreOffice opens the hostile log, and no cell of it is a formula, not even where formulas are allowed."""
    # Tokens of the CSV filter: separator, quote, UTF-8, first line, formats …, and 13th whether formulas are evaluated.
    options = f"44,34,76,1,,0,false,true,false,false,false,-1,{evaluate}"
    sheets = converted(hostile_log, tmp_path, options)

    assert sheets
    cells = [cell for sheet in sheets for cell in sheet.iter() if cell.tag.endswith("}table-cell")]
    formulas = [cell.attrib for cell in cells if any(name.endswith("}formula") for name in cell.attrib)]
    assert len(cells) > len(TEXTS)
    assert formulas == []


def converted(log: Path, folder: Path, options: str) -> list[ElementTree.Element]:
    """The sheets that LibreOffice makes of a CSV file."""
    profile = f"-env:UserInstallation=file://{folder}/profile"
    command = ["soffice", profile, "--headless", f"--infilter=CSV:{options}", "--convert-to", "ods"]
    command += ["--outdir", str(folder), str(log)]
    environment = {**os.environ, "HOME": str(folder)}
    subprocess.run(command, check=True, capture_output=True, timeout=240, env=environment)
    made = sorted(folder.glob("logs*.ods"))
    return [ElementTree.fromstring(zipfile.ZipFile(path).read("content.xml")) for path in made]


@pytest.mark.stress
@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")
def test_libreoffice_would_evaluate_if_it_were_let(tmp_path):
    """The test before can fail: the same texts without escaping do become formulas there."""
    log = tmp_path / "logs.csv"
    log.write_text("=1+1,x\r\n-5,x\r\n")
    (sheet,) = converted(log, tmp_path, "44,34,76,1,,0,false,true,false,false,false,-1,true")

    assert any(name.endswith("}formula") for cell in sheet.iter() for name in cell.attrib)
