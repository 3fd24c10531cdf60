"""The page of each example as a visitor sees it, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

from tests.examples.conftest import Example

WAIT_S = 20
PNG = b"\x89PNG\r\n\x1a\n"

pytestmark = [pytest.mark.needs("chromium", "chromedriver"), pytest.mark.timeout(120)]


@pytest.fixture
def page(example: Example, browser: Chrome) -> Chrome:
    """Open the page."""
    browser.get(example.url + "/")
    return browser


def wait_for_text(browser: Chrome, element: str, text: str) -> None:
    """Wait until an element, given by its id, holds a text."""
    condition = expected_conditions.text_to_be_present_in_element((By.ID, element), text)
    WebDriverWait(browser, WAIT_S).until(condition, f"#{element} never said {text!r}")


def test_page_is_whole(page: Chrome) -> None:
    assert page.title == "Little Harbour"
    drawn = page.execute_script(
        "return [...document.images].map(image => image.complete && image.naturalWidth > 0)"
    )
    assert drawn == [True, True]
    heading = page.find_element(By.TAG_NAME, "h1")
    assert float(heading.value_of_css_property("font-size").removesuffix("px")) >= 32, "no stylesheet"


def test_button_counts(page: Chrome) -> None:
    wait_for_text(page, "count", "The bell is silent.")
    button = page.find_element(By.ID, "ring")
    button.click()
    wait_for_text(page, "count", "The bell has rung once.")
    button.click()
    wait_for_text(page, "count", "The bell has rung 2 times.")


def test_form_lists_matches(page: Chrome, tmp_path: Path) -> None:
    field = page.find_element(By.NAME, "words")
    field.send_keys("Tromsø")
    field.submit()
    wait_for_text(page, "results", "2 boats in port for “Tromsø”")
    rows = [row.text for row in page.find_elements(By.CSS_SELECTOR, "#results tbody tr")]
    assert rows == ["Little Auk Dinghy Tromsø 3.9 m C4", "Northern Light Ferry Tromsø 38.5 m D2"]
    screenshot = tmp_path / "page.png"
    assert page.save_screenshot(str(screenshot))
    assert screenshot.read_bytes().startswith(PNG)


def test_browser_complains_of_nothing(page: Chrome) -> None:
    page.find_element(By.ID, "ring").click()
    page.find_element(By.CSS_SELECTOR, "form button").click()
    wait_for_text(page, "results", "14 boats in port")
    assert page.get_log("browser") == []  # type: ignore[no-untyped-call]
