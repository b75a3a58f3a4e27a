"""What happens when the review page is used."""

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
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from .browse import Catalogue, Filter, Snapshot
from .decisions import decide
from .errors import FlagplusError
from .export import export_flags
from .plots import by_reason, over_time
from .reader import Flag
from .review_parts import KEYS, Parts
from .showing import cached, facts, line, show_values, verdict
from .toasts import Toast, why

logger = logging.getLogger("gradio_flagplus")

PAGE = 15
"""How many flags a page of the list holds."""
_MOST_NAMES = 500  # in a drop-down; others can be typed
_UNKNOWN = "Something went wrong; the log of the review page says what."


@dataclass(frozen=True, slots=True)
class View:
    """What one visitor looks at: which flags, which page of the list, which flag."""

    wanted: Filter = field(default_factory=Filter)
    page: int = 0
    number: int | None = None
    seen: int = 0
    """How many flags there were."""


class Desk:
    """One review page: its Blocks, its parts, and what they do."""

    def __init__(self, directory: Path, decisions: Sequence[str], *, is_open: bool = False) -> None:
        self.directory, self.decisions = directory, list(decisions)
        self.catalogue = Catalogue(directory)
        self.blocks: gr.Blocks
        with gr.Blocks(title=f"Flags in {directory.name}", analytics_enabled=False) as self.blocks:
            self.view = gr.State(View())
            self.parts = Parts(directory, self.decisions, self._show_values, is_open=is_open)
            self._wire()

    def _wire(self) -> None:
        parts = self.parts
        self.asked, self.outputs = [self.view, *parts.filters], [self.view, *parts.changing]
        self.blocks.load(None, None, None, js=KEYS)
        self._on(self.blocks.load, self._opened, [], [parts.name])
        self._on(self.blocks.load, self._filtered)
        self._wire_list()
        self._wire_detail()
        self._on(gr.Timer(15).tick, self._ticked, [self.view], [parts.refresh])
        self._on(parts.drawn.select, self._drawn, outputs=[parts.overview, parts.bars, parts.curve])
        exporting = [*self.asked, parts.scope, parts.format]
        self._on(parts.export.click, self._exported, exporting, [parts.exported, parts.download], progress="minimal")

    def _wire_list(self) -> None:
        parts = self.parts
        self._on(parts.refresh.click, self._filtered)
        for chosen in (parts.reasons, parts.user, parts.reviewed):
            self._on(chosen.input, self._filtered)
        for typed in (parts.text, parts.since, parts.until):
            self._on(typed.submit, self._filtered)
            self._on(typed.blur, self._filtered_anew)
        nothing: list[Any] = [[], None, "all", "", "", ""]
        self._on(self._on(parts.clear.click, lambda: nothing, [], parts.filters).then, self._filtered)
        self._on(parts.list.input, self._picked, [*self.asked, parts.list])
        self._on(parts.newer.click, partial(self._turned, -1))
        self._on(parts.older.click, partial(self._turned, 1))

    def _wire_detail(self) -> None:
        parts = self.parts
        self._on(parts.previous.click, partial(self._stepped, -1))
        self._on(parts.next.click, partial(self._stepped, 1))
        buttons = [*zip(parts.buttons, self.decisions, strict=True), (parts.undo, "")]
        for button, decision in buttons:
            deciding = [self.view, parts.note, parts.name]
            self._on(button.click, self._decider(decision), deciding, [*self.outputs, parts.note])

    def _on(
        self,
        event: Callable[..., Any],
        fn: Callable[..., Any],
        inputs: Any = None,
        outputs: Any = None,
        progress: str = "hidden",
    ) -> Any:
        """Have `event` call `fn`: with the view and the filters, for everything that changes, if nothing else is said.

        None of it is in the app's API.
        """
        private = "api_visibility" in inspect.signature(self.blocks.load).parameters
        return event(
            fn,
            self.asked if inputs is None else inputs,
            self.outputs if outputs is None else outputs,
            show_progress=progress,
            concurrency_limit=None,
            **({"api_visibility": "private"} if private else {"api_name": False}),
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

    def _decider(self, decision: str) -> Callable[..., Any]:
        """What puts this decision on record; an empty one takes the last one back."""

        def decided(request: gr.Request, view: View, note: str | None, name: str | None) -> Any:
            if view.number is None:
                return [gr.skip()] * (len(self.outputs) + 1)
            with self._told():
                decide(self.directory, view.number, decision, note or "", request.username or name or None)
            return [*self._look(view), "" if decision else gr.skip()]

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
            raise Toast(why(error, self.directory, _UNKNOWN)) from error

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
            self._status(snapshot, len(found)),
            gr.update(value="Look for new flags", variant="secondary"),
            gr.update(choices=choices, value=chosen, visible=bool(flags)),
            gr.update(value="" if flags else nothing, visible=not flags),
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
        say = html.escape(why(error, self.directory, _UNKNOWN))
        return f"<div class='flagplus-empty'><strong>The flags cannot be read.</strong><br>{say}</div>"

    def _status(self, snapshot: Snapshot | None, found: int) -> str:
        said = []
        if snapshot:
            reviewed = int(self.catalogue.verdicts.mask(snapshot.table["number"]).sum())
            shown = [f"{found:,} shown by the filter"] if found < len(snapshot) else []
            said = [f"{len(snapshot):,} flags", *shown, f"{reviewed:,} reviewed"]
        return f"<p class='flagplus-quiet'>{' · '.join([*said, html.escape(str(self.directory))])}</p>"

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

    def _show_values(self, number: int | None) -> None:
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
