"""The status page of the admin listener, in a real browser: alive, readable, and harmless."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.client import get
from tests.support.load import Load
from tests.support.processes import Portway
from tests.support.waiting import wait_until

WAIT_S = 20

pytestmark = [pytest.mark.needs("chromium", "chromedriver"), pytest.mark.timeout(120)]


def answers(address: tuple[str, int]) -> bool:
    """Return whether somebody answers there."""
    try:
        return get(address, "/livez").status == 200
    except OSError:
        return False


@pytest.fixture
def server() -> Iterator[tuple[Portway, str]]:
    """A server with two workers, and the address of its status page."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address: tuple[str, int] = sock.getsockname()
    where = f"127.0.0.1:{address[1]}"
    asked = ("--admin", where, "--admin-host", "portway.test")  # the name that the tests' client asks under
    with Portway("wsgi.py", "--workers", "2", *asked, "--slow-request", "0.5") as made:
        made.ready()
        wait_until(lambda: answers(address), "the monitor")
        yield made, f"http://{where}/"


def text(browser: Chrome, element: str) -> str:
    """Return what an element, given by its id, says."""
    return browser.find_element(By.ID, element).text


def wait(browser: Chrome, script: str, what: str) -> None:
    """Wait until an expression in the page is true."""
    WebDriverWait(browser, WAIT_S).until(lambda page: page.execute_script(f"return {script}"), f"no {what}")


def test_the_page_draws_what_happens(server: tuple[Portway, str], browser: Chrome) -> None:
    running, url = server
    with Load(running.address, keep_alive=2) as load:
        load.wait_for(50)
        get(running.address, "/slow?0.6")
        browser.get(url)
        wait(browser, "document.getElementById('rate').textContent.replace(/,/g, '') > 0", "rate")
        assert text(browser, "state") == "serving"
        assert text(browser, "p50") != "–"
        assert len(browser.find_elements(By.CSS_SELECTOR, "#workers tr")) == 2
        assert "GET /slow" in text(browser, "slow")
        label = browser.find_element(By.ID, "rates").get_attribute("aria-label")
        assert label is not None
        assert label.startswith("Requests a second, now")
        wait(
            browser,
            "(canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
            ".data.some(byte => byte))(document.getElementById('rates'))",
            "drawing",
        )
    log = browser.get_log("browser")  # type: ignore[no-untyped-call]
    errors = [entry for entry in log if "favicon" not in entry["message"]]
    assert errors == []


def test_the_page_follows_a_reload_and_tells_the_end(server: tuple[Portway, str], browser: Chrome) -> None:
    running, url = server
    browser.get(url)
    wait(browser, "document.getElementById('facts').textContent.includes('generation 1')", "generation 1")
    running.send(signal.SIGHUP)
    wait(browser, "document.getElementById('facts').textContent.includes('generation 2')", "generation 2")
    assert running.stop() == 0
    wait(browser, "document.getElementById('state').textContent == 'not answering'", "sign of the end")
    browser.get_log("browser")  # type: ignore[no-untyped-call]  # what failed after the end is no other test's


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(
    server: tuple[Portway, str], browser: Chrome, scheme: str
) -> None:
    _, url = server
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(url)
    wait(browser, "document.querySelectorAll('#workers tr').length == 2", "workers")
    ratios = browser.execute_script(CONTRASTS)
    assert len(ratios) > 10
    assert min(ratio for _, ratio in ratios) >= 4.5, ratios  # WCAG 2.2, success criterion 1.4.3
    wide = browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert wide, "the page scrolls sideways"


def test_tables_charts_and_news_are_named(server: tuple[Portway, str], browser: Chrome) -> None:
    _, url = server
    browser.get(url)
    wait(browser, "document.querySelectorAll('#workers tr').length == 2", "workers")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
    assert browser.execute_script("return [...document.querySelectorAll('canvas')].every(c => c.ariaLabel)")
    assert browser.execute_script("return [...document.querySelectorAll('th')].every(h => h.scope == 'col')")
    assert browser.find_element(By.ID, "state").get_attribute("role") == "status"
    assert browser.find_element(By.ID, "trouble").get_attribute("role") == "alert"


# Each element with text of its own, with the contrast of its colours (WCAG's relative luminance).
CONTRASTS = """
const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
};
const back = element => {
    for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!colour.endsWith(', 0)')) return colour;
    }
    return 'rgb(255, 255, 255)';
};
return [...document.body.querySelectorAll('*')]
    .filter(element => [...element.childNodes].some(node => node.nodeType == 3 && node.data.trim()))
    .filter(element => !['SCRIPT', 'STYLE'].includes(element.tagName))
    .map(element => {
        const [a, b] = [light(getComputedStyle(element).color), light(back(element))];
        return [element.textContent.slice(0, 20), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    });
"""
