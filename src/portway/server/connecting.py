"""What the two kinds of worker do alike with their engines."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

from portway.config import Settings
from portway.server.assignment import Assignment
from portway.server.listeners import Listener, Place, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from portway.apps import Application
    from portway.engine.accept import Acceptor, Redirect, TLSPolicy
    from portway.engine.asgi import ASGIEngine
    from portway.server.encryption import Encryption
    from portway.site.mounts import ASGIMounts
    from portway.site.site import Site

    Notice = Callable[[str, str], None]


def mounts_of(application: Application) -> ASGIMounts | None:
    """Return the ASGI applications of a site; None where there is one application."""
    return getattr(application, "asgi", None)


def tell_mounts(engine: Acceptor, application: Application) -> None:
    """Have an engine say which route a request has taken, where there are several applications."""
    engine.tell_mount = hasattr(application, "asgi")
    mounts = mounts_of(application)
    engine.tell_peer = mounts is not None and mounts.proxies


def offer_upgrades(engine: ASGIEngine, application: Application, settings: Settings, notice: Notice) -> None:
    """Let the clients of an ASGI application open WebSockets, and proxies pass other protocols on.

    Args:
        engine: It has not started.
        application: What it serves.
        settings: The configuration.
        notice: Takes a key and a line for the log.
    """
    from portway.protocols.limits import limits_of
    from portway.protocols.upgrades import Upgrades

    limits = limits_of(settings.websockets) if settings.websockets.mode == "auto" else None
    mounts = mounts_of(application)
    passed_on = mounts.passes_on if mounts is not None and mounts.proxies else None
    if limits is not None or passed_on is not None:
        engine.upgraded = Upgrades(application.app, limits, notice, passed_on)


def connect(engine: Acceptor, assignment: Assignment, elsewhere: Container[int] = ()) -> None:
    """Give an engine everything that connections come from, and the routes of its site.

    Args:
        engine: It has not started.
        assignment: The worker's work.
        elsewhere: Places of the routes that another engine of this process answers.
    """
    shared = assignment.shared
    route(engine, shared.site, elsewhere)
    listen(engine, shared.listeners, shared.settings, shared.encryption, shared.places)
    slots = shared.slots
    slots[assignment.slot].knows = shared.knows
    engine.add_handover(slots.queue(assignment.slot), slots.others(assignment.slot))


def route(engine: Acceptor, site: Site | None, elsewhere: Container[int] = ()) -> None:
    """Give an engine the routes of its site.

    Args:
        engine: It has not started.
        site: The routes, or None without any.
        elsewhere: Places of the routes that another engine of this process answers.
    """
    if site is not None:
        from portway.site.tables import make_table

        engine.table = make_table(site, elsewhere)


def listen(
    engine: Acceptor,
    listeners: Sequence[Listener],
    settings: Settings,
    encryption: Encryption | None,
    places: Mapping[int, Place] = {},
) -> None:
    """Have an engine accept from listeners, each for what it is for.

    Args:
        engine: The engine.
        listeners: All that there are.
        settings: The configuration.
        encryption: The certificates in use, or None without TLS.
        places: Those that connections handed over may come from, by their numbers.
    """

    def policy(role: Role) -> tuple[TLSPolicy | None, Redirect | None]:
        if role is Role.PLAIN or encryption is None:
            return None, None
        if role is Role.TLS:
            return encryption, None
        from portway.server.redirect import Redirect

        return None, Redirect(encryption.knows, settings.tls.redirect_port or _port_with_tls(listeners))

    own = {listener.number for listener in listeners}
    for number, place in places.items():
        if number not in own:
            engine.know_listener(number, place.family, place.name, *policy(place.role))
    for listener in listeners:
        engine.add_listener(listener.sock, *policy(listener.role), listener.number)


def _port_with_tls(listeners: Sequence[Listener]) -> int:
    for listener in listeners:
        if listener.role is Role.TLS:
            return int(listener.place.name[1])
    return 443
