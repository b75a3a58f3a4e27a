"""flag_panel: reasons to tick, a comment and a Flag button, in one line of any app."""

from __future__ import annotations

import html
import os
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import gradio as gr

from .cells import json_text
from .errors import UnknownReason
from .logger import FlagLogger
from .toasts import Toast, success, why

_SAME_CLICK = 1.5  # seconds after a flag in which the same thing flagged again is the end of a double click
_UNKNOWN = "The flag was not stored because of an error in the app. What you typed is still here."


def flag_panel(
    logger: FlagLogger,
    components: Sequence[Any],
    *,
    flagging_dir: str | Path = "flagged",
    reasons: Sequence[str] = (),
    comment: bool = True,
) -> gr.Button:
    """Put reasons to tick, a comment field and a Flag button here, and return the button.

    Call it inside the Blocks whose `components` are to be flagged. For an Interface, which needs no buttons of its own
    then (`flagging_mode="never"`, in Gradio 4 `allow_flagging="never"`):

        with demo:
            flag_panel(FlagLogger(), [*demo.input_components, *demo.output_components], reasons=["wrong", "blurry"])

    The logger is set up for the components and `flagging_dir`; a component given twice is stored once. The visitor's
    name is stored where the app has a login.

    A flag stores what the components hold when the button is pressed. When it is stored, a toast says so and the
    panel is emptied. When it is not, a toast says why and everything that was typed stays. A double click is one flag.

    Without `reasons`, those that the logger declares are offered; with neither, and with `comment=False`, that part is
    not shown. Declare them, `FlagLogger(reasons=[…], comment=True)`, to have their columns in the log from the start.

    Raises what `FlagLogger.setup` raises, `UnknownReason` if the logger would refuse one of the reasons, and
    `ValueError` if `reasons` is one text instead of several.
    """
    reasons = _offered(logger, reasons)
    components = list({id(component): component for component in components}.values())
    logger.setup(components, flagging_dir)
    with gr.Group(elem_classes="flagplus-panel"):
        ticks = gr.CheckboxGroup(reasons, label="Reasons", visible=bool(reasons))
        words = gr.Textbox(label="Comment", placeholder="Optional", lines=2, max_lines=8, visible=comment)
    button = gr.Button("Flag")
    button.click(
        _sender(logger, Path(os.path.abspath(flagging_dir))),
        [ticks, words, *components],
        [ticks, words],
        api_name="flag",
        preprocess=False,
        trigger_mode="once",
        concurrency_limit=None,
        show_progress="hidden",
    )
    return button


def _offered(logger: FlagLogger, reasons: Sequence[str]) -> list[str]:
    """The reasons to tick. Those that could never be stored are refused now, not when a visitor ticks them."""
    if isinstance(reasons, str):
        raise ValueError(f"reasons={reasons!r} is one text; pass a list: [{reasons!r}].")
    for reason in reasons:
        if logger.reasons and reason not in logger.reasons:
            raise UnknownReason(reason, logger.reasons)
        if not logger.reasons and "|" in reason:
            raise UnknownReason(reason, (), "holds a '|', which stands between two reasons")
    return list(reasons or logger.reasons)


def _sender(logger: FlagLogger, directory: Path) -> Callable[..., Any]:
    """What the button calls. Gradio sees the annotation of `request` and puts the request there."""
    clicks = _Clicks()

    def flag(request: gr.Request, ticked: list[str] | None, comment: str | None, *values: Any) -> Any:
        ticked, comment = ticked or [], (comment or "").strip()
        click = _Click(str(request.session_hash), values, (tuple(ticked), comment))
        if not clicks.is_new(click):
            return gr.skip(), gr.skip()
        stored = False
        try:
            logger.flag(list(values), flag_option=ticked, username=request.username, comment=comment)
            stored = True
        except Exception as error:
            raise Toast(why(error, directory, _UNKNOWN)) from error
        finally:
            clicks.ended(click, stored)
        success(html.escape(f"Flagged as {', '.join(ticked)}." if ticked else "Flagged.", quote=False))
        return [], ""

    return flag


class _Click:
    """One press of the button: whose, on what, and what was ticked and typed."""

    def __init__(self, session: str, values: Sequence[Any], said: tuple[tuple[str, ...], str]) -> None:
        self.key = (session, blake2b(json_text(list(values)).encode()).digest())
        self.said = said


class _Clicks:
    """Tells the end of a double click from a new flag.

    The browser takes no second click while it knows of the first, but it learns of it only some milliseconds later;
    and a fast flag is over before the second half of a double click. So a click on the same values in the same
    session, with the same or nothing said, is no new flag until shortly after the first one was stored.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, bytes], tuple[tuple[tuple[str, ...], str], float]] = {}

    def is_new(self, click: _Click) -> bool:
        """Whether to store this click; if so, others like it are not new until it has ended."""
        now = time.monotonic()
        with self._lock:
            self._seen = {key: (said, until) for key, (said, until) in self._seen.items() if until > now}
            said, _ = self._seen.get(click.key, (None, 0))
            if said is not None and click.said in (said, ((), "")):
                return False
            self._seen[click.key] = (click.said, float("inf"))
            return True

    def ended(self, click: _Click, stored: bool) -> None:
        """A click that was not stored may be repeated at once."""
        with self._lock:
            if stored:
                self._seen[click.key] = (click.said, time.monotonic() + _SAME_CLICK)
            else:
                self._seen.pop(click.key, None)
