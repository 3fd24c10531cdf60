"""`portway dev` in a real browser: page, broken save, error page, mended, page again, all by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.client import Address
from tests.support.developing import ASGI, WSGI, Project, wait_for_watcher, wait_for_word
from tests.support.processes import Portway

WAIT_S = 20

pytestmark = [pytest.mark.needs("chromium", "chromedriver"), pytest.mark.timeout(120)]


@pytest.fixture(params=[WSGI, ASGI], ids=["wsgi", "asgi"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A project of each interface."""
    return Project(tmp_path, request.param)


def url(address: Address) -> str:
    return f"http://localhost:{address[1]}"


def wait_for_title(browser: Chrome, title: str) -> None:
    """Wait until the page has a title, without asking the browser for anything else."""
    WebDriverWait(browser, WAIT_S).until(expected_conditions.title_contains(title), f"never {title!r}")


def start(server: Portway, project: Project, browser: Chrome) -> None:
    server.ready()
    wait_for_watcher(server, project)
    browser.get(url(server.address))


def test_page_error_page(project: Project, browser: Chrome) -> None:
    with project.dev() as server:
        start(server, project, browser)
        wait_for_title(browser, "one")
        project.break_it()
        server.wait_for("keeps serving: ")
        browser.refresh()
        wait_for_title(browser, "The newest version has an error")
        assert "RuntimeError: <b>broken</b>" in browser.find_element(By.ID, "text").text
        here = browser.find_elements(By.CSS_SELECTOR, "section .here")
        assert "raise RuntimeError('<b>broken</b>')" in here[-1].text
        assert here[-1].value_of_css_property("background-color") != "rgba(0, 0, 0, 0)", "no stylesheet"
        project.write(project.name, "and now this")
        WebDriverWait(browser, WAIT_S).until(
            expected_conditions.text_to_be_present_in_element((By.ID, "text"), "SyntaxError")
        )
        project.save("two")
        wait_for_title(browser, "two")


def test_the_last_good_version_is_a_click_away(project: Project, browser: Chrome) -> None:
    with project.dev() as server:
        start(server, project, browser)
        project.break_it()
        server.wait_for("keeps serving: ")
        browser.get(f"{url(server.address)}/deep/page?a=b")
        browser.find_element(By.CSS_SELECTOR, "#state a").click()
        wait_for_title(browser, "one")
        assert browser.current_url == f"{url(server.address)}/deep/page?a=b"


def test_never_good_until_it_is(project: Project, browser: Chrome) -> None:
    project.break_it()
    with project.dev() as server:
        start(server, project, browser)
        wait_for_title(browser, "The newest version has an error")
        assert browser.find_element(By.ID, "state").text == "No version has started yet."
        project.save("two")
        wait_for_title(browser, "two")


def test_what_is_raised_runs_no_script(project: Project, browser: Chrome) -> None:
    with project.dev() as server:
        start(server, project, browser)
        browser.get(f"{url(server.address)}/raise")
        wait_for_title(browser, "GET /raise raised")
        assert "ValueError: </script><script>" in browser.find_element(By.ID, "text").text
        assert browser.execute_script("return document.scripts.length") == 1
        page = browser.find_element(By.TAG_NAME, "html")
        project.save("two")
        wait_for_word(server.address, "two")
        WebDriverWait(browser, WAIT_S).until(expected_conditions.staleness_of(page), "never loaded again")
        wait_for_title(browser, "GET /raise raised")
