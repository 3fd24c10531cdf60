"""Certificates and their keys: read from files, and refused with the file's name when they are of no use.

Only the arbiter reads the files: workers may not be allowed to. What it has read travels as bytes
(`credentials.py`), so that a pair is never half of one write and half of the next.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from typing import Any

import msgspec

from portway.config.settings import TLS
from portway.errors import CertificateError

_CERTIFICATE = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----")
_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


class Certificate(msgspec.Struct, frozen=True):
    """A certificate with its key, as they stand in their files.

    Attributes:
        path: The certificate's file as the user named it.
        chain: The certificate and its intermediates, PEM.
        key: The private key, PEM, encrypted or not.
        names: DNS names that it is for, in lower case, "*.example.org" among them.
        addresses: IP addresses that it is for.
        begins_s: From when on it is valid, in seconds since 1970.
        ends_s: Until when.
    """

    path: str
    chain: bytes
    key: bytes
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    begins_s: float
    ends_s: float


class Source(msgspec.Struct, frozen=True):
    """Where certificates come from: what the options say, files relative to the current directory.

    Attributes:
        files: Pairs of a certificate's file and its key's, which may be the same.
        password: Of encrypted keys.
    """

    files: tuple[tuple[str, str], ...]
    password: bytes


def source_of(settings: TLS) -> Source:
    """Return where the certificates of these settings come from.

    Raises:
        CertificateError: The password cannot be had.
    """
    keys = settings.keyfile or settings.certfile
    return Source(tuple(zip(settings.certfile, keys, strict=True)), _password(settings.keyfile_password))


def _password(source: str) -> bytes:
    kind, _, name = source.partition(":")
    if kind == "file":
        return _read(name, "password").split(b"\n", 1)[0].rstrip(b"\r")
    if kind == "env":
        if name not in os.environ:
            raise CertificateError(name, "is not set: the password of the key was to come from it")
        return os.fsencode(os.environ[name])
    return b""


def read_certificate(path: str, key_path: str, password: bytes) -> Certificate:
    """Return a certificate and its key, known to fit and to be usable.

    Raises:
        CertificateError: A file cannot be read or holds something else, the two do not belong together, the
            password is wrong, or OpenSSL finds the certificate too weak.
    """
    chain = _read(path, "certificate")
    key = chain if key_path == path else _read(key_path, "private key")
    if not _CERTIFICATE.search(chain):
        raise CertificateError(path, "holds no certificate in PEM form", _PEM)
    if not _KEY.search(key):
        hint = "name the key's file with --keyfile." if key_path == path else _PEM
        raise CertificateError(key_path, "holds no private key in PEM form", hint)
    names = _decode(path, chain)
    load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), path, chain, key_path, key, password)
    alternatives = names.get("subjectAltName", ())
    # RFC 6125 section 6.4.4: the common name counts where there are no alternative names
    common = [value for part in names.get("subject", ()) for kind, value in part if kind == "commonName"]
    return Certificate(
        path=path,
        chain=chain,
        key=key,
        names=tuple(value.lower() for kind, value in alternatives if kind == "DNS")
        or (() if alternatives else tuple(name.lower() for name in common)),
        addresses=tuple(value for kind, value in alternatives if kind == "IP Address"),
        begins_s=ssl.cert_time_to_seconds(names["notBefore"]),
        ends_s=ssl.cert_time_to_seconds(names["notAfter"]),
    )


def load_pair(
    context: ssl.SSLContext, path: str, chain: bytes, key_path: str, key: bytes, password: bytes
) -> None:
    """Make a context serve with this certificate.

    Raises:
        CertificateError: See `read_certificate`.
    """
    asked = []

    def answer() -> bytes:  # without it OpenSSL would ask the terminal
        asked.append(True)
        return password

    with as_file(chain) as chain_file, as_file(key) as key_file:
        try:
            context.load_cert_chain(chain_file, key_file, answer)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise _refusal(error, path, key_path, key, password, bool(asked)) from None


def _refusal(
    error: Exception, path: str, key_path: str, key: bytes, password: bytes, asked: bool
) -> CertificateError:
    reason = getattr(error, "reason", None) or ""
    if "MISMATCH" in reason:
        hint = "a new key needs a new certificate; look whether one of the two files is of an older date."
        return CertificateError(key_path, f"is not the private key of the certificate {path!r}", hint)
    if asked or _ENCRYPTED.search(key):
        if not password:
            hint = "--keyfile-password file:PATH or env:NAME says where the password is."
            return CertificateError(key_path, "is encrypted, and there is no password for it", hint)
        hint = "look at what --keyfile-password names; only the first line of a file counts."
        return CertificateError(key_path, "cannot be decrypted: the password is wrong", hint)
    if reason and reason != "PEM lib":
        return CertificateError(path, f"cannot be used: {reason.replace('_', ' ').lower()}", _OPENSSL)
    return CertificateError(key_path, "is malformed, or does not belong to the certificate", _OPENSSL)


_PEM = (
    "PEM is text between -----BEGIN … and -----END … lines; `openssl x509 -inform der` converts a DER file."
)
_OPENSSL = "`openssl x509 -text -in FILE` and `openssl pkey -check -in FILE` show what OpenSSL makes of them."


def _read(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError as error:
        hint = "a relative name starts at the directory that the server is started in, or at --chdir."
        text = f"cannot be read: {(error.strerror or str(error)).lower()} (the {what})"
        raise CertificateError(path, text, hint) from None


def _decode(path: str, chain: bytes) -> dict[str, Any]:
    """Return the fields of the first certificate of a file, as `SSLSocket.getpeercert` has them."""
    with as_file(chain) as name:
        try:
            return dict(ssl._ssl._test_decode_cert(name))  # type: ignore[attr-defined]
        except (ssl.SSLError, ValueError, OSError):
            raise CertificateError(path, "holds a certificate that cannot be decoded", _OPENSSL) from None


@contextlib.contextmanager
def as_file(data: bytes) -> Iterator[str]:
    """Lend the name of a file with these bytes, in memory where it can be: `ssl` reads files only."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("portway", os.MFD_CLOEXEC)
        try:
            os.write(fd, data)
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600
        file.write(data)
        file.flush()
        yield file.name


def complaint(certificate: Certificate, now_s: float) -> str | None:
    """Return what is wrong with the time of a certificate, or None."""
    if now_s >= certificate.ends_s:
        return f"the certificate {certificate.path!r} expired {_days(now_s - certificate.ends_s)} ago"
    if now_s < certificate.begins_s:
        when = _days(certificate.begins_s - now_s)
        return f"the certificate {certificate.path!r} is not valid for another {when}"
    return None


def _days(seconds: float) -> str:
    days = int(seconds // 86_400)
    return f"{days} days" if days != 1 else "1 day"
