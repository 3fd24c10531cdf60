"""What applications are told about TLS: variables as Apache's mod_ssl names them, and ASGI's `tls`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any

_VERSIONS = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
# RFC 4514 section 3; emailAddress has no short name there, everybody writes it as OpenSSL does.
_KINDS = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_SPECIAL = re.compile(r'[\\"+,;<>\0]|^[ #]| $')

Name = tuple[tuple[tuple[str, str], ...], ...]


def distinguished_name(name: Name) -> str:
    """Return a name as RFC 4514 writes it, the most specific part first: "CN=alice,O=Example,C=DE".

    Args:
        name: As `ssl.SSLSocket.getpeercert` has it.
    """
    parts = (
        "+".join(f"{_KINDS.get(kind, kind)}={_escaped(value)}" for kind, value in part)
        for part in reversed(name)
    )
    return ",".join(parts)


def _escaped(value: str) -> str:
    return _SPECIAL.sub(lambda found: "\\00" if found[0] == "\0" else f"\\{found[0]}", value)


def environ_of(layer: Any, server_name: str | None, asked: bool) -> dict[str, Any]:
    """Return what a WSGI environ says of a connection.

    Args:
        layer: The connection's `_ssl._SSLSocket`, its handshake over.
        server_name: What the client called the server (SNI).
        asked: Whether clients are asked for a certificate.
    """
    environ: dict[str, Any] = {
        "SSL_PROTOCOL": layer.version(),
        "SSL_CIPHER": layer.cipher()[0],
        "SSL_TLS_SNI": server_name or "",
    }
    if not asked:
        return environ
    certificate = layer.getpeercert(False)
    if not certificate:
        return {**environ, "SSL_CLIENT_VERIFY": "NONE"}
    der = layer.getpeercert(True)
    subject = certificate["subject"]
    return {
        **environ,
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_S_DN": _latin1(distinguished_name(subject)),
        "SSL_CLIENT_I_DN": _latin1(distinguished_name(certificate["issuer"])),
        "SSL_CLIENT_S_DN_CN": _latin1(_common_name(subject)),
        "SSL_CLIENT_M_SERIAL": certificate["serialNumber"],
        "SSL_CLIENT_V_START": certificate["notBefore"],
        "SSL_CLIENT_V_END": certificate["notAfter"],
        "SSL_CLIENT_CERT": ssl.DER_cert_to_PEM_cert(der),
        **_alternatives(certificate),
        "portway.client_certificate": der,
    }


def _latin1(text: str) -> str:
    """Return text the way PEP 3333 wants it in an environ: UTF-8 bytes, each one a character."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _common_name(name: Name) -> str:
    return next((value for part in reversed(name) for kind, value in part if kind == "commonName"), "")


def _alternatives(certificate: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, label in (("DNS", "DNS"), ("email", "Email"), ("URI", "URI")):
        values = [value for name, value in certificate.get("subjectAltName", ()) if name == kind]
        found.update({f"SSL_CLIENT_SAN_{label}_{i}": _latin1(value) for i, value in enumerate(values)})
    return found


def extension_of(layer: Any, server_certificate: str, suites: Mapping[str, int]) -> dict[str, Any]:
    """Return the `tls` extension of an ASGI scope (ASGI TLS specification 0.2).

    Args:
        layer: The connection's `_ssl._SSLSocket`, its handshake over.
        server_certificate: What the server has shown, PEM.
        suites: The number of each cipher suite that can be in use.
    """
    certificate = layer.getpeercert(False)
    return {
        "server_cert": server_certificate,
        "client_cert_chain": tuple(_chain(layer)),
        "client_cert_name": distinguished_name(certificate["subject"]) if certificate else None,
        # a certificate that does not pass ends the handshake, so nobody with a bad one gets here
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(layer.version()),
        "cipher_suite": suites.get(layer.cipher()[0]),
    }


def _chain(layer: Any) -> list[str]:
    """The client's certificate and what it sent with it; after a resumption only the first is known."""
    der = layer.getpeercert(True)
    if not der:
        return []
    chain = layer.get_unverified_chain() or []
    return [certificate.public_bytes() for certificate in chain] or [ssl.DER_cert_to_PEM_cert(der)]
