"""A person with a browser: from the URL to a cell's output."""

from __future__ import annotations

import shutil

from playwright.sync_api import expect, sync_playwright

from tests.e2e.hosts import Host
from tests.e2e.operators import PROJECT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# It runs as root, without a screen, and calls nobody but the hub.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOT = PROJECT / "build" / "screenshots" / "lab.png"
PATIENCE = 60_000  # milliseconds


def test_notebook_from_the_launcher_shows_a_result(machine: Host) -> None:
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser_path, "no Chromium here: `make test` installs it"
    SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
        page.set_default_timeout(PATIENCE)
        try:
            page.goto(machine.url)
            page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
            page.get_by_text("| Idle").wait_for()  # in the status bar; what is run before is lost
            cell = page.locator(".jp-CodeCell").first
            cell.locator(".cm-content").click()
            page.keyboard.type("6*7")
            page.keyboard.press("Shift+Enter")
            expect(cell.locator(".jp-OutputArea-output")).to_have_text("42", timeout=PATIENCE)
        finally:
            page.screenshot(path=SCREENSHOT)
            browser.close()
