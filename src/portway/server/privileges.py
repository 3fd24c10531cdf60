"""The user and the group that workers run as. Looked up before anything is opened, dropped after the fork."""

from __future__ import annotations

import grp
import os
import pwd

from msgspec import Struct

from portway.errors import BadValue, StartupFailed, shown

KEEP = -1
"""A user or group that stays as it is, as chown(2) has it."""


class Identity(Struct, frozen=True):
    """Whom a worker runs as.

    Attributes:
        uid: Numeric user.
        gid: Numeric primary group.
        name: The user's name for its supplementary groups, or None for a number without an entry.
    """

    uid: int
    gid: int
    name: str | None

    def drop(self) -> None:
        """Become this user for good: supplementary groups, group, user, in this order."""
        if os.geteuid() == 0:
            if self.name is not None:
                os.initgroups(self.name, self.gid)
            else:
                os.setgroups([self.gid])
        os.setgid(self.gid)
        os.setuid(self.uid)

    def own(self, target: int | str) -> None:
        """Give a file (descriptor or path) to this user."""
        os.chown(target, self.uid, self.gid)


def identity(user: str, group: str) -> Identity | None:
    """Return whom the workers run as, or None when nothing changes.

    Args:
        user: A name, a number, or "" for the current one.
        group: A name, a number, or "" for the user's primary group.

    Raises:
        BadValue: No such user or group.
        StartupFailed: This process may not change to it.
    """
    if not user and not group:
        return None
    entry = _user(user) if user else _entry(os.geteuid())
    uid = entry.pw_uid if entry else int(user) if user else os.geteuid()
    wanted = Identity(uid, _group(group, entry, user), entry.pw_name if entry else None)
    if os.geteuid() != 0 and (wanted.uid, wanted.gid) != (os.geteuid(), os.getegid()):
        raise StartupFailed(
            f"cannot run workers as user {shown(user or uid)} and group {shown(group or wanted.gid)}: "
            f"this process is not root (uid {os.geteuid()})",
            "start as root, or leave --user and --group away.",
        )
    return wanted


def owner_of(text: str) -> tuple[int, int]:
    """Return the user and the group that USER, USER:GROUP or :GROUP names, KEEP for one that is left out.

    Raises:
        BadValue: No such user or group.
    """
    user, _, group = text.partition(":")
    uid = KEEP
    if user:
        entry = _user(user, "--uds-owner")
        uid = entry.pw_uid if entry else int(user)
    return uid, _gid(group, "--uds-owner") if group else KEEP


def user_name(uid: int) -> str:
    """Return how to call a user in a message."""
    entry = _entry(uid)
    return f"user {entry.pw_name}" if entry else f"user {uid}"


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _user(user: str, option: str = "--user") -> pwd.struct_passwd | None:
    if user.isdecimal():
        return _entry(int(user))
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise BadValue(
            option, user, "must be a user of this machine", hint="getent passwd lists them."
        ) from None


def _gid(group: str, option: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise BadValue(
            option, group, "must be a group of this machine", hint="getent group lists them."
        ) from None


def _group(group: str, entry: pwd.struct_passwd | None, user: str) -> int:
    if group:
        return _gid(group, "--group")
    if entry is None:
        # Keeping the current group here would leave a worker that was meant to be harmless in root's.
        raise BadValue("--user", user, "must have an entry in passwd, or --group beside it")
    return entry.pw_gid
