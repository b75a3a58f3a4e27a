"""What the review page costs: in a browser, beside an empty page; and its index at a million flags.

    python tests/benchmarks/review.py [--rows 1000000] [--turns 7]

Prints ratios taken in one run: the pages are opened and clicked in turns, so that a machine that gets slower in
between slows both.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="flagplus-bench-cache-")
sys.path.insert(0, str(Path(__file__).parent.parent))

import gradio as gr
from browser import executable
from live import serving
from playwright.sync_api import Page, sync_playwright

from gradio_flagplus import FlagLogger, record, review_page
from gradio_flagplus.browse import Catalogue, Filter

REASONS = ["wrong", "blurry", "wrong|blurry", "off topic", ""]


def make_flags(directory: Path, rows: int) -> None:
    """A log of so many flags: the first by the logger, the others as it would have written them."""
    logger = FlagLogger(reasons=["wrong", "blurry", "off topic"], comment=True, timestamp=True)
    logger.setup([gr.Textbox(label="question"), gr.Textbox(label="answer")], directory)
    logger.flag(["a question", "an answer"], "wrong", "ann", "a comment")
    with open(directory / "logs.csv", "ab") as log:
        for n in range(1, rows):
            when = time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime(1_767_225_600 + 30 * n))
            cells = [f"question {n}, of many", f'answer "{n % 997}"', REASONS[n % 5], "", f"user {n % 50}", when]
            log.write(record.encode(cells))


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def opened(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("h2.flagplus-title:visible, .flagplus-empty:visible").first.wait_for()


def stepped(page: Page) -> None:
    """To the next flag; over when its title is on the page."""
    title = page.locator("h2.flagplus-title").inner_text()
    page.locator("#flagplus-next").click()
    page.wait_for_function("before => document.querySelector('h2.flagplus-title').innerText !== before", arg=title)


def page_costs(directory: Path, rows: int, turns: int) -> None:
    with sync_playwright() as playwright, ExitStack() as stack:
        path = executable(playwright)
        if path is None:
            print("No Chromium or Chrome on the path: the page is not measured.")
            return
        urls = {name: stack.enter_context(serving(review_page(directory / name))) for name in ("none", "few", "many")}
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        stack.callback(browser.close)
        pages = {name: browser.new_page(viewport={"width": 1280, "height": 900}) for name in urls}
        for page in pages.values():
            page.route("**/*", lambda route: route.continue_() if "127.0.0.1" in route.request.url else route.abort())
        times: dict[str, list[float]] = {}
        for turn in range(turns + 1):
            for name, page in pages.items():
                found = [("paint", seconds(lambda page=page, url=urls[name]: opened(page, url)))]
                found += [("click", seconds(lambda page=page: stepped(page))) for _ in range(3) if name != "none"]
                for what, took in found if turn else ():  # the first turn fills the caches
                    times.setdefault(f"{what} {name}", []).append(took)
    middle = {name: statistics.median(found) for name, found in times.items()}
    print(f"first paint, {rows:,} flags / none: {middle['paint many'] / middle['paint none']:.2f}")
    print(f"first paint, {rows:,} flags / 20: {middle['paint many'] / middle['paint few']:.2f}")
    print(f"to the next flag, of {rows:,} / of 20: {middle['click many'] / middle['click few']:.2f}")
    print("(medians, ms: " + ", ".join(f"{name} {1000 * took:.0f}" for name, took in middle.items()) + ")")


def look(catalogue: Catalogue, wanted: Filter, page: int = 0) -> None:
    """What one click asks for: the flags of one page of the list."""
    snapshot = catalogue.look()
    found = catalogue.find(snapshot, wanted)[::-1]
    for place in found[page * 15 : page * 15 + 15]:
        _ = snapshot.flag(place).values


def index_costs(small: Path, large: Path) -> None:
    catalogues = Catalogue(small), Catalogue(large)
    began = [seconds(catalogue.look) for catalogue in catalogues]
    sizes = [len(catalogue.look()) for catalogue in catalogues]
    raw = seconds(lambda: sum(len(line) for line in open(large / "logs.csv", "rb")))  # noqa: SIM115
    print(f"index of {sizes[1]:,} flags, once, / reading the log's lines: {began[1] / raw:.1f}  ({began[1]:.1f} s)")
    print(f"index, a flag: at {sizes[1]:,} / at {sizes[0]:,}: {began[1] / sizes[1] / (began[0] / sizes[0]):.2f}")
    asked = {
        "all": Filter(),
        "by reason": Filter(reasons=("blurry",)),
        "by user": Filter(username="user 7"),
        "not reviewed": Filter(reviewed=False),
        "by text": Filter(text="QUESTION 77"),
    }
    for name, wanted in asked.items():
        first = seconds(lambda wanted=wanted: look(catalogues[1], wanted))
        ours, theirs = (
            statistics.median(seconds(lambda c=c, page=page, wanted=wanted: look(c, wanted, page)) for page in range(9))
            for c in (catalogues[1], catalogues[0])
        )
        print(f"a page, {name}: {ours / theirs:.1f}  (first {1000 * first:.0f} ms, then {1000 * ours:.1f} ms)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=7)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="flagplus-bench-") as folder:
        directory = Path(folder)
        make_flags(directory / "few", 20)
        make_flags(directory / "many", 10_000)
        page_costs(directory, 10_000, given.turns)
        make_flags(directory / "most", given.rows)
        print(f"\nat {given.rows:,} flags / at 10,000:")
        index_costs(directory / "many", directory / "most")


if __name__ == "__main__":
    main()
