"""Headless Chromium, from Debian's packages, that talks to this machine only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requirement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver.chrome.webdriver import WebDriver

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
    # Whatever is no address of this machine is not looked up, let alone asked.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip
SIZE = (1200, 760)


def require_chromium() -> tuple[str, str]:
    """The browser and its driver; in CI they are no question."""
    return requirement.program("chromium"), requirement.program("chromedriver")


@contextmanager
def chromium(profile: Path, *flags: str, dark: bool = False) -> Iterator[WebDriver]:
    """
    A browser.

    Args:
        profile: An empty directory.
        flags: Further ones of the command line.
        dark: Whether its user likes it dark.
    """
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    binary, driver = require_chromium()
    options = ChromeOptions()
    options.binary_location = binary
    for flag in (*_FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    options.add_argument(f"--window-size={SIZE[0]},{SIZE[1]}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Chrome(options=options, service=Service(driver))
    try:
        made.set_page_load_timeout(30)
        set_dark(made, dark)
        yield made
    finally:
        made.quit()


def set_dark(browser: WebDriver, dark: bool) -> None:
    """What the user likes."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def complaints(browser: WebDriver) -> list[Any]:
    """What the browser's console has said since it was asked last."""
    return [entry["message"] for entry in browser.get_log("browser")]
