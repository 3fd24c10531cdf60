"""The example applications, each served for real by two worker processes, and a browser to visit them."""

from __future__ import annotations

import http.cookiejar
import re
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.support.processes import Portway

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
# Name, what `portway serve` is given, and the framework that the page names.
APPLICATIONS = {
    "site": ([str(EXAMPLES / "site" / "app.py")], "Flask"),
    "site-with-routes": (["", "--chdir", str(EXAMPLES / "site")], "Flask"),
    "api": ([str(EXAMPLES / "api" / "app.py")], "FastAPI"),
    "django-wsgi": (["harbour.wsgi:application", "--chdir", str(EXAMPLES / "django")], "Django"),
    "django-asgi": (["harbour.asgi:application", "--chdir", str(EXAMPLES / "django")], "Django"),
    "chalice": ([str(EXAMPLES / "chalice" / "app.py")], "Chalice"),
}
# What keeps a browser without a screen from looking around the network by itself.
BROWSER_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1100,1000",
)


@dataclass(frozen=True)
class Example:
    """One application that is being served."""

    name: str
    framework: str
    url: str
    server: Portway

    def get(self, path: str, **query: str) -> urllib.request.Request:
        """Return a GET request for a path of this application."""
        encoded = "?" + urllib.parse.urlencode(query) if query else ""
        return urllib.request.Request(self.url + path + encoded)


@pytest.fixture(scope="module", params=APPLICATIONS)
def example(request: pytest.FixtureRequest) -> Iterator[Example]:
    """Serve one of the examples; at the end it must have stopped cleanly, with nothing wrong in its log."""
    arguments, framework = APPLICATIONS[request.param]
    with Portway(*arguments, "--workers", "2", "--threads", "4") as server:
        host, port = server.ready().address
        yield Example(request.param, framework, f"http://{host}:{port}", server)
        assert server.stop() == 0
        assert not re.search(r"Traceback|\berror:|\bwarning:", server.log), server.log


@pytest.fixture
def visitor() -> urllib.request.OpenerDirector:
    """Return a client that keeps cookies and uses no proxy."""
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    return urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> webdriver.Chrome:
    """Return the browser as no other test has left it: no page that goes on asking, nothing in its log."""
    chromium.get("about:blank")
    chromium.get_log("browser")  # type: ignore[no-untyped-call]
    return chromium


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Start a headless Chromium with a profile of its own. Only for tests marked as needing it."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in BROWSER_ARGUMENTS:
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()
