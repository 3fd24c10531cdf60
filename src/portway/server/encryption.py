"""TLS as the engine gets it: contexts, the choice of a certificate, and what applications are told.

The context that connections begin with is made once, before the first fork. It holds no certificate:
policy, and the keys of session tickets, which so are the same in every worker and outlive a change
of certificates. The server name callback, which OpenSSL calls for every handshake, named or not, turns
each connection to the context of its certificate. Those are each process's own, and made anew when the
published certificates change.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from portway.config.settings import TLS
from portway.engine.tls import TLS as Layer
from portway.errors import CertificateError, ConfigError
from portway.server.certificates import Certificate, load_pair, source_of
from portway.server.credentials import Credentials
from portway.server.logs import ErrorLog
from portway.server.names import Names
from portway.server.peer import environ_of, extension_of

_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Identity(Struct, frozen=True):
    """One certificate in use: its context, and its own PEM without the chain."""

    context: ssl.SSLContext
    certificate: str


class Encryption:
    """The policy of TLS that listeners are given. Made by the arbiter, used in every worker.

    Args:
        settings: The options.
        log: The error log.

    Raises:
        CertificateError: A certificate or the authorities' file cannot be used.
        ConfigError: OpenSSL does not know the ciphers.
    """

    def __init__(self, settings: TLS, log: ErrorLog) -> None:
        self._settings = settings
        self._log = log
        self._asks = settings.cert_reqs != "none"
        self._begin()
        self._suites = {suite["name"]: suite["id"] & 0xFFFF for suite in self.context.get_ciphers()}
        self.credentials = Credentials(source_of(settings), log)
        self._use(self.credentials.number, self.credentials.first)
        _be_silent_about_names()

    def _begin(self) -> None:
        self.context = self._new_context()
        # typeshed knows the callback with ssl's own objects only; the owner is ours
        self.context.sni_callback = self._choose  # type: ignore[assignment]

    def renew(self) -> None:
        """Read the certificates again, and have workers that are forked from now on use new ticket keys."""
        self.credentials.reread()
        self._begin()

    def _new_context(self) -> ssl.SSLContext:
        settings = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[settings.tls_minimum]
        # A client may end its side without close_notify and still read: requests say how long they are.
        context.options |= ssl.OP_NO_RENEGOTIATION | getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.set_ciphers(settings.ciphers)
        except ssl.SSLError:
            text = f"--ciphers {settings.ciphers!r:.120} names no cipher that OpenSSL has"
            raise ConfigError(text, "`openssl ciphers -v LIST` shows what a list means.") from None
        if settings.ca_certs:
            try:
                context.load_verify_locations(settings.ca_certs)
            except (OSError, ssl.SSLError) as error:
                bad = isinstance(error, ssl.SSLError)
                reason = "no certificates in PEM form" if bad else (error.strerror or str(error)).lower()
                text = f"cannot be used as --ca-certs: {reason}"
                raise CertificateError(settings.ca_certs, text) from None
            context.verify_mode = _VERIFY[settings.cert_reqs]
        return context

    def _use(self, number: int, certificates: list[Certificate]) -> None:
        """Build the contexts of what was published; nothing changes when that fails."""
        identities = [self._identity(certificate) for certificate in certificates]
        self._names = Names(
            (identity, certificate.names, certificate.addresses)
            for identity, certificate in zip(identities, certificates, strict=True)
        )
        self._default = identities[0]
        self._number = number

    def _identity(self, certificate: Certificate) -> Identity:
        context = self._new_context()
        password = self.credentials.password
        load_pair(context, certificate.path, certificate.chain, certificate.path, certificate.key, password)
        first, end, _ = certificate.chain.partition(b"-----END CERTIFICATE-----")
        begin = first.rfind(b"-----BEGIN CERTIFICATE-----")
        return Identity(context, (first[max(begin, 0) :] + end + b"\n").decode("ascii", "replace"))

    def refresh(self) -> None:
        """Take over what the arbiter has published since."""
        if self.credentials.number == self._number:
            return
        published = self.credentials.latest()
        if published is None:
            return
        try:
            self._use(*published)
        except (CertificateError, ConfigError, OSError) as error:
            self._number = published[0]
            self._log.entry("error", f"the certificates in use stay: {error}")

    def _choose(self, layer: Layer, name: str | None, context: ssl.SSLContext) -> None:
        """Give a connection its certificate; OpenSSL calls it in the middle of each handshake."""
        self.refresh()
        identity = (self._names.find(name) if name else None) or self._default
        layer.context = identity.context
        layer.identity = (identity, name)

    def knows(self, host: str) -> bool:
        """Tell whether one of the certificates is for a host."""
        self.refresh()
        return self._names.find(host) is not None

    def environ(self, layer: Layer) -> dict[str, Any]:
        """Return what the environ of this connection's requests has beside the usual."""
        return environ_of(layer.layer, layer.identity[1], self._asks)

    def extension(self, layer: Layer) -> dict[str, Any]:
        """Return the `tls` extension of this connection's scopes."""
        return extension_of(layer.layer, layer.identity[0].certificate, self._suites)


def _be_silent_about_names() -> None:
    """Keep what `_ssl` says of a server name that is not ASCII out of the log: any client could fill it."""
    if not isinstance(sys.unraisablehook, _Discreet):
        sys.unraisablehook = _Discreet(sys.unraisablehook)


class _Discreet:
    """A hook for exceptions that nobody can be raised to, over another one. One does for many servers."""

    def __init__(self, before: Callable[[Any], object]) -> None:
        self._before = before

    def __call__(self, report: Any) -> None:
        if not _is_of_a_name(report):
            self._before(report)


def _is_of_a_name(report: Any) -> bool:
    # The name is the object in question up to Python 3.13, and a part of the message since 3.14.
    says = isinstance(report.object, bytes) or "ssl servername callback" in (report.err_msg or "")
    return says and isinstance(report.exc_value, UnicodeDecodeError)
