"""A real Chromium, driven by Playwright; tests that ask for `page` are skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page, Playwright, Route

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def executable(playwright: Playwright) -> str | None:
    """The browser to use: `FLAGPLUS_BROWSER`, a Chromium or Chrome on the path, or the one that Playwright brought."""
    named = [os.environ.get("FLAGPLUS_BROWSER", ""), "chromium", "chromium-browser", "google-chrome", "chrome"]
    found = next((path for name in named if name and (path := shutil.which(name))), None)
    own = playwright.chromium.executable_path
    return found or (own if os.path.exists(own) else None)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright itself, once for all tests."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture
def page(playwright: Playwright, tmp_path: Path) -> Iterator[Page]:
    """A page of a fresh browser with a profile of its own, which reaches this machine and nothing else."""
    path = executable(playwright)
    if path is None:
        missing = "no Chromium or Chrome on the path: install one, or `playwright install chromium`"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with playwright.chromium.launch_persistent_context(
        tmp_path / "profile", executable_path=path, args=_FLAGS, viewport={"width": 1100, "height": 900}
    ) as browser:
        browser.set_default_timeout(30_000)
        browser.route("**/*", _local_only)
        yield browser.pages[0]


def _local_only(route: Route) -> None:
    """Gradio's page asks the network for fonts; a test must not depend on them."""
    if urlsplit(route.request.url).hostname in ("127.0.0.1", "localhost", None):
        route.continue_()
    else:
        route.abort()


def submit(page: Page, button: str = "Submit") -> None:
    """Press the button that runs the app's function."""
    page.get_by_role("button", name=button, exact=True).click()


def pictures(page: Page, count: int) -> list[bytes]:
    """The pictures on the page, once there are `count` of them, as their bytes came from the server."""
    shown = page.locator("img[src*='/file=']")
    shown.nth(count - 1).wait_for()
    return [page.request.get(str(picture.get_attribute("src"))).body() for picture in shown.all()]


def flagged(page: Page, button: str = "Flag") -> None:
    """Press a flag button; wait for "Saving..." and for the button to come back."""
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("button", name="Saving...").wait_for()
    page.get_by_role("button", name=button, exact=True).wait_for()
