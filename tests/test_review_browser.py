"""The review page, used by a person with a real browser."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
import pytest
from PIL import Image

from gradio_flagplus import FlagLogger, review_page
from gradio_flagplus import record as records
from gradio_flagplus.decisions import decide, read_decisions

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = (
    "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>${window.pwned=1}{{7*7}} "
    "**bold** [link](javascript:window.pwned=1) <a href='javascript:window.pwned=1'>x</a> $x^2$"
)
TITLE = "h2.flagplus-title"


@pytest.fixture
def logger(flag_dir: Path, tmp_path: Path) -> FlagLogger:
    """A logger for one of each kind of component."""
    logger = FlagLogger(timestamp=True, fsync=False, allowed_paths=[tmp_path])
    parts = [
        gr.Textbox(label="question"),
        gr.Image(label="photo"),
        gr.JSON(label="scores"),
        gr.Dataframe(label="table"),
    ]
    logger.setup(parts, flag_dir)
    return logger


@pytest.fixture
def flagged(logger: FlagLogger, tmp_path: Path) -> Callable[..., int]:
    """Flag a text, with a picture and the rest beside it."""
    picture = tmp_path / "picture.png"
    Image.new("RGB", (80, 60), "teal").save(picture)

    def flag(text: str, *said: str, username: str | None = None, comment: str | None = None) -> int:
        table = {"headers": ["a", text], "data": [["1", text]]}
        return logger.flag([text, picture, {"why": text}, table], list(said), username, comment)

    return flag


@pytest.fixture
def visit(page: Page, serve: Callable[..., str], flag_dir: Path) -> Callable[[], Page]:
    """Open the review page and wait until it shows something."""

    def start() -> Page:
        page.goto(serve(review_page(flag_dir)))
        page.locator(f"{TITLE}:visible, .flagplus-empty:visible").first.wait_for()
        return page

    return start


def shows(page: Page, title: str) -> None:
    """Wait until the page shows this flag."""
    page.locator(TITLE, has_text=title).wait_for()


def listed(page: Page, count: int) -> list[str]:
    """The lines of the list, once there are so many."""
    page.wait_for_function(f"document.querySelectorAll('#flagplus-list label').length === {count}")
    return page.locator("#flagplus-list label").all_inner_texts()


def test_look_filter_decide_and_undo(flagged: Callable[..., int], visit: Callable[[], Page], flag_dir: Path) -> None:
    """The newest flag first, with what was flagged; a filter; a decision that is on disk; and back."""
    flagged("first question", "wrong", username="ann")
    flagged("second question", "wrong", "blurry", username="bob", comment="too dark")
    flagged("third question")
    page = visit()
    shows(page, "Flag 2")

    assert [text.split(" ")[0] for text in listed(page, 3)] == ["#2", "#1", "#0"]

    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Text in the row").fill("SECOND")
    page.get_by_label("Text in the row").press("Enter")
    shows(page, "Flag 1")
    assert len(listed(page, 1)) == 1
    page.locator("#flagplus-values textarea").first.wait_for()
    page.wait_for_function("document.querySelector('#flagplus-values textarea').value === 'second question'")
    page.locator("#flagplus-values img").first.wait_for()
    assert "too dark" in page.locator(".flagplus-facts").inner_text()

    page.get_by_label("Note").fill("seen, it is")
    page.get_by_label("Your name").fill("reviewer")
    page.get_by_role("button", name="accepted", exact=True).click()
    page.locator(".flagplus-done").wait_for()
    decision = read_decisions(flag_dir)[1]
    assert (decision.decision, decision.note, decision.username) == ("accepted", "seen, it is", "reviewer")
    assert page.get_by_label("Note").input_value() == ""

    page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_text("Not reviewed yet.").wait_for()
    assert read_decisions(flag_dir)[1].decision == ""
    assert (flag_dir / "reviews.csv").read_bytes().count(b"\r\n") == 3


def test_keys_go_from_flag_to_flag(flagged: Callable[..., int], visit: Callable[[], Page]) -> None:
    """j is the next, k the one before; while somebody types they are letters."""
    for text in ("first", "second", "third"):
        flagged(text)
    page = visit()
    shows(page, "Flag 2")

    page.keyboard.press("j")
    shows(page, "Flag 1")
    page.keyboard.press("k")
    shows(page, "Flag 2")
    page.get_by_label("Note").press_sequentially("jk")
    assert page.get_by_label("Note").input_value() == "jk"
    assert page.locator(TITLE).inner_text() == "Flag 2"


def test_two_reviewers_lose_nothing(flagged: Callable[..., int], visit: Callable[[], Page], flag_dir: Path) -> None:
    """What somebody else decided meanwhile stays on record, and the later decision counts."""
    flagged("first")
    page = visit()
    decide(flag_dir, 0, "rejected", username="somebody else")

    page.get_by_role("button", name="fixed", exact=True).click()
    page.locator(".flagplus-done", has_text="fixed").wait_for()

    assert read_decisions(flag_dir)[0].decision == "fixed"
    assert b"0,rejected,,somebody else" in (flag_dir / "reviews.csv").read_bytes()


def test_what_was_flagged_is_never_markup(flagged: Callable[..., int], visit: Callable[[], Page]) -> None:
    """Tags, scripts, templates, markdown and javascript: links are text wherever they are shown."""
    flagged(HOSTILE, HOSTILE.replace("|", ""), username=HOSTILE, comment=HOSTILE)
    page = visit()
    page.wait_for_function("document.querySelector('#flagplus-values textarea')?.value.startsWith('<img')")
    page.get_by_label("Note").fill(HOSTILE)
    page.get_by_label("Your name").fill(HOSTILE)
    page.get_by_role("button", name="accepted", exact=True).click()
    page.locator(".flagplus-done").wait_for()
    page.get_by_role("tab", name="Overview").click()
    page.get_by_text("as filtered on the first tab").wait_for()

    assert page.evaluate("window.pwned") is None
    assert page.locator("img[src=x], a[href^='javascript'], .prose strong:text-is('bold')").count() == 0
    assert "**bold**" in page.locator(".flagplus-verdict").inner_text()


def test_an_empty_directory_says_what_to_do(visit: Callable[[], Page], flagged: Callable[..., int]) -> None:
    """No list, no buttons to press in vain; and the first flag is there when one looks again."""
    page = visit()
    assert "no such directory yet" in page.locator(".flagplus-empty").inner_text()
    assert not page.get_by_role("button", name="accepted").is_visible()

    flagged("the first of all")
    page.get_by_role("button", name="Look for new flags").click()
    shows(page, "Flag 0")


def test_a_missing_file_is_said(flagged: Callable[..., int], visit: Callable[[], Page], flag_dir: Path) -> None:
    """The rest of the flag is shown all the same."""
    flagged("where is it")
    (flag_dir / "photo" / "0.png").unlink()
    page = visit()

    page.locator("#flagplus-values textarea").nth(1).wait_for()
    said = [box.input_value() for box in page.locator("#flagplus-values textarea").all()]
    assert any("photo/0.png is missing" in text for text in said)


def test_the_filtered_flags_are_exported(
    flagged: Callable[..., int], visit: Callable[[], Page], tmp_path: Path
) -> None:
    """The download holds the flags that the filter shows, their files, and no others."""
    flagged("keep this")
    flagged("leave that")
    page = visit()
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Text in the row").fill("keep")
    page.get_by_label("Text in the row").press("Enter")
    shows(page, "Flag 0")

    page.get_by_role("tab", name="Export").click()
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_text("1 flags with 1 files").wait_for()
    with page.expect_download() as download:
        page.locator("a[download$='.zip']").first.click()
    download.value.save_as(tmp_path / "export.zip")

    with zipfile.ZipFile(tmp_path / "export.zip") as packed:
        (table,) = [name for name in packed.namelist() if name.endswith(".jsonl")]
        rows = [json.loads(row) for row in packed.read(table).splitlines()]
        assert [row["question"] for row in rows] == ["keep this"]
        assert [name for name in packed.namelist() if name.endswith(".png")] == ["photo/0.png"]


def test_ten_thousand_flags_have_pages(logger: FlagLogger, visit: Callable[[], Page], flag_dir: Path) -> None:
    """The newest of many are on the first page, the others a few clicks away."""
    logger.flag(["question 0", None, None, None])
    row = (flag_dir / "logs.csv").read_bytes().split(b"\r\n")[1]
    cells = records.decode(row)
    with open(flag_dir / "logs.csv", "ab") as log:
        log.writelines(records.encode([f"question {n}", *cells[1:]]) for n in range(1, 10_000))
    page = visit()
    shows(page, "Flag 9999")

    assert listed(page, 15)[0].startswith("#9999")
    page.get_by_role("button", name="Older").click()
    shows(page, "Flag 9984")
    page.get_by_text("Page 2 of 667").wait_for()
    assert "10,000 flags" in page.locator(".flagplus-quiet").first.inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_runs_out_of_the_window(
    flagged: Callable[..., int], visit: Callable[[], Page], width: int, theme: str
) -> None:
    """Wide and narrow, light and dark: no part of the page is wider than the window."""
    flagged("W" * 400, "a reason that is rather long, as reasons go", username="w" * 80, comment="W" * 300)
    page = visit()
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{page.url.split('?')[0]}?__theme={theme}")
    page.wait_for_function("document.querySelector('#flagplus-values textarea')?.value.startsWith('W')")

    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    out = page.evaluate(
        "[...document.querySelectorAll('button, label, dd, textarea, h1, h2')].filter(part => part.offsetParent"
        " && !part.closest('[class*=table]') && part.getBoundingClientRect().right > innerWidth + 1)"
        ".map(part => part.outerHTML.slice(0, 80))"
    )
    assert out == []
