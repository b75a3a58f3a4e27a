"""The parts that the review page is made of, and how they look."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path

import gradio as gr
import numpy as np

from .export import FORMATS
from .plots import by_reason, over_time

_STYLE = """<style>
.flagplus-quiet, .flagplus-nothing, .flagplus-facts dt {opacity: .7}
.flagplus-title, .flagplus-quiet, .flagplus-verdict {margin: 0 !important; overflow-wrap: anywhere}
.flagplus-banner {padding: .6em .9em; border-radius: var(--radius-md); border: 1px solid var(--color-accent)}
.flagplus-empty {padding: 2em 1em; text-align: center; border: 1px dashed var(--border-color-primary);
  border-radius: var(--radius-lg); overflow-wrap: anywhere}
.flagplus-facts {display: grid; grid-template-columns: repeat(auto-fit, minmax(11em, 1fr)); gap: .7em 1.5em;
  margin: .5em 0 0 !important}
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
#flagplus-values .grid-wrap {min-height: 0 !important}
</style>"""

KEYS = """() => {
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
"""What makes the keys turn the pages; the buttons do it, the keys press them."""


class Parts:
    """Everything on the page that can be used or changes. Made inside the page's Blocks.

    `show_values` is called with the number of the flag to show, and puts its values on the page.
    """

    def __init__(
        self, directory: Path, decisions: Sequence[str], show_values: Callable[[int | None], None], *, is_open: bool
    ) -> None:
        self._directory, self._decisions, self._show_values = directory, decisions, show_values
        gr.HTML(_STYLE + self._heading(is_open=is_open))
        self.shown = gr.State(None)
        self.status = gr.HTML()
        with gr.Tabs():
            with gr.Tab("Review"):
                self._review_tab()
            with gr.Tab("Overview") as self.drawn:
                self._overview_tab()
            with gr.Tab("Export"):
                self._export_tab()
        self.filters = [self.reasons, self.user, self.reviewed, self.text, self.since, self.until]
        self.changing = [
            self.shown, self.status, self.refresh, self.list, self.empty, self.pager, self.newer, self.pages,
            self.older, self.detail, self.facts, self.verdict, self.undo, self.reasons, self.user, *self.buttons,
        ]  # fmt: skip
        """What depends on the flags, the filter and the choice."""

    def _heading(self, *, is_open: bool) -> str:
        warning = (
            "<p class='flagplus-banner'>This page is open to everybody who can reach this machine: it was started "
            "without a login. Start it with <code>--auth user:password</code>.</p>"
        )
        title = f"<h1 class='flagplus-title'>Flags in {html.escape(self._directory.name)}</h1>"
        return title + (warning if is_open else "")

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
                    [*states, *((name, f"={name}") for name in self._decisions)],
                    value="all",
                    label="Review",
                    min_width=140,
                )
                self.text = gr.Textbox(label="Text in the row", placeholder="press Enter to search", min_width=140)
            with gr.Row():
                self.since = gr.Textbox(label="From (day, UTC)", placeholder="2026-01-31", min_width=140)
                self.until = gr.Textbox(label="To (day, UTC)", placeholder="2026-12-31", min_width=140)
            self.clear = gr.Button("Clear the filter", size="sm")

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
            self.buttons = [gr.Button(name, min_width=90) for name in self._decisions]
            self.undo = gr.Button("Undo", min_width=90, interactive=False)
        with gr.Column(elem_id="flagplus-values"):
            # The place where the values of the flag appear.
            gr.render(inputs=[self.shown], triggers=[self.shown.change])(self._show_values)

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
            *((f"All that are {name}", f"={name}") for name in self._decisions),
        ]
        self.scope = gr.Radio(scopes, value="filter", label="Which flags")
        self.format = gr.Radio(list(FORMATS), value=FORMATS[0], label="Format")
        self.export = gr.Button("Export", variant="primary")
        self.exported = gr.HTML()
        self.download = gr.File(label="Download", visible=False, interactive=False)
