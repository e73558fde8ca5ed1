"""Chromium for tests, where there is one (Debian: apt-get install chromium), driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRAWS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
"""Draws 3D by software, as a machine without a graphics card needs it."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=DRAWS)
        yield browser
        browser.close()


@contextmanager
def page_of(
    browser: Any, address: str, *, width: int = 1000, height: int = 640, refused: int | None = None, **options: Any
) -> Iterator[Any]:
    """Yield an open page; at the end no script may have failed, and nothing been asked of another address.

    Chromium complains of a request that is refused; it may of one with the status ``refused``.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True, **options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    wrong: list[str] = []
    own = address.partition("#")[0].rpartition("/")[0]
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None)
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((own, "data:", "blob:")) else wrong.append(f"asked: {asked.url}"),
    )
    page.goto(address)
    yield page
    context.close()
    assert [each for each in wrong if refused is None or f"status of {refused}" not in each] == []


def overflows(page: Any) -> bool:
    """Tell whether a page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def until(page: Any, true: str) -> None:
    """Wait until an expression is true. (Playwright's own way needs `eval`, which our pages forbid.)"""
    for _ in range(600):
        if page.evaluate(true):
            return
        page.wait_for_timeout(50)
    raise AssertionError(true)
