"""What the arbiter listens on, and what becomes of it when a reload names other addresses.

New sockets are opened when the configuration is read (`renew`), before the generation is started that is to
accept from them. When that one serves, or is given up, `settle` closes what nobody is to accept from
any more: the sockets that were dropped, or the new ones. The workers that accept from them are told to drain
after that, and take in what waits there before they close theirs.

Workers of different generations hand connections over to each other. So a listener has a number that all of
them know it by; it stands for a `Place`, for good, and each worker knows every place that there has been
until it was made. `Shared.knows`, which the board shows, is larger than all the numbers that a worker knows,
not larger than any later one, and another one whenever the addresses are others.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from portway.config import Settings
from portway.config.address import InheritedSocket, UnixAddress, parse_address
from portway.server.activation import Passed
from portway.server.assignment import Shared
from portway.server.listeners import Listener, Place, Role, SocketFiles, same_socket, wanted_places
from portway.server.logs import ErrorLog
from portway.server.privileges import KEEP, Identity, owner_of
from portway.server.upgrade import Inheritance


def asked_for(settings: Settings) -> list[tuple[str, Role]]:
    """Return every address that the settings name, and what each is for."""
    listen, tls = settings.listen, settings.tls
    return [
        *((address, Role.TLS if tls.certfile else Role.PLAIN) for address in listen.bind),
        *((address, Role.PLAIN) for address in tls.insecure_bind),
        *((address, Role.REDIRECT) for address in tls.redirect_bind),
    ]


def socket_files(settings: Settings, user: Identity | None) -> SocketFiles:
    """Return how the files of Unix sockets are made; what --uds-owner leaves out follows the workers."""
    uid, gid = owner_of(settings.listen.uds_owner) if settings.listen.uds_owner else (KEEP, KEEP)
    if user is not None:
        uid, gid = user.uid if uid == KEEP else uid, user.gid if gid == KEEP else gid
    return SocketFiles(settings.listen.uds_permissions, uid, gid)


class Listening:
    """The arbiter's listening sockets. Used by its only thread.

    Args:
        shared: What the first generation is to get; `number` has yet to be called.
        passed: Sockets that systemd passed.
        inheritance: What an older arbiter left to this one. The numbers of what both listen on are the same.
    """

    def __init__(self, shared: Shared, passed: Sequence[Passed], inheritance: Inheritance) -> None:
        self._serving = list(shared.listeners)
        self._coming: list[Listener] = []
        self._aside: list[Listener] = []
        self._passed = tuple(passed)
        if not self._passed and not _names_descriptors(shared.settings):
            # what systemd passed to an older arbiter, and that one left to this one
            inherited = [one for one in self._serving if isinstance(one.address, InheritedSocket)]
            self._passed = tuple(Passed(one.sock.fileno(), "") for one in inherited)
        self._backlog = shared.settings.listen.backlog
        self._told: dict[str, Listener] = {}
        self._numbers: dict[Place, int] = {
            one.place: inheritance.numbers[one.sock.fileno()]
            for one in self._serving
            if one.sock.fileno() in inheritance.numbers
        }
        self._next = inheritance.knows

    @property
    def addresses(self) -> set[str]:
        """What is listened on, as the options spell it."""
        return {str(listener.address) for listener in self._serving}

    def number(self, shared: Shared) -> Shared:
        """Return what a generation gets, with the numbers of its listeners."""
        for listener in shared.listeners:
            if listener.place not in self._numbers:
                self._numbers[listener.place] = self._next
                self._next += 1
            listener.number = self._numbers[listener.place]
        self._next += 1
        places = {number: place for place, number in self._numbers.items()}
        return replace(shared, places=places, knows=self._next)

    def renew(self, before: Shared, after: Shared) -> Shared:
        """Open what a new configuration asks for and is not open yet. `settle` is to follow.

        Args:
            before: What the generation that serves has.
            after: What the next one gets, with the listeners of that one.

        Returns:
            The latter with its own listeners.

        Raises:
            BindError: One of them cannot be listened on; nothing was opened.
        """
        old, new = before.settings.listen, after.settings.listen
        if (old.uds_permissions, old.uds_owner) != (new.uds_permissions, new.uds_owner):
            self._warn_of_files(after)
        if asked_for(before.settings) == asked_for(after.settings):
            return after
        if old.bind != new.bind and self._passed and not _names_descriptors(after.settings):
            before.log.entry("warning", "reload: bind is of no effect: sockets were passed in its place")
        from portway.server.relisten import relisten  # late: most reloads have the same addresses

        listeners = relisten(
            wanted_places(asked_for(after.settings), self._passed),
            new.backlog,
            socket_files(after.settings, after.identity),
            self._passed,
            [*self._serving, *self._aside],
        )
        self._coming = [one for one in listeners if one not in self._serving and one not in self._aside]
        after = replace(after, listeners=listeners)
        return after if set(listeners) == set(self._serving) else self.number(after)

    def _warn_of_files(self, after: Shared) -> None:
        stay = {address for address, _ in asked_for(after.settings)}
        for text in sorted(self.addresses & stay):
            address = parse_address(text)
            if isinstance(address, UnixAddress) and not address.abstract:
                what = "keeps the permissions and the owner that it was made with, until a restart"
                after.log.entry("warning", f"reload: {text} {what}")

    def settle(self, shared: Shared, with_another: bool) -> None:
        """Close what is not listened on any more. Idempotent.

        Sockets that were passed are only laid aside, for a later reload that asks for them again.

        Args:
            shared: What the generation has that serves.
            with_another: Whether another arbiter listens on the same sockets (an upgrade).
        """
        stay = shared.listeners
        for listener in [*self._serving, *self._coming]:
            if listener in stay:
                continue
            if isinstance(listener.address, InheritedSocket):
                self._aside.append(listener)
            else:
                _close(listener, with_another or any(same_socket(listener, other) for other in stay))
        self._serving, self._coming = list(stay), []
        self._aside = [listener for listener in self._aside if listener not in stay]
        if shared.settings.listen.backlog != self._backlog:
            self._backlog = shared.settings.listen.backlog
            for listener in stay:
                if not isinstance(listener.address, InheritedSocket):
                    listener.sock.listen(self._backlog)
        self._tell(shared.log)

    def _tell(self, log: ErrorLog) -> None:
        before, self._told = self._told, {str(listener): listener for listener in self._serving}
        for text, listener in before.items():
            if text not in self._told:
                passed = isinstance(listener.address, InheritedSocket)
                stays = ", which was passed and stays open: who connects there waits" if passed else ""
                log.entry("info", f"no longer listening on {text}{stays}")
        for text in self._told:
            if text not in before:
                log.entry("info", f"listening on {text}")

    def forget(self, keeps: Sequence[Listener]) -> None:
        """Close, in a forked child, what is not its own."""
        for listener in self._all():
            if listener not in keeps:
                listener.sock.close()

    def close(self, keep_files: bool = False) -> None:
        """Stop listening in this process, and remove the files of Unix sockets. Idempotent.

        Args:
            keep_files: Leave them: another arbiter listens on the same sockets.
        """
        for listener in self._all():
            _close(listener, keep_files)

    def _all(self) -> list[Listener]:
        return [*self._serving, *self._coming, *self._aside]


def _close(listener: Listener, stays_open: bool) -> None:
    if not stays_open and not listener.closed:
        listener.turn_away()
    listener.close(keep_file=stays_open)


def _names_descriptors(settings: Settings) -> bool:
    return any(isinstance(parse_address(text), InheritedSocket) for text, _ in asked_for(settings))
