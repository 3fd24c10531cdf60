"""Whom workers run as."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable

import pytest

from portway.errors import BadValue, StartupFailed
from portway.server.privileges import Identity, identity

NOBODY = pwd.getpwnam("nobody")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_nothing_asked_for_changes_nothing() -> None:
    assert identity("", "") is None


def test_an_unknown_user_and_group_are_named() -> None:
    with pytest.raises(BadValue, match="--user must be a user of this machine, not 'no-such-user'"):
        identity("no-such-user", "")
    with pytest.raises(BadValue, match="--group must be a group of this machine, not 'no-such-group'"):
        identity("", "no-such-group")


def test_a_number_without_an_entry_needs_a_group() -> None:
    with pytest.raises(BadValue, match="--group beside it"):
        identity("4123456", "")


def in_child(work: Callable[[], object]) -> str:
    """Call something in a fork; return what it returned, as `repr` shows it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, repr(work()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    said = os.read(reading, 4096).decode()
    os.close(reading)
    return said


def after_drop(wanted: Identity) -> str:
    """Drop privileges in a fork; return its user, group and supplementary groups."""

    def work() -> tuple[int, int, list[int]]:
        wanted.drop()
        return os.getuid(), os.getgid(), sorted(os.getgroups())

    return in_child(work)


@root_only
def test_a_named_user_brings_its_groups_and_keeps_none_of_roots() -> None:
    wanted = identity("nobody", "")
    assert wanted == Identity(NOBODY.pw_uid, NOBODY.pw_gid, "nobody")
    expected = sorted({NOBODY.pw_gid} | {g.gr_gid for g in grp.getgrall() if "nobody" in g.gr_mem})
    assert after_drop(wanted) == repr((NOBODY.pw_uid, NOBODY.pw_gid, expected))


@root_only
def test_numbers_are_taken_as_they_are() -> None:
    wanted = identity("4123456", "4123457")
    assert wanted == Identity(4123456, 4123457, None)
    assert after_drop(wanted) == repr((4123456, 4123457, [4123457]))


def test_only_root_may_change() -> None:
    def work() -> str:
        if os.geteuid() == 0:
            os.setuid(NOBODY.pw_uid)
        try:
            identity("root", "")
        except StartupFailed as error:
            return str(error)
        return "allowed"

    assert "this process is not root" in in_child(work)


def test_the_current_user_is_always_possible() -> None:
    assert identity(str(os.geteuid()), str(os.getegid())) is not None
