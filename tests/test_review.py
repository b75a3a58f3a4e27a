"""The review page without a browser: what it refuses, what it serves, what it says about a flag."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest

from gradio_flagplus import FlagLogger, review, review_page
from gradio_flagplus.decisions import Decision
from gradio_flagplus.desk import Desk
from gradio_flagplus.plots import by_reason, over_time
from gradio_flagplus.reader import Flag, read_flags
from gradio_flagplus.showing import facts, line, verdict
from gradio_flagplus.toasts import Toast

HOSTILE = "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"


@pytest.fixture
def flag(flag_dir: Path) -> Flag:
    """One flag in which everything that a visitor can type is hostile."""
    logger = FlagLogger(timestamp=True, extra_columns={"model": HOSTILE})
    logger.setup([gr.Textbox(label="text")], flag_dir)
    logger.flag([HOSTILE], HOSTILE, HOSTILE, HOSTILE)
    return next(iter(read_flags(flag_dir)))


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Gradio's `launch` was called with, instead of launching."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(gr.Blocks, "launch", lambda self, **options: calls.append({"page": self, **options}))
    return calls


@pytest.mark.parametrize("decisions", ["accepted", [], [""], ["yes", "yes"], ["yes", " "]])
def test_decisions_that_make_no_sense_are_refused(flag_dir: Path, decisions: Any) -> None:
    """One text, none, an empty one, one twice: said when the page is made."""
    with pytest.raises(ValueError, match="different names"):
        review_page(flag_dir, decisions=decisions)


def test_the_page_of_a_directory_that_is_not_there_makes_nothing(flag_dir: Path) -> None:
    """Looking is not writing."""
    assert isinstance(review_page(flag_dir), gr.Blocks)
    assert not flag_dir.exists()


def test_it_binds_to_this_machine_by_default(launched: list[dict[str, Any]], flag_dir: Path) -> None:
    """Nobody else reaches a page that was started without saying more."""
    review.launch(flag_dir)

    assert launched[0]["server_name"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "auth", "warned"),
    [
        pytest.param("0.0.0.0", None, True, id="open"),
        pytest.param("0.0.0.0", ("ann", "secret"), False, id="login"),
        pytest.param("0.0.0.0", "ann:se:cret", False, id="login-as-text"),
        pytest.param("127.0.0.1", None, False, id="this-machine"),
    ],
)
def test_a_page_open_to_others_says_so(
    launched: list[dict[str, Any]], flag_dir: Path, caplog: pytest.LogCaptureFixture, host: str, auth: Any, warned: bool
) -> None:
    """Without a login, for other machines: the log says it and so does the page."""
    with caplog.at_level(logging.WARNING, "gradio_flagplus"):
        review.launch(flag_dir, host=host, auth=auth)

    texts = [str(part["props"].get("value")) for part in launched[0]["page"].get_config_file()["components"]]
    assert ("without a login" in caplog.text) is warned
    assert any("open to everybody" in text for text in texts) is warned
    if isinstance(auth, str):
        assert launched[0]["auth"] == ("ann", "se:cret")


@pytest.mark.parametrize("auth", ["ann", "ann:", ":secret", ("ann", "")])
def test_a_login_needs_both_parts(launched: list[dict[str, Any]], flag_dir: Path, auth: Any) -> None:
    """Half a login is an error, not an open page."""
    with pytest.raises(ValueError, match="user:password"):
        review.launch(flag_dir, auth=auth)
    assert launched == []


def test_nothing_of_the_directory_is_served_as_it_is(
    flag: Flag, flag_dir: Path, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The page's server gives out neither the log nor the bookkeeping."""
    monkeypatch.chdir(tmp_path / "..")
    url = serve(review_page(flag_dir))

    for name in ("logs.csv", ".flagplus/schema.json"):
        for prefix in ("/file=", "/gradio_api/file="):
            assert httpx.get(f"{url}{prefix}{flag_dir / name}").status_code in (403, 404)


def test_the_page_has_no_api(flag_dir: Path) -> None:
    """What the page does is for people; programs have the Python API."""
    assert review_page(flag_dir).get_api_info()["named_endpoints"] == {}


def test_everything_said_about_a_flag_is_escaped(flag: Flag) -> None:
    """Reasons, comment, user, extra columns and decisions are text in the page's HTML."""
    decision = Decision(0, HOSTILE, HOSTILE, HOSTILE)

    for said in (facts(flag), verdict(decision)):
        assert "<img" not in said
        assert "<script" not in said
        assert "&lt;img" in said


def test_a_line_of_the_list_is_short_and_one_line(flag_dir: Path) -> None:
    """However long and broken a text is."""
    logger = FlagLogger()
    logger.setup([gr.Textbox(label="text")], flag_dir)
    logger.flag(["many\n\nlines\r\n" * 500], ["wrong"], "ann")
    (flag,) = read_flags(flag_dir)

    said = line(flag, Decision(0, "accepted"))

    assert said.startswith("#0 · [accepted] · wrong · ann · many lines many")
    assert len(said) <= 200
    assert "\n" not in said


def test_what_is_no_day_is_said(flag_dir: Path) -> None:
    """A filter that cannot be understood is not silently left out."""
    with pytest.raises(Toast, match="is no day"):
        Desk(flag_dir, ["accepted"])._filter([], None, "all", "", "2026-13-41", "")


def test_the_last_day_is_part_of_the_filter(flag_dir: Path) -> None:
    """`To 2026-01-31` lets the whole of that day through."""
    wanted = Desk(flag_dir, ["accepted"])._filter([], None, "=accepted", " x ", "2026-01-31", "2026-01-31")

    assert wanted.since is not None
    assert wanted.until is not None
    assert (wanted.until - wanted.since).days == 1
    assert (wanted.text, wanted.decision, wanted.reviewed) == ("x", "accepted", None)


def test_many_reasons_are_drawn_as_few_bars() -> None:
    """The rest is one bar, and no flag is lost in it."""
    frame = by_reason({f"reason {place}": 100 - place for place in range(40)})

    assert len(frame) == 15
    assert frame["flags"].sum() == sum(100 - place for place in range(40))
    assert frame["reason"].iloc[-1] == "26 others"


@pytest.mark.parametrize("days", [0, 0.01, 1, 30, 400, 20_000])
def test_any_stretch_of_time_is_drawn_in_few_steps(days: float) -> None:
    """From one moment to half a century: at most some hundred steps, no flag lost, the quiet times shown as none."""
    moments = (np.array([0, days / 2, days]) * 86_400_000).astype("int64").astype("datetime64[ms]")

    frame = over_time(moments)

    assert frame["flags"].sum() == 3
    assert 3 <= len(frame) <= 410
    assert frame["flags"].iloc[0] == frame["flags"].iloc[-1] == 0


def test_no_times_draw_nothing() -> None:
    """Flags without a timestamp are no flags at some made-up time."""
    assert over_time(np.array([], "datetime64[ms]")).empty
