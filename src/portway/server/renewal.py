"""What a reload takes over from a configuration that was read again, and what it cannot.

The next generation starts with the new configuration whole; what it listens on is up to `listening`. What
holds for the arbiter itself stays as it is until an upgrade or a restart, and the log says so each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from portway.config import Settings
from portway.config.changes import changes, spell_change
from portway.config.show import value_of
from portway.errors import StartupFailed
from portway.server.assignment import Shared
from portway.server.invocation import Configuration
from portway.server.logs import AccessLog, ErrorLog
from portway.server.opening import open_access_log
from portway.server.processors import bounds

if TYPE_CHECKING:
    from portway.server.encryption import Encryption

FIXED = frozenset({"pid", "user", "group", "umask", "reload", "admin", "admin-host", "control"})
"""Options that only an upgrade or a restart changes."""


def renew(shared: Shared, now: Configuration) -> Shared:
    """Return what the next generation gets.

    Args:
        shared: What the present one has.
        now: What the files say now.

    Raises:
        PortwayError: A log cannot be opened, there is no room for so many workers, or what is new about TLS
            cannot be used.
    """
    settings = _kept(shared, now.settings)
    texts = [spell_change(one, shared.settings, settings) for one in changes(shared.settings, settings)]
    if shared.site != now.site or shared.environment != now.environment:
        from portway.site.changes import environment_changes, site_changes  # late: most servers have no site

        texts += site_changes(shared.site, now.site)
        texts += environment_changes(shared.environment, now.environment)
    shared = replace(shared, site=now.site, environment=now.environment)
    if not texts:
        return replace(shared, settings=settings, encryption=_encryption(shared, settings))
    _check_room(shared, settings)
    encryption = _encryption(shared, settings)
    log, access = _logs(shared, settings)
    renewed = replace(shared, settings=settings, log=log, access=access, encryption=encryption)
    shared.log.entry("info", f"reload: {', '.join(texts)}")
    return renewed


def _kept(shared: Shared, settings: Settings) -> Settings:
    """Return the new settings with the old values of what cannot change."""
    for declared in changes(shared.settings, settings):
        if declared.option.name in FIXED:
            shared.log.entry(
                "warning",
                f"reload: {spell_change(declared, shared.settings, settings)} takes an upgrade (SIGUSR2) "
                "or a restart; until then the old value holds",
            )
            group = getattr(settings, declared.group)
            old = value_of(shared.settings, declared)
            group = msgspec.structs.replace(group, **{declared.field: old})
            settings = msgspec.structs.replace(settings, **{declared.group: group})
    return settings


def _check_room(shared: Shared, settings: Settings) -> None:
    most, possible = bounds(settings.process.workers)[1], shared.slots.count // 2
    if most > possible:
        raise StartupFailed(
            f"there is no room for {most} workers: this server was started with room for {possible}",
            "an upgrade (SIGUSR2) or a restart makes room for more.",
        )


def _logs(shared: Shared, settings: Settings) -> tuple[ErrorLog, AccessLog | None]:
    """Return the logs of the new settings, opened where their options changed."""
    old, new = shared.settings.log, settings.log
    log, access = shared.log, shared.access
    if (old.errors, old.level) != (new.errors, new.level):
        log = ErrorLog(new.errors, new.level, shared.identity)
    form = old.access, old.access_format, old.access_exclude, shared.settings.http.request_id
    if form != (new.access, new.access_format, new.access_exclude, settings.http.request_id):
        access = open_access_log(settings, shared.identity)
    return log, access


def _encryption(shared: Shared, settings: Settings) -> Encryption | None:
    """Return TLS as the new settings want it. With the same options, broken files change nothing."""
    old, new = shared.settings.tls, settings.tls
    if bool(old.certfile) != bool(new.certfile):
        text = f"TLS cannot be turned {'on' if new.certfile else 'off'} while the server listens"
        raise StartupFailed(text, "an upgrade (SIGUSR2) or a restart can.")
    if shared.encryption is None:
        return None
    if old == new:
        shared.encryption.renew()
        return shared.encryption
    return type(shared.encryption)(new, shared.log)
