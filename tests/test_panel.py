"""flag_panel without a browser: what it puts on the page, what it stores, what it tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from live import Refused, interface

from gradio_flagplus import FlagLogger, UnknownReason, flag_panel, read_flags
from gradio_flagplus.panel import _Click, _Clicks
from gradio_flagplus.toasts import Toast

SAID = ["wrong", "blurry"]


@pytest.fixture
def panel(flag_dir: Path) -> Callable[..., Any]:
    """A panel over one textbox; gives what its button calls, with the session and the login to call it with."""

    def build(logger: FlagLogger | None = None, **options: Any) -> Callable[..., Any]:
        with gr.Blocks() as demo:
            box = gr.Textbox(label="text")
            flag_panel(logger or FlagLogger(), [box], flagging_dir=flag_dir, **options)
        fns = demo.fns.values() if isinstance(demo.fns, dict) else demo.fns
        (press,) = [event.fn for event in fns]

        def pressed(ticked: list[str], comment: str, text: str, *, session: str = "a", user: str | None = None) -> Any:
            return press(SimpleNamespace(session_hash=session, username=user), ticked, comment, text)

        return pressed

    return build


def test_ticks_comment_and_name_are_one_row(panel: Callable[..., Any], flag_dir: Path) -> None:
    """What was ticked, typed and who did it stand in the row, and the panel is emptied."""
    answer = panel(reasons=SAID)(["wrong", "blurry"], " too dark ", "hello", user="ann")

    assert answer == ([], "")
    assert (flag_dir / "logs.csv").read_bytes() == (
        b"text,flag,comment,username\r\nhello,wrong|blurry,too dark,ann\r\n"
    )


def test_a_flag_needs_nothing_ticked(panel: Callable[..., Any], flag_dir: Path) -> None:
    """Pressing the button alone is a flag without reasons."""
    panel(reasons=SAID)([], "", "hello")

    (flag,) = read_flags(flag_dir)
    assert (flag.values["text"], flag.reasons, flag.comment) == ("hello", (), None)


def test_reasons_can_have_a_column_each(panel: Callable[..., Any], flag_dir: Path) -> None:
    """The logger's one-hot columns work with several ticks, and its declared reasons are offered by themselves."""
    panel(FlagLogger(reasons=SAID, reason_columns="one-hot"))(["blurry", "wrong"], "", "hello")

    assert (flag_dir / "logs.csv").read_bytes() == b"text,flag: wrong,flag: blurry\r\nhello,1,1\r\n"


def test_the_button_comes_back(flag_dir: Path) -> None:
    """The panel gives its button, so that more can be tied to it."""
    with gr.Blocks():
        box = gr.Textbox(label="text")
        assert isinstance(flag_panel(FlagLogger(), [box], flagging_dir=flag_dir), gr.Button)


def test_the_panel_fits_into_an_interface(flag_dir: Path, open_app: Callable[..., Any]) -> None:
    """`with demo:` puts it on an Interface; with a login the row names who flagged."""
    demo = interface(str.upper, gr.Textbox(label="in"), gr.Textbox(label="out"), mode="never")
    with demo:
        parts = [*demo.input_components, *demo.output_components]
        flag_panel(FlagLogger(), parts, flagging_dir=flag_dir, reasons=SAID)

    tab = open_app(demo, auth=("ann", "secret"))
    tab.fill("in", "hello")
    tab.press("Submit")
    tab.fill("Reasons", ["wrong", "blurry"])
    tab.fill("Comment", "too loud")
    tab.press("Flag")

    assert (flag_dir / "logs.csv").read_bytes() == (
        b"in,out,flag,comment,username\r\nhello,HELLO,wrong|blurry,too loud,ann\r\n"
    )
    assert (tab.shown("Reasons"), tab.shown("Comment")) == ([], "")


def test_panels_in_two_tabs_keep_apart(flag_dir: Path, open_app: Callable[..., Any]) -> None:
    """Each panel of an app has its own components, logger and directory."""
    with gr.Blocks() as demo:
        for name in ("one", "two"):
            with gr.Tab(name):
                box = gr.Textbox(label=f"text {name}")
                flag_panel(FlagLogger(), [box], flagging_dir=flag_dir / name, comment=False)

    tab = open_app(demo)
    tab.fill("text one", "first")
    tab.fill("text two", "second")
    tab.press("Flag", nth=1)

    assert not (flag_dir / "one").exists()
    assert (flag_dir / "two" / "logs.csv").read_bytes() == b"text two\r\nsecond\r\n"


def test_what_could_not_be_stored_stays_on_the_page(flag_dir: Path, open_app: Callable[..., Any]) -> None:
    """After a failure the ticks and the comment are where they were."""
    flag_dir.write_text("a file is in the directory's place")
    with gr.Blocks() as demo:
        flag_panel(FlagLogger(), [gr.Textbox(label="text")], flagging_dir=flag_dir, reasons=SAID)

    tab = open_app(demo)
    tab.fill("Reasons", ["wrong"])
    tab.fill("Comment", "typed with care")
    with pytest.raises(Refused, match="flagged"):
        tab.press("Flag")

    assert (tab.shown("Reasons"), tab.shown("Comment")) == (["wrong"], "typed with care")


def test_a_component_given_twice_is_one_column(flag_dir: Path) -> None:
    """An Interface that shows its output in its input names the same component in both lists."""
    logger = FlagLogger()
    with gr.Blocks():
        box = gr.Textbox(label="text")
        flag_panel(logger, [box, box], flagging_dir=flag_dir)

    logger.flag(["hello"])

    assert (flag_dir / "logs.csv").read_bytes() == b"text\r\nhello\r\n"


@pytest.mark.parametrize(
    ("logger", "reasons"),
    [
        pytest.param(FlagLogger(reasons=["wrong"]), ["right"], id="not-declared"),
        pytest.param(FlagLogger(), ["right|wrong"], id="holds-a-bar"),
    ],
)
def test_reasons_that_can_never_be_stored_are_refused_at_once(
    panel: Callable[..., Any], logger: FlagLogger, reasons: list[str]
) -> None:
    """Such a reason fails where the app is written, not where a visitor ticks it."""
    with pytest.raises(UnknownReason):
        panel(logger, reasons=reasons)


def test_one_text_is_not_several_reasons(panel: Callable[..., Any]) -> None:
    """`reasons="wrong"` would be five reasons of one letter."""
    with pytest.raises(ValueError, match=r"pass a list: \['wrong'\]"):
        panel(reasons="wrong")


def test_a_failure_is_told_without_the_servers_paths(panel: Callable[..., Any], flag_dir: Path) -> None:
    """The toast says what went wrong, as text, and not where the app lives; the flag can be repeated at once."""
    flag_dir.write_text("a file is in the directory's place")
    press = panel()

    with pytest.raises(Toast) as told:
        press([], "", "hello")
    flag_dir.unlink()
    press([], "", "hello")

    assert str(told.value).startswith("'flagged")
    assert str(flag_dir.parent) not in str(told.value)
    assert len(read_flags(flag_dir)) == 1


def test_an_error_of_the_app_is_told_in_general(panel: Callable[..., Any]) -> None:
    """What an app's own function raised is for its log, not for visitors."""

    def redact(column: str, text: str) -> str:
        raise KeyError("the secret")

    with pytest.raises(Toast) as told:
        panel(FlagLogger(redact=redact))([], "", "hello")

    assert "secret" not in str(told.value)
    assert "What you typed is still here" in str(told.value)


def test_markup_in_a_toast_is_text() -> None:
    """Gradio shows a toast as HTML."""
    assert str(Toast("<img src=x> & 'a'")) == "&lt;img src=x&gt; &amp; 'a'"


def test_a_double_click_is_one_flag(panel: Callable[..., Any], flag_dir: Path) -> None:
    """The second half of a double click stores nothing, whether the panel was emptied in between or not."""
    press = panel(reasons=SAID)

    press(["wrong"], "", "hello")
    press(["wrong"], "", "hello")
    press([], "", "hello")

    assert len(read_flags(flag_dir)) == 1


def test_more_to_say_is_another_flag(panel: Callable[..., Any], flag_dir: Path) -> None:
    """Other values, other ticks and other visitors are never taken for a double click."""
    press = panel(reasons=SAID)

    press(["wrong"], "", "hello")
    press(["blurry"], "", "hello")
    press(["wrong"], "", "hello, world")
    press(["wrong"], "", "hello", session="b")

    assert len(read_flags(flag_dir)) == 4


def test_a_click_is_old_until_shortly_after_the_first_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a flag is being stored, however long, the same click is no new one; later it is."""
    now = [100.0]
    monkeypatch.setattr("gradio_flagplus.panel.time", SimpleNamespace(monotonic=lambda: now[0]))
    clicks, click = _Clicks(), _Click("a", ["hello"], (("wrong",), ""))

    assert clicks.is_new(click)
    now[0] += 60
    assert not clicks.is_new(click)
    clicks.ended(click, stored=True)
    now[0] += 1
    assert not clicks.is_new(click)
    now[0] += 1
    assert clicks.is_new(click)
