"""A headless Chromium that looks at TensorBoard: open a tab, wait until it has drawn, take a picture, read the console.

TensorBoard's pages are nested web components, each with a shadow tree of its own, so nothing is found by an ordinary
selector: `find_all` walks the shadow trees.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SECONDS_TO_DRAW = 60

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
# Every element that matches, in the order of the page, whatever shadow tree contains it.
_FIND_ALL = """
const found = [];
const start = arguments[1] || document;
const walk = (root) => {
  for (const node of root.querySelectorAll('*')) {
    if (node.matches(arguments[0])) found.push(node);
    if (node.shadowRoot) walk(node.shadowRoot);
  }
};
if (start.shadowRoot) walk(start.shadowRoot);
walk(start);
return found;
"""


def reason_to_skip() -> str | None:
    """Why no browser can be opened here; None when one can."""
    return None if CHROMIUM and DRIVER else "Chromium and chromedriver are not installed"


class Browser:
    """One window of the browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Load a page anew, also when only the part behind `#` differs from the page at hand."""
        self.driver.get("about:blank")
        self.driver.get(url)

    def find_all(self, selector: str, text: str = "") -> list[WebElement]:
        """The visible elements that match a CSS selector and contain `text`.

        A selector with spaces must match within one shadow tree.
        """
        return self._visible(self.everything(selector), text)

    def everything(self, selector: str) -> list[WebElement]:
        """The elements that match, hidden ones (of closed menus) included."""
        return self.driver.execute_script(_FIND_ALL, selector)

    def inside(self, element: WebElement, selector: str, text: str = "") -> list[WebElement]:
        """The same below one element."""
        return self._visible(self.driver.execute_script(_FIND_ALL, selector, element), text)

    def _visible(self, found: list[WebElement], text: str) -> list[WebElement]:
        return [one for one in found if self._is_visible(one) and text in one.text]

    def _is_visible(self, element: WebElement) -> bool:
        with contextlib.suppress(StaleElementReferenceException):
            return element.is_displayed()
        return False

    def wait_for(self, selector: str, text: str = "", count: int = 1) -> list[WebElement]:
        """Wait until at least `count` such elements are there."""
        return self.wait(lambda: self._at_least(count, selector, text), f"{count} x {selector} {text!r}")

    def _at_least(self, count: int, selector: str, text: str) -> list[WebElement]:
        found = self.find_all(selector, text)
        return found if len(found) >= count else []

    def wait(self, condition: Callable[[], Any], what: str = "the page") -> Any:
        """Wait until `condition` returns something true; return that."""
        limit = time.monotonic() + SECONDS_TO_DRAW
        while time.monotonic() < limit:
            with contextlib.suppress(StaleElementReferenceException):
                if result := condition():
                    return result
            time.sleep(0.2)
        raise AssertionError(f"the browser does not show {what}")

    def click(self, element: WebElement) -> None:
        """Click, whatever may float above the element."""
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click();", element)

    def settle(self) -> None:
        """Wait until the picture has stopped changing: charts are drawn in animation frames, after their data came."""
        before = b""
        for _ in range(40):
            time.sleep(0.5)
            now = self.driver.get_screenshot_as_png()
            if now == before:
                return
            before = now

    def screenshot(self, path: Path) -> Path:
        """Write the window as a PNG once it has settled."""
        self.settle()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(path))
        return path

    def console_errors(self) -> list[str]:
        """The errors that the page has logged since the last call."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@contextlib.contextmanager
def open_browser(width: int = 1500, height: int = 1000) -> Iterator[Browser]:
    """A fresh browser with a profile of its own, gone with the block."""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = CHROMIUM or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            yield Browser(driver)
        finally:
            with contextlib.suppress(WebDriverException):
                driver.quit()
