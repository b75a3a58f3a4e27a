"""The panel, used by a person with a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
import pytest
from live import interface

from gradio_flagplus import FlagLogger, flag_panel, read_flags

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def panel(page: Page, serve: Callable[..., str], flag_dir: Path) -> Page:
    """The page of an Interface with a panel, its input filled in."""
    demo = interface(str.upper, gr.Textbox(label="text"), gr.Textbox(label="loud"), mode="never")
    with demo:
        parts = [*demo.input_components, *demo.output_components]
        flag_panel(FlagLogger(), parts, flagging_dir=flag_dir, reasons=["wrong", "too <b>loud</b>"])
    page.goto(serve(demo))
    page.get_by_label("text", exact=True).fill("hello")
    return page


def press(page: Page) -> None:
    page.get_by_role("button", name="Flag", exact=True).click()


def toast(page: Page) -> str:
    """What the toast says, once there is one."""
    return page.locator(".toast-body").first.inner_text()


def test_two_reasons_and_a_comment_are_one_row(panel: Page, flag_dir: Path) -> None:
    """Ticked, typed, pressed: the row is there, a toast says so, and the panel is empty again."""
    panel.get_by_role("button", name="Submit").click()
    panel.wait_for_function("document.querySelectorAll('textarea')[1].value === 'HELLO'")
    panel.get_by_label("wrong").check()
    panel.get_by_label("too <b>loud</b>").check()
    panel.get_by_label("Comment").fill("far, far too loud")
    press(panel)

    assert "Flagged as wrong, too <b>loud</b>." in toast(panel)
    assert (flag_dir / "logs.csv").read_bytes() == (
        b'text,loud,flag,comment\r\nhello,HELLO,wrong|too <b>loud</b>,"far, far too loud"\r\n'
    )
    panel.wait_for_function("!document.querySelector('input[type=checkbox]:checked')")
    assert panel.get_by_label("Comment").input_value() == ""


def test_an_unwritable_folder_is_told_and_nothing_typed_is_lost(panel: Page, flag_dir: Path) -> None:
    """The toast says what is wrong and with which folder; the ticks and the comment stay."""
    flag_dir.write_text("a file is in the directory's place")
    panel.get_by_label("wrong").check()
    panel.get_by_label("Comment").fill("typed with care")
    press(panel)

    said = toast(panel)
    assert "'flagged" in said
    assert "could not be written" in said
    assert str(flag_dir.parent) not in said
    assert panel.get_by_label("wrong").is_checked()
    assert panel.get_by_label("Comment").input_value() == "typed with care"

    flag_dir.unlink()
    press(panel)
    panel.wait_for_function("!document.querySelector('input[type=checkbox]:checked')")
    (flag,) = read_flags(flag_dir)
    assert (flag.reasons, flag.comment) == (("wrong",), "typed with care")


def test_a_hasty_hand_flags_once(panel: Page, flag_dir: Path) -> None:
    """Three clicks in the same moment and a double click after it are one flag."""
    panel.get_by_label("wrong").check()
    button = panel.get_by_role("button", name="Flag", exact=True)
    button.evaluate("button => { button.click(); button.click(); button.click(); }")
    button.dblclick()
    panel.wait_for_function("!document.querySelector('input[type=checkbox]:checked')")
    panel.wait_for_load_state("networkidle")

    assert len(read_flags(flag_dir)) == 1
