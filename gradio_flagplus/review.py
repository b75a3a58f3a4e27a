"""review_page: look through the flags of a directory, decide about them, export them."""

from __future__ import annotations

import html
import inspect
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from .browse import Catalogue, Filter, Snapshot
from .columns import clean
from .decisions import decide
from .errors import FlagplusError
from .export import FORMATS, export_flags
from .plots import by_reason, over_time
from .reader import Flag
from .showing import cached, facts, line, show_values, verdict
from .toasts import Toast, reason

logger = logging.getLogger("gradio_flagplus")

PAGE = 15
"""How many flags a page of the list holds."""
_MOST_NAMES = 500  # in a drop-down; others can be typed

_UNKNOWN = "Something went wrong; the log of the review page says what."

_STYLE = """<style>
.flagplus-quiet, .flagplus-nothing, .flagplus-facts dt {opacity: .7}
.flagplus-title, .flagplus-quiet, .flagplus-verdict {margin: 0 !important; overflow-wrap: anywhere}
.flagplus-banner {padding: .6em .9em; border-radius: var(--radius-md); border: 1px solid var(--color-accent)}
.flagplus-empty {padding: 2em 1em; text-align: center; border: 1px dashed var(--border-color-primary);
  border-radius: var(--radius-lg); overflow-wrap: anywhere}
.flagplus-facts {display: grid; grid-template-columns: repeat(auto-fit, minmax(11em, 1fr)); gap: .7em 1.5em;
  margin: .7em 0 0}
.flagplus-facts dt {font-size: var(--text-sm)}
.flagplus-facts dd {margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; max-height: 12em; overflow-y: auto}
.flagplus-facts .flagplus-wide {grid-column: 1 / -1}
.flagplus-reason {display: inline-block; padding: 0 .6em; margin: 0 .3em .2em 0; border-radius: 1em;
  border: 1px solid var(--color-accent)}
.flagplus-verdict {white-space: pre-wrap}
.flagplus-done {padding-left: .7em; border-left: 3px solid var(--color-accent)}
.flagplus-pager {text-align: center; margin: .3em 0 !important}
#flagplus-list .wrap {flex-direction: column; flex-wrap: nowrap; align-items: stretch; gap: 4px}
#flagplus-list label {min-width: 0}
#flagplus-list label span {overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0}
.flagplus-gallery .grid-wrap {min-height: 0 !important}
</style>"""

_KEYS = """() => {
  if (window.flagplusKeys) return;
  window.flagplusKeys = true;
  const next = "flagplus-next", previous = "flagplus-previous";
  const buttons = {j: next, ArrowRight: next, k: previous, ArrowLeft: previous};
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || !buttons[event.key]) return;
    if (at.isContentEditable || at.closest("audio, video, [role=slider], [role=tab]")) return;
    if (at.matches("textarea, select, input:not([type=radio]):not([type=checkbox])")) return;
    const found = document.getElementById(buttons[event.key]);
    const button = found && (found.matches("button") ? found : found.querySelector("button"));
    if (button && button.offsetParent) { event.preventDefault(); button.click(); }
  });
}"""


def review_page(flagging_dir: str | Path, *, decisions: Sequence[str] = ("accepted", "rejected", "fixed")) -> gr.Blocks:
    """A page on which people look through the flags of a directory and decide about them.

    Flags are listed newest first and filtered on the server, so that a million are as usable as ten. Each value is
    shown in the component of its kind; what visitors typed is always shown as text. A decision is one of `decisions`,
    with a note, and is durable when the page shows it: a row of `reviews.csv` in the same directory. Of several
    decisions about a flag the latest counts. "Undo" is one more row, with an empty decision.

    The directory need not exist yet. Nothing in it is served as it is: files are copied to Gradio's cache as they are
    shown. Whoever can open the page can see the flags and decide, so give `launch(auth=…)` unless only you can.

    Raises `ValueError` if `decisions` is empty, names one twice, or one that is empty.
    """
    names = [name for name in decisions if isinstance(name, str) and name.strip()]
    if isinstance(decisions, str) or not names or len(set(names)) != len(list(decisions)):
        raise ValueError(f"decisions={decisions!r}: pass a list of different names, like ['accepted', 'rejected'].")
    return _Page(Path(os.path.abspath(flagging_dir)), names).blocks


def launch(
    directory: str | Path,
    host: str = "127.0.0.1",
    port: int | None = None,
    auth: tuple[str, str] | str | None = None,
    **options: Any,
) -> None:
    """Serve the review page of a directory until the process is stopped.

    `auth` is a user and a password, as a tuple or as `user:password`. `options` go to Gradio's `launch`. Opened to
    other machines without `auth`, the log and the page both say so.

    Raises `ValueError` for an `auth` without a password, and Gradio's `OSError` if the port is taken.
    """
    if isinstance(auth, str):
        user, _, password = auth.partition(":")
        auth = (user, password)
    if auth is not None and not all(auth):
        raise ValueError("auth needs a user and a password: 'user:password'.")
    is_open = auth is None and host not in ("127.0.0.1", "localhost", "::1")
    if is_open:
        logger.warning(
            "The review page listens on %s without a login: everybody who reaches this machine can see the flags of "
            "'%s' and decide about them. Pass auth='user:password'.",
            host,
            directory,
        )
    page = _Page(Path(os.path.abspath(directory)), ["accepted", "rejected", "fixed"], is_open=is_open)
    page.blocks.launch(server_name=host, server_port=port, auth=auth, **options)


@dataclass(frozen=True, slots=True)
class View:
    """What one visitor looks at: which flags, which page of the list, which flag."""

    wanted: Filter = field(default_factory=Filter)
    page: int = 0
    number: int | None = None
    seen: int = 0
    """How many flags there were."""


class _Page:
    """The page: its parts, and what happens when they are used."""

    def __init__(self, directory: Path, decisions: Sequence[str], *, is_open: bool = False) -> None:
        self.directory, self.decisions = directory, list(decisions)
        self.catalogue = Catalogue(directory)
        self.blocks: gr.Blocks
        with gr.Blocks(title=f"Flags in {directory.name}", analytics_enabled=False) as self.blocks:
            gr.HTML(_STYLE + self._heading(is_open))
            self.view = gr.State(View())
            self.shown = gr.State(None)
            self.status = gr.HTML()
            with gr.Tabs():
                with gr.Tab("Review"):
                    self._review_tab()
                with gr.Tab("Overview") as overview:
                    self._overview_tab()
                with gr.Tab("Export"):
                    self._export_tab()
            self._wire(overview)

    # ---- what is on the page

    def _heading(self, is_open: bool) -> str:
        warning = (
            "<p class='flagplus-banner'>This page is open to everybody who can reach this machine: it was started "
            "without a login. Start it with <code>--auth user:password</code>.</p>"
        )
        title = f"<h1 class='flagplus-title'>Flags in {html.escape(self.directory.name)}</h1>"
        return (
            title + f"<p class='flagplus-quiet'>{html.escape(str(self.directory))}</p>" + (warning if is_open else "")
        )

    def _review_tab(self) -> None:
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                self._filters()
                self._list()
            with gr.Column(scale=3, min_width=320, visible=False) as self.detail:
                self._detail()

    def _filters(self) -> None:
        with gr.Accordion("Filter", open=False):
            with gr.Row():
                self.reasons = gr.Dropdown(
                    [], multiselect=True, label="Reason (any of these)", allow_custom_value=True, min_width=140
                )
                self.user = gr.Dropdown([], label="User", allow_custom_value=True, min_width=140)
            with gr.Row():
                states = [("All", "all"), ("Not reviewed", "no"), ("Reviewed", "yes")]
                self.reviewed = gr.Dropdown(
                    [*states, *((name, f"={name}") for name in self.decisions)],
                    value="all",
                    label="Review",
                    min_width=140,
                )
                self.text = gr.Textbox(label="Text in the row", placeholder="press Enter to search", min_width=140)
            with gr.Row():
                self.since = gr.Textbox(label="From (day, UTC)", placeholder="2026-01-31", min_width=140)
                self.until = gr.Textbox(label="To (day, UTC)", placeholder="2026-12-31", min_width=140)
            self.clear = gr.Button("Clear the filter", size="sm")
        self.filters = [self.reasons, self.user, self.reviewed, self.text, self.since, self.until]

    def _list(self) -> None:
        self.refresh = gr.Button("Look for new flags", size="sm")
        self.list = gr.Radio([], label="Flags, newest first", elem_id="flagplus-list", visible=False)
        self.empty = gr.HTML(visible=False)
        with gr.Row(visible=False) as self.pager:
            self.newer = gr.Button("← Newer", size="sm", min_width=80)
            self.pages = gr.HTML()
            self.older = gr.Button("Older →", size="sm", min_width=80)

    def _detail(self) -> None:
        with gr.Row():
            self.previous = gr.Button("↑ Previous (k)", size="sm", min_width=120, elem_id="flagplus-previous")
            self.next = gr.Button("↓ Next (j)", size="sm", min_width=120, elem_id="flagplus-next")
        self.facts = gr.HTML()
        self.verdict = gr.HTML()
        with gr.Row():
            self.note = gr.Textbox(
                label="Note",
                placeholder="Optional; kept with the decision",
                lines=1,
                max_lines=6,
                scale=3,
                min_width=200,
            )
            self.name = gr.Textbox(label="Your name", placeholder="Optional", scale=1, min_width=120, visible=False)
        with gr.Row():
            self.buttons = [gr.Button(name, min_width=60) for name in self.decisions]
            self.undo = gr.Button("Undo", min_width=60, interactive=False)
        with gr.Column():
            # The place where the values of the flag appear.
            gr.render(inputs=[self.shown], triggers=[self.shown.change])(self._render_values)

    def _overview_tab(self) -> None:
        self.overview = gr.HTML()
        with gr.Row():
            # Never without a value: Gradio 4 would not show the page at all.
            bars, curve = by_reason({}), over_time(np.empty(0, "datetime64[ms]"))
            self.bars = gr.BarPlot(
                bars, x="reason", y="flags", title="Flags by reason", sort="-y", min_width=300, visible=False
            )
            self.curve = gr.LinePlot(curve, x="time", y="flags", title="Flags over time", min_width=300, visible=False)

    def _export_tab(self) -> None:
        scopes = [
            ("The flags that the filter shows", "filter"),
            *((f"All that are {name}", f"={name}") for name in self.decisions),
        ]
        self.scope = gr.Radio(scopes, value="filter", label="Which flags")
        self.format = gr.Radio(list(FORMATS), value=FORMATS[0], label="Format")
        self.export = gr.Button("Export", variant="primary")
        self.exported = gr.HTML()
        self.download = gr.File(label="Download", visible=False, interactive=False)

    # ---- what happens

    def _wire(self, overview: gr.Tab) -> None:
        hidden = _hidden(self.refresh.click)
        self.outputs = [
            self.view, self.shown, self.status, self.refresh, self.list, self.empty, self.pager, self.newer, self.pages,
            self.older, self.detail, self.facts, self.verdict, self.undo, self.reasons, self.user, *self.buttons,
        ]  # fmt: skip
        asked = [self.view, *self.filters]

        def on(
            event: Callable[..., Any], fn: Callable[..., Any], inputs: Sequence[Any] = (), outputs: Any = None
        ) -> None:
            event(fn, [*asked, *inputs], self.outputs if outputs is None else outputs, show_progress="hidden", **hidden)

        self.blocks.load(None, None, None, js=_KEYS)
        self.blocks.load(self._opened, None, [self.name], show_progress="hidden", **hidden)
        on(self.blocks.load, self._filtered)
        on(self.refresh.click, self._filtered)
        for part in (self.reasons, self.user, self.reviewed):
            on(part.input, self._filtered)
        for typed in (self.text, self.since, self.until):
            on(typed.submit, self._filtered)
            on(typed.blur, self._filtered_anew)
        cleared: list[Any] = [[], None, "all", "", "", ""]
        self.clear.click(lambda: cleared, None, self.filters, show_progress="hidden", **hidden).then(
            self._filtered, asked, self.outputs, show_progress="hidden", **hidden
        )
        on(self.list.input, self._picked, [self.list])
        on(self.newer.click, lambda *said: self._turned(-1, *said))
        on(self.older.click, lambda *said: self._turned(1, *said))
        on(self.previous.click, lambda *said: self._stepped(-1, *said))
        on(self.next.click, lambda *said: self._stepped(1, *said))
        for button, name in zip(self.buttons, self.decisions, strict=True):
            on(button.click, self._decider(name), [self.note, self.name], [*self.outputs, self.note])
        on(self.undo.click, self._decider(""), [self.note, self.name], [*self.outputs, self.note])
        gr.Timer(15).tick(self._ticked, [self.view], [self.refresh], show_progress="hidden", **hidden)
        on(overview.select, self._drawn, (), [self.overview, self.bars, self.curve])
        self.export.click(
            self._exported,
            [*asked, self.scope, self.format],
            [self.exported, self.download],
            show_progress="minimal",
            **hidden,
        )

    def _opened(self, request: gr.Request) -> Any:
        """Who has no login may give a name."""
        return gr.update(visible=not request.username)

    def _filtered(self, _view: View, *said: Any) -> Any:
        """From the top: the newest flag that the filter lets through."""
        return self._look(View(self._filter(*said)), first=True)

    def _filtered_anew(self, view: View, *said: Any) -> Any:
        """As `_filtered`, but only if the filter has changed: leaving a field is no reason to lose one's place."""
        if self._filter(*said) == view.wanted:
            return [gr.skip()] * len(self.outputs)
        return self._filtered(view, *said)

    def _picked(self, view: View, *said: Any) -> Any:
        number = said[-1]
        return self._look(replace(view, number=None if number is None else int(number)))

    def _turned(self, by: int, view: View, *_: Any) -> Any:
        return self._look(replace(view, page=max(0, view.page + by)), first=True)

    def _stepped(self, by: int, view: View, *_: Any) -> Any:
        """To the next older flag (1) or the next newer one (-1) that the filter lets through."""
        snapshot, found = self._find(view.wanted)
        numbers = snapshot.table["number"][found]
        if view.number is None or not len(numbers):
            return self._look(view, first=True)
        place = int(np.searchsorted(numbers, view.number, "left" if by > 0 else "right")) - (by > 0)
        if not 0 <= place < len(numbers):
            gr.Info("This is the last flag." if by > 0 else "This is the newest flag.")
            return [gr.skip()] * len(self.outputs)
        return self._look(replace(view, page=(len(numbers) - 1 - place) // PAGE, number=int(numbers[place])))

    def _decider(self, name: str) -> Callable[..., Any]:
        def decided(request: gr.Request, view: View, *said: Any) -> Any:
            *_, note, typed = said
            if view.number is None:
                return [gr.skip()] * (len(self.outputs) + 1)
            with self._told():
                decide(
                    self.directory, view.number, name, clean(note or ""), request.username or clean(typed or "") or None
                )
            return [*self._look(view), "" if name else gr.skip()]

        return decided

    def _ticked(self, view: View) -> Any:
        """Say how many flags came while the page was open."""
        try:
            more = len(self.catalogue.look()) - view.seen
        except (FlagplusError, OSError):
            return gr.skip()
        if more <= 0:
            return gr.skip()
        return gr.update(value=f"Show {more:,} new flag{'s' if more > 1 else ''}", variant="primary")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong is told to the visitor in a toast, and in full to the log."""
        try:
            yield
        except (FlagplusError, OSError) as error:
            logger.exception("The review page of '%s' could not do what it was asked to.", self.directory)
            raise Toast(reason(error, self.directory, _UNKNOWN)) from error

    # ---- what is shown then

    def _filter(self, reasons: Any, user: Any, reviewed: Any, text: Any, since: Any, until: Any, *_: Any) -> Filter:
        last = _day(until)
        return Filter(
            tuple(reasons or ()),
            user or "",
            (text or "").strip(),
            _day(since),
            last + timedelta(days=1) if last else None,
            {"yes": True, "no": False}.get(reviewed),
            reviewed[1:] if (reviewed or "").startswith("=") else "",
        )

    def _find(self, wanted: Filter) -> tuple[Snapshot, Any]:
        with self._told():
            snapshot = self.catalogue.look()
            return snapshot, self.catalogue.find(snapshot, wanted)

    def _look(self, view: View, *, first: bool = False) -> list[Any]:
        """Everything that depends on the view, in the order of `outputs`."""
        try:
            snapshot = self.catalogue.look()
            found = self.catalogue.find(snapshot, view.wanted)
            view = replace(view, page=min(view.page, _last_page(found)), seen=len(snapshot))
            stop = len(found) - view.page * PAGE
            flags = [snapshot.flag(place) for place in found[max(0, stop - PAGE) : stop][::-1]]
            if first:
                view = replace(view, number=flags[0].number if flags else None)
            place = None if view.number is None else snapshot.position(view.number)
            flag = None if place is None else snapshot.flag(place)
        except (FlagplusError, OSError) as error:
            logger.exception("The flags of '%s' could not be read.", self.directory)
            return self._page_of(view, self._broken(error))
        return self._page_of(view, self._nothing_here(snapshot), snapshot, found, flags, flag)

    def _page_of(
        self,
        view: View,
        nothing: str,
        snapshot: Snapshot | None = None,
        found: Any = (),
        flags: Sequence[Flag] = (),
        flag: Flag | None = None,
    ) -> list[Any]:
        decision, last = self.catalogue.decision, _last_page(found)
        choices = [(line(flag, decision(flag.number)), str(flag.number)) for flag in flags]
        chosen = str(view.number) if any(key == str(view.number) for _, key in choices) else None
        decided = decision(flag.number) if flag else None
        made = decided.decision if decided else None
        return [
            view,
            flag.number if flag else None,
            self._status(snapshot, len(found)) if snapshot else "",
            gr.update(value="Look for new flags", variant="secondary"),
            gr.update(choices=choices, value=chosen, visible=bool(flags)),
            gr.update(value=nothing, visible=not flags),
            gr.update(visible=last > 0),
            gr.update(interactive=view.page > 0),
            f"<p class='flagplus-pager'>Page {view.page + 1:,} of {last + 1:,}</p>",
            gr.update(interactive=view.page < last),
            gr.update(visible=flag is not None),
            facts(flag) if flag else "",
            verdict(decided),
            gr.update(interactive=decided is not None),
            gr.update(choices=snapshot.reason_names() if snapshot else []),
            gr.update(choices=snapshot.user_names()[:_MOST_NAMES] if snapshot else []),
            *(gr.update(variant="primary" if name == made else "secondary") for name in self.decisions),
        ]

    def _broken(self, error: Exception) -> str:
        say = html.escape(reason(error, self.directory, _UNKNOWN))
        return f"<div class='flagplus-empty'><strong>The flags cannot be read.</strong><br>{say}</div>"

    def _status(self, snapshot: Snapshot, found: int) -> str:
        if not len(snapshot):
            return ""
        reviewed = int(self.catalogue.verdicts.mask(snapshot.table["number"]).sum())
        shown = "" if found == len(snapshot) else f" · {found:,} shown by the filter"
        return f"<p class='flagplus-quiet'>{len(snapshot):,} flags{shown} · {reviewed:,} reviewed</p>"

    def _nothing_here(self, snapshot: Snapshot) -> str:
        if len(snapshot):
            say = "<strong>No flag fits this filter.</strong><br>Open it and take something out, or clear it."
        elif self.directory.exists():
            say = (
                "<strong>No flags yet.</strong><br>Flag something in your app, then press “Look for new flags”. The "
                "app writes here if it has <code>flagging_callback=FlagLogger()</code> and this directory as its "
                "<code>flagging_dir</code>."
            )
        else:
            say = (
                "<strong>There is no such directory yet.</strong><br>It is made at the first flag. If your app flags "
                "elsewhere, start this page with that directory."
            )
        return f"<div class='flagplus-empty'>{say}</div>"

    def _render_values(self, number: int | None) -> None:
        if number is None:
            return
        snapshot, _ = self._find(Filter())
        place = snapshot.position(number)
        if place is not None:
            with gr.Row(), self._told():
                show_values(snapshot.flag(place))

    def _drawn(self, _view: View, *said: Any) -> Any:
        """The plots of the flags that the filter shows."""
        snapshot, found = self._find(self._filter(*said))
        bars, curve = by_reason(snapshot.reason_counts(found)), over_time(snapshot.moments(found))
        say = [f"{len(found):,} of {len(snapshot):,} flags, as filtered on the first tab."]
        say += ["None of them has a reason."] * bars.empty
        say += ["None of them has a time: FlagLogger(timestamp=True) records it."] * curve.empty
        return (
            f"<p class='flagplus-quiet'>{' '.join(say)}</p>",
            gr.update(value=bars, y_lim=_from_zero(bars), visible=not bars.empty),
            gr.update(value=curve, y_lim=_from_zero(curve), visible=not curve.empty),
        )

    def _exported(self, _view: View, *said: Any) -> Any:
        """Write the export to a fresh folder, pack it, and offer it."""
        *filters, scope, form = said
        wanted = self._filter(*filters) if scope == "filter" else Filter(decision=scope[1:])
        snapshot, found = self._find(wanted)
        if not len(found):
            return "<p>No flag is among those. Nothing was exported.</p>", gr.update(value=None, visible=False)
        with self._told(), tempfile.TemporaryDirectory() as folder:
            numbers = set(snapshot.table["number"][found].tolist())
            result = export_flags(self.directory, Path(folder) / "export", form, numbers=numbers)
            packed = shutil.make_archive(os.path.join(folder, f"{self.directory.name}-{form}"), "zip", result.path)
            kept = cached(packed)
        missing = f" {result.missing:,} of their files are missing." if result.missing else ""
        return (
            f"<p>{result.flags:,} flags with {result.files:,} files, as {html.escape(form)}.{missing}</p>",
            gr.update(value=kept, visible=True),
        )


def _from_zero(frame: Any) -> list[float]:
    """Bars that do not begin at nought tell lies."""
    return [0, 1.05 * float(frame["flags"].max()) if len(frame) else 1]


def _last_page(found: Any) -> int:
    return int(max(0, (len(found) - 1) // PAGE))


def _day(text: str | None) -> datetime | None:
    """The start of a day in UTC, None for no text. Raises a toast for what is no day."""
    if not (text or "").strip():
        return None
    try:
        return datetime.strptime(str(text).strip(), "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise Toast(f"'{text}' is no day. Write it like 2026-01-31.") from error


def _hidden(event: Callable[..., Any]) -> dict[str, Any]:
    """What keeps an event out of the app's API, as this version of Gradio calls it."""
    private = "api_visibility" in inspect.signature(event).parameters
    return {"concurrency_limit": None, **({"api_visibility": "private"} if private else {"api_name": False})}
