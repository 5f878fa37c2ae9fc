"""A person with a browser: from the URL to a cell's output."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.browsers import IN_THE_WAY, PAGE_TIMEOUT, browsed
from tests.support.hosts.containers import Host


def wait_for_kernel(page: Page) -> None:
    page.get_by_text("| Idle").wait_for()  # in the status bar; a cell that is run before this is lost


def test_the_first_page_is_the_welcome_notebook_and_its_cell_runs(machine: Host) -> None:
    with browsed("lab") as page:
        page.goto(machine.url)
        notebook = page.locator(".jp-Notebook")
        expect(notebook).to_contain_text(
            "ends when it has not been used for 10 minutes", timeout=PAGE_TIMEOUT
        )
        expect(notebook).to_contain_text("384 MiB of memory")
        wait_for_kernel(page)
        assert page.url.endswith("/lab/tree/welcome.ipynb")
        assert page.locator(".jp-mod-dirty").count() == 0, "it is unsaved though it was only opened"
        cell = notebook.locator(".jp-CodeCell").first
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        cell.locator(".jp-RenderedSVG img").wait_for()
        page.wait_for_timeout(2000)  # a greeting may appear late
        assert page.locator(IN_THE_WAY).count() == 0


def test_notebook_from_the_launcher_shows_a_result(machine: Host) -> None:
    with browsed("launcher") as page:
        page.goto(f"{machine.url}hub/user-redirect/lab")
        page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
        wait_for_kernel(page)
        cell = page.locator(".jp-CodeCell").first
        cell.locator(".cm-content").click()
        page.keyboard.type("6*7")
        page.keyboard.press("Shift+Enter")
        expect(cell.locator(".jp-OutputArea-output")).to_have_text("42", timeout=PAGE_TIMEOUT)
