"""A headless browser, for tests of pages as people see them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from tests.support.operators import PROJECT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# It runs as root, headless, and connects to the hub alone.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = PROJECT / "build" / "screenshots"
PAGE_TIMEOUT = 60_000  # milliseconds
IN_THE_WAY = "[role=dialog], .jp-Dialog, .Toastify__toast"  # of JupyterLab's page


@contextmanager
def browsed(screenshot: str) -> Iterator[Page]:
    """A page of a new browser. At the end, of a failed test too, it leaves a screenshot."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, "no Chromium here: `make test` installs it"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
        page.set_default_timeout(PAGE_TIMEOUT)
        try:
            yield page
        finally:
            page.screenshot(path=SCREENSHOTS / f"{screenshot}.png")
            browser.close()
