"""Certificates for tests, made when first asked for and kept for the whole run."""

from __future__ import annotations

import atexit
import datetime
import functools
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate in files.

    Attributes:
        pem: The certificate's chain and its key together.
        chain: The certificate and its chain.
        key: The private key.
    """

    pem: Path
    chain: Path
    key: Path


@functools.cache
def directory() -> Path:
    """Return where this run's certificates stand; it goes when the run ends."""
    folder = tempfile.TemporaryDirectory(prefix="portway-certificates-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@functools.cache
def authority(name: str = "authority") -> trustme.CA:
    """Return a certificate authority."""
    return trustme.CA(organization_name=f"portway {name}")


@functools.cache
def authority_file(name: str = "authority") -> Path:
    """Return the file of an authority's certificate."""
    path = directory() / f"ca-{name}.pem"
    authority(name).cert_pem.write_to_path(path)
    return path


@functools.cache
def certificate(
    *names: str, rsa: bool = False, days: int = 30, common_name: str | None = None, ca: str = "authority"
) -> Made:
    """Return a certificate of an authority.

    Args:
        names: DNS names, IP addresses or mail addresses that it is for.
        rsa: Whether its key is RSA's; elliptic curves otherwise.
        days: How long it is valid from now on; less than 0 for one that has expired.
        common_name: Its subject's.
        ca: The authority's name.
    """
    made = authority(ca).issue_cert(
        *names,
        common_name=common_name,
        not_before=datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=60),
        not_after=datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days),
        key_type=trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA,
    )
    stem = directory() / f"{len(list(directory().iterdir()))}-{names[0].replace('*', 'any')}"
    files = Made(Path(f"{stem}.pem"), Path(f"{stem}.crt"), Path(f"{stem}.key"))
    made.private_key_and_cert_chain_pem.write_to_path(files.pem)
    made.private_key_pem.write_to_path(files.key)
    files.chain.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    return files


def client_context(
    *, ca: str = "authority", own: Made | None = None, version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Return a client's context that trusts an authority.

    Args:
        ca: The authority's name.
        own: The client's certificate.
        version: The only version of TLS that it speaks.
    """
    context = ssl.create_default_context(cafile=str(authority_file(ca)))
    if own is not None:
        context.load_cert_chain(own.pem)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
