"""Settings that exclude each other. A conflict names both sides with the places they were set in."""

from __future__ import annotations

from collections.abc import Mapping

from portway.config.origin import Origin
from portway.config.settings import Settings
from portway.errors import Conflict

_NEED_A_CERTIFICATE = ("keyfile", "keyfile-password", "ca-certs", "insecure-bind", "redirect-bind", "hsts")


def check_conflicts(settings: Settings, origins: Mapping[str, Origin]) -> None:
    """Raise Conflict for the first pair of settings that cannot both hold.

    A default never conflicts: somebody who sets one limit is not made to repeat the other.
    """
    _check_tls(settings, origins)
    limits = settings.limits
    head, one = origins["limit-request-head"], origins["limit-request-field-size"]
    if limits.request_head < limits.request_field and "default" not in (head.source, one.source):
        why = f"one field of {limits.request_field} bytes cannot fit into {limits.request_head} for all"
        raise Conflict(str(one), str(head), why, "raise --limit-request-head, or lower the other.")
    _check_families(settings, origins)
    if settings.app.interface == "wsgi" and settings.process.lifespan == "on":
        sides = str(origins["lifespan"]), str(origins["interface"])
        raise Conflict(*sides, "WSGI has no lifespan", "leave --lifespan out, or set it to auto.")
    if settings.app.factory and settings.app.app.rstrip().endswith(")"):
        sides = str(origins["factory"]), str(origins["app"])
        why = f"{settings.app.app!r} is a call already"
        raise Conflict(*sides, why, "leave --factory out, or the parentheses.")


def _check_families(settings: Settings, origins: Mapping[str, Origin]) -> None:
    """Refuse both families of forwarded fields at once: a client writes what the proxy does not."""
    headers = settings.proxies.forwarded_headers
    if "forwarded" in headers and len(headers) > 1:
        origin = origins["forwarded-headers"]
        other = next(name for name in headers if name != "forwarded")
        raise Conflict(
            f"{origin.name} forwarded {origin.place}".rstrip(),
            f"{origin.name} {other}",
            "a proxy that sets one of the two families lets a client's fields of the other one through",
            "name forwarded alone, or the x-forwarded fields that the proxy sets.",
        )


def _check_tls(settings: Settings, origins: Mapping[str, Origin]) -> None:
    tls = settings.tls
    if not tls.certfile:
        for name in _NEED_A_CERTIFICATE:
            if origins[name].source != "default" and getattr(tls, name.replace("-", "_")):
                why = "it has a meaning only with TLS"
                hint = "name the certificate with --certfile, or leave the other out."
                raise Conflict(str(origins[name]), str(origins["certfile"]), why, hint)
    if tls.keyfile and len(tls.keyfile) != len(tls.certfile):
        sides = str(origins["keyfile"]), str(origins["certfile"])
        why = f"{len(tls.keyfile)} keys for {len(tls.certfile)} certificates"
        raise Conflict(*sides, why, "one --keyfile for each --certfile, in the same order, or none at all.")
    if bool(tls.ca_certs) != (tls.cert_reqs != "none"):
        sides = str(origins["ca-certs"]), str(origins["cert-reqs"])
        why = (
            "clients are not asked for a certificate"
            if tls.ca_certs
            else "there is nobody to trust certificates of clients from"
        )
        raise Conflict(*sides, why, "use both, or none: --ca-certs FILE --cert-reqs required.")
