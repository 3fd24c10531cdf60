"""The error log and the file behind the access log."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from portway.config.access_format import line_format
from portway.errors import StartupFailed
from portway.server.logs import AccessLog, ErrorLog, LogFile, describe_exception, escape
from portway.server.reporter import REFUSALS_PER_WINDOW, WINDOW_S, Reporter

ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(\d+)\] (\w+): (.*)")


def entries(path: Path) -> list[tuple[str, str]]:
    """Return level and text of every entry; anything else in the file is an error."""
    found = []
    for line in path.read_text().splitlines():
        if line.startswith("    "):
            continue
        match = ENTRY.fullmatch(line)
        assert match, line
        found.append((match[2], match[3]))
    return found


def test_an_entry_has_time_pid_level_and_text(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    ErrorLog(str(path)).entry("info", "serving")
    match = ENTRY.fullmatch(path.read_text().rstrip("\n"))
    assert match
    assert match.groups() == (str(os.getpid()), "info", "serving")


def test_less_severe_entries_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    log = ErrorLog(str(path), "warning")
    log.entry("debug", "a")
    log.entry("info", "b")
    log.entry("warning", "c")
    log.entry("error", "d")
    assert entries(path) == [("warning", "c"), ("error", "d")]


@pytest.mark.parametrize(
    "nasty", ["\n", "\r", "\x1b[2J", "\x00", "\x9b", "\u2028", "\u202e", "\x7f", "\ud800"]
)
def test_no_text_starts_a_line_or_drives_a_terminal(tmp_path: Path, nasty: str) -> None:
    path = tmp_path / "error.log"
    forged = f"x{nasty}2026-01-01 00:00:00 [1] info: forged"
    ErrorLog(str(path)).entry("error", forged, details=f"line one\n{forged}\nend")
    assert [level for level, _ in entries(path)] == ["error"]
    assert nasty not in path.read_text().replace("\n", "") if nasty != "\n" else True


def test_escape_leaves_ordinary_text_alone() -> None:
    assert escape("GET /ä?q=☃ \t ok") == "GET /ä?q=☃ \t ok"
    assert escape("a\r\nb") == "a\\r\\nb"


def test_reopening_follows_a_rotation_under_the_same_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path), line_format("json"))
    fd = log.fd
    log.write(b"before\n")
    path.rename(tmp_path / "access.log.1")
    log.write(b"still the old file\n")
    assert log.reopen() is None
    os.write(fd, b"after\n")
    assert log.fd == fd
    assert not os.get_inheritable(fd)
    assert path.read_bytes() == b"after\n"
    assert (tmp_path / "access.log.1").read_bytes() == b"before\nstill the old file\n"


def test_a_failed_reopening_says_so_and_keeps_the_old_file(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    log = LogFile(str(directory / "error.log"))
    directory.rename(tmp_path / "moved")
    assert "cannot reopen the log" in (log.reopen() or "")
    log.write(b"x\n")
    assert (tmp_path / "moved" / "error.log").read_bytes() == b"x\n"


def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupFailed, match=r"cannot open the log '.*none/error\.log'"):
        ErrorLog(str(tmp_path / "none" / "error.log"))


def test_a_full_disk_loses_the_entry_and_nothing_else() -> None:
    log = ErrorLog("/dev/full")
    log.entry("error", "lost")
    log.entry("error", "lost as well")


def test_a_reader_that_went_away_loses_the_entry_and_nothing_else(tmp_path: Path) -> None:
    log = ErrorLog(str(tmp_path / "error.log"))
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), log.fd)
    theirs.close()
    log.entry("error", "lost")
    ours.close()


def test_an_application_error_has_its_request_and_traceback(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    try:
        raise ValueError("bad\n2026-01-01 00:00:00 [1] info: forged")
    except ValueError as error:
        Reporter(ErrorLog(str(path))).application_error(error, "GET /x")
    assert entries(path) == [("error", "the application failed at GET /x")]
    assert "    ValueError: bad" in path.read_text()
    assert "test_logs.py" in path.read_text()


def test_an_exception_that_cannot_be_shown_is_still_named() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Unspeakable" in describe_exception(Unspeakable())


def test_a_notice_is_logged_once_for_each_key(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    report = Reporter(ErrorLog(str(path)))
    for number in range(3):
        report.notice("underscore", f"dropped a field ({number})")
    report.notice("other", "something else")
    assert entries(path) == [("warning", "dropped a field (0)"), ("warning", "something else")]


def test_refusals_are_limited_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    now = 1000.0
    report = Reporter(ErrorLog(str(path)), clock=lambda: now)
    for _ in range(REFUSALS_PER_WINDOW + 30):
        report.refused(400, "a bare line feed", "192.0.2.1")
    assert len(entries(path)) == REFUSALS_PER_WINDOW
    now += WINDOW_S
    report.refused(431, "a field line over 8190 bytes", "")
    texts = [text for _, text in entries(path)]
    assert texts[0] == "refused a request from 192.0.2.1: 400, a bare line feed"
    assert texts[-2:] == [
        "30 more refused requests were not logged",
        "refused a request from an unnamed client: 431, a field line over 8190 bytes",
    ]
