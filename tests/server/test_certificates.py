"""TLS in a running server: certificates refused, re-read and shown by clients, sessions, redirects."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import serve
from tests.support.certificates import Made, authority_file, certificate, client_context
from tests.support.client import Client, SecureAddress, get
from tests.support.load import Load
from tests.support.processes import Portway

NAME = "portway.test"
KINDS = ("wsgi", "asgi")
GET = b"GET /%s HTTP/1.1\r\nHost: portway.test\r\nConnection: close\r\n\r\n"


def ask(
    address: tuple[str, int], context: ssl.SSLContext, path: str = "facts", name: str = NAME
) -> tuple[str, bytes]:
    """Return the serial number of the server's certificate and the body of an answer."""
    with (
        socket.create_connection(address, 15) as plain,
        context.wrap_socket(plain, server_hostname=name) as sock,
    ):
        sock.sendall(GET % path.encode())
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
        shown = sock.getpeercert()
    assert shown and answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
    return str(shown["serialNumber"]), answer.partition(b"\r\n\r\n")[2]


def refusal(*args: str, env: dict[str, str] | None = None) -> str:
    """Return what a server that cannot start prints."""
    with Portway("wsgi.py", *args, env=env) as server:
        assert server.exit_code() == 3, server.log
        return server.log


def encrypted(made: Made, tmp_path: Path, password: str) -> Path:
    """Return the file of the key, encrypted."""
    path = tmp_path / "encrypted.key"
    command = ["openssl", "pkey", "-in", str(made.key), "-aes256", "-passout", f"pass:{password}"]
    subprocess.run([*command, "-out", str(path)], check=True)
    return path


# -- at the start --------------------------------------------------------------------------------------------


def test_a_certificate_that_is_not_there() -> None:
    log = refusal("--certfile", "/nowhere/a.pem")
    assert (
        "error: '/nowhere/a.pem' cannot be read: no such file or directory (the certificate)\n\nhint: " in log
    )


def test_a_key_that_may_not_be_read(tmp_path: Path) -> None:
    log = refusal("--certfile", str(certificate(NAME).chain), "--keyfile", str(tmp_path))
    assert f"error: '{tmp_path}' cannot be read: is a directory (the private key)" in log


def test_a_certificate_without_its_key() -> None:
    made = certificate(NAME)
    assert f"'{made.chain}' holds no private key in PEM form\n\nhint: name the key's" in refusal(
        "--certfile", str(made.chain)
    )
    log = refusal("--certfile", str(made.key), "--keyfile", str(made.key))
    assert f"error: '{made.key}' holds no certificate in PEM form" in log


def test_a_key_of_another_certificate() -> None:
    made, other = certificate(NAME), certificate("other.test")
    log = refusal("--certfile", str(made.chain), "--keyfile", str(other.key))
    assert f"error: '{other.key}' is not the private key of the certificate '{made.chain}'\n\nhint: " in log


@pytest.mark.parametrize("rubbish", ["-----BEGIN CERTIFICATE-----\nzzzz\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_is_malformed(tmp_path: Path, rubbish: str) -> None:
    path = tmp_path / "bad.pem"
    path.write_text(rubbish + certificate(NAME).key.read_text())
    assert f"error: '{path}' holds a certificate that cannot be decoded" in refusal("--certfile", str(path))


def test_a_key_that_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "bad.key"
    path.write_text("-----BEGIN PRIVATE KEY-----\nzzzz\n-----END PRIVATE KEY-----\n")
    log = refusal("--certfile", str(certificate(NAME).chain), "--keyfile", str(path))
    assert f"error: '{path}' is malformed, or does not belong to the certificate" in log


def test_passwords(tmp_path: Path) -> None:
    made = certificate(NAME)
    key = encrypted(made, tmp_path, "open sesame")
    (tmp_path / "password").write_text("open sesame\nand a second line\n")
    files = ("--certfile", str(made.chain), "--keyfile", str(key))
    assert f"error: '{key}' is encrypted, and there is no password for it" in refusal(*files)
    wrong = refusal(*files, "--keyfile-password", "env:SECRET", env={"SECRET": "shut"})
    assert f"error: '{key}' cannot be decrypted: the password is wrong" in wrong
    assert "error: 'SECRET' is not set" in refusal(*files, "--keyfile-password", "env:SECRET")
    for source, env in ((f"file:{tmp_path}/password", {}), ("env:SECRET", {"SECRET": "open sesame"})):
        with serve("wsgi-epoll", "app", *files, "--keyfile-password", source, env=env) as server:
            assert get(server.ready().address, "/hello").body == b"hello"
            assert "sesame" not in server.log
            assert "sesame" not in Path(f"/proc/{server.pid}/cmdline").read_text()


def test_an_expired_certificate_is_served_with_a_warning() -> None:
    made = certificate(NAME, days=-3)
    with Portway("wsgi.py", "--certfile", str(made.pem)) as server:
        server.wait_for(rf"warning: the certificate '{made.pem}' expired 3 days ago")
        assert get(server.ready().address, "/pid").status == 200


def test_authorities_and_ciphers_that_are_none() -> None:
    made = certificate(NAME)
    asks = ("--cert-reqs", "required", "--ca-certs")
    log = refusal("--certfile", str(made.pem), *asks, str(made.key))
    assert f"error: '{made.key}' cannot be used as --ca-certs: no certificates in PEM form" in log
    log = refusal("--certfile", str(made.pem), *asks, "/nowhere")
    assert "error: '/nowhere' cannot be used as --ca-certs: no such file or directory" in log
    with Portway("wsgi.py", "--certfile", str(made.pem), "--ciphers", "NONSENSE") as server:
        assert server.exit_code() == 1
        assert "error: --ciphers 'NONSENSE' names no cipher that OpenSSL has" in server.log


# -- while it runs -------------------------------------------------------------------------------------------


def replace(target: Path, *sources: Path) -> None:
    """Put files in another's place, whole, as certbot does."""
    fresh = target.with_suffix(".new")
    fresh.write_bytes(b"".join(source.read_bytes() for source in sources))
    os.replace(fresh, target)


@pytest.mark.parametrize("kind", KINDS)
def test_certificates_are_read_again(kind: str, tmp_path: Path) -> None:
    """Two workers; the key changes its kind too; nothing is restarted and no connection is cut."""
    pem = tmp_path / "server.pem"
    shutil.copy(certificate(NAME).pem, pem)
    context = client_context()
    with serve(f"{kind}-epoll", "app", "--certfile", str(pem), "--workers", "2") as server:
        workers = server.ready(1).workers()
        before, _ = ask(server.address, context)
        with Client(server.address) as kept:
            assert kept.get("/hello").body == b"hello"
            replace(pem, certificate(NAME, "new", rsa=True).pem)
            server.wait_for("info: the certificates were read again")
            after = {ask(server.address, context)[0] for _ in range(20)}
            assert len(after) == 1 and before not in after
            replace(pem, certificate("other.test").key, certificate(NAME).chain)
            server.wait_for("error: the certificates in use stay: .* is not the private key of")
            assert {ask(server.address, context)[0] for _ in range(20)} == after
            assert kept.get("/hello").body == b"hello"
            replace(pem, certificate(NAME).pem)
            server.wait_for("info: the certificates were read again", count=2)
            assert {ask(server.address, context)[0] for _ in range(20)} == {before}
        assert server.workers() == workers


def test_a_reload_with_broken_certificates_keeps_the_old_ones(tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    shutil.copy(certificate(NAME).pem, pem)
    with Portway("wsgi.py", "--certfile", str(pem)) as server:
        before, _ = ask(server.ready().address, client_context(), "pid")
        pem.unlink()
        server.send(signal.SIGHUP)
        server.wait_for("error: the certificates in use stay: .* cannot be read")
        server.ready(2)
        assert ask(server.address, client_context(), "pid")[0] == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_in_every_worker(kind: str, version: ssl.TLSVersion) -> None:
    """Each connection, to any of four workers, resumes the session of the one before; a worker is killed."""
    context = client_context(version=version)
    with Portway(f"{kind}.py", "--certfile", str(certificate(NAME).pem), "--workers", "4") as server:
        session: ssl.SSLSession | None = None
        pids = set()
        with ExitStack() as stack:  # all stay open, so that each goes to the worker that has fewest
            for number in range(24):
                if number == 12:
                    os.kill(server.ready().workers()[0], signal.SIGKILL)
                    server.wait_for("starting another")
                plain = stack.enter_context(socket.create_connection(server.ready().address, 15))
                sock = context.wrap_socket(plain, server_hostname=NAME, session=session)
                stack.enter_context(sock)
                sock.sendall(b"GET /pid HTTP/1.1\r\nHost: portway.test\r\n\r\n")
                pids.add(sock.recv(65536).rpartition(b"\r\n")[2])
                assert sock.session_reused == (session is not None)
                session = sock.session
        assert len(pids) >= 4, pids


@pytest.mark.parametrize("kind", KINDS)
def test_a_reload_under_load_loses_nothing(kind: str) -> None:
    """Keep-alive connections cannot be handed over: they are told, and come again."""
    with Portway(f"{kind}.py", "--certfile", str(certificate(NAME).pem), "--workers", "2") as server:
        with Load(server.ready().address, keep_alive=4, fresh=2) as load:
            load.wait_for(50)
            for count in (2, 3):
                server.send(signal.SIGHUP)
                server.ready(count)
                load.wait_for(50)
        assert load.failures == []
        assert server.stop() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_idle_connection_is_told_with_its_next_answer_after_a_reload(kind: str) -> None:
    """It is not closed: that could cross with a request. A stop ends it."""
    with Portway(f"{kind}.py", "--certfile", str(certificate(NAME).pem)) as server:
        (old,) = server.ready().workers()
        with Client(server.address) as client, Client(server.address) as other:
            assert not client.get("/pid").closes
            assert not other.get("/pid").closes
            server.send(signal.SIGHUP)
            server.ready(2)
            client.sock.settimeout(4)
            with pytest.raises(TimeoutError):
                client.sock.recv(1)
            answer = client.get("/pid")
            assert answer.closes
            assert answer.body == b"%d" % old
            assert server.stop() == 0
            assert other.rest() == b""


# -- who the client is ---------------------------------------------------------------------------------------


def asking(kind: str, reqs: str) -> Portway:
    authorities = ("--ca-certs", str(authority_file("clients")), "--cert-reqs", reqs)
    return serve(f"{kind}-epoll", "app", "--certfile", str(certificate(NAME).pem), *authorities)


def facts(server: Portway, own: Made | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(server.ready().address, client_context(own=own))[1])
    return found


def test_client_certificates_in_the_environ() -> None:
    alice = certificate("alice@example.org", "alice.test", common_name="Alice, \u00c9d+", ca="clients")
    with asking("wsgi", "2") as server:
        environ = facts(server, alice)
        assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
        assert environ["SSL_CLIENT_S_DN_CN"].encode("latin-1").decode() == "Alice, \u00c9d+"
        dn = environ["SSL_CLIENT_S_DN"].encode("latin-1").decode()
        assert dn.startswith("CN=Alice\\, \u00c9d\\+,OU=") and dn.endswith(",O=trustme v1.2.1")
        assert environ["SSL_CLIENT_I_DN"].endswith("O=portway clients")
        assert environ["SSL_CLIENT_SAN_DNS_0"] == "alice.test"
        assert environ["SSL_CLIENT_SAN_Email_0"] == "alice@example.org"
        assert environ["SSL_CLIENT_CERT"] == alice.chain.read_text()
        assert environ["SSL_PROTOCOL"] == "TLSv1.3" and environ["SSL_TLS_SNI"] == NAME
        assert environ["HTTPS"] == "on" and environ["wsgi.url_scheme"] == "https"


def test_client_certificates_in_the_scope() -> None:
    alice = certificate("alice@example.org", common_name="alice", ca="clients")
    with asking("asgi", "optional") as server:
        scope = facts(server, alice)
        tls = scope["extensions"]["tls"]
        assert scope["scheme"] == "https"
        assert tls["client_cert_chain"] == [alice.chain.read_text()]
        assert tls["client_cert_name"].startswith("CN=alice,OU=")
        assert (tls["client_cert_error"], tls["tls_version"]) == (None, 0x0304)
        assert tls["cipher_suite"] in (0x1301, 0x1302, 0x1303)
        assert tls["server_cert"] == certificate(NAME).chain.read_text()
        nobody = facts(server, None)["extensions"]["tls"]
        assert (nobody["client_cert_chain"], nobody["client_cert_name"]) == ([], None)


def test_nobody_without_a_certificate() -> None:
    stranger = certificate("mallory@example.org", ca="strangers")
    with asking("wsgi", "required") as server:
        for own in (None, stranger):
            with pytest.raises((ssl.SSLError, ConnectionResetError, AssertionError)):
                facts(server, own)
        server.wait_for("TLS handshake: peer did not return a certificate")
        server.wait_for(
            r"TLS handshake: certificate verify failed \(unable to get local issuer certificate\)"
        )
    with asking("wsgi", "optional") as server:
        assert facts(server, None)["SSL_CLIENT_VERIFY"] == "NONE"
        with pytest.raises((ssl.SSLError, ConnectionResetError, AssertionError)):
            facts(server, stranger)


# -- the way to TLS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_redirects(kind: str) -> None:
    made = certificate(NAME, "*.wild.test", "::1")
    redirecting = ("--bind", "127.0.0.1:0", "--redirect-bind", "127.0.0.1:0", "--hsts", "max-age=60; preload")
    with serve(f"{kind}-epoll", "app", "--certfile", str(made.pem), *redirecting) as server:
        address = server.ready().address
        match = server.wait_for(r"listening on http://127.0.0.1:(\d+), leading to https")
        port = address[1]

        def redirected(line: str, host: str | None) -> tuple[int, str | None]:
            with Client(("127.0.0.1", int(match[1]))) as client:
                client.send(f"{line}\r\n{f'Host: {host}' if host is not None else 'X: y'}\r\n\r\n".encode())
                answer = client.answer()
                assert answer.headers["connection"] == "close"
                assert "strict-transport-security" not in answer.headers
                return answer.status, answer.headers.get("location")

        over = f"https://{NAME}:{port}"
        assert redirected("GET /a%20b?c=d&e HTTP/1.1", NAME) == (301, f"{over}/a%20b?c=d&e")
        assert redirected("GET / HTTP/1.1", f"{NAME.upper()}:80") == (301, f"{over}/")
        assert redirected("POST //evil.example/x HTTP/1.1", NAME) == (308, f"{over}//evil.example/x")
        assert redirected("GET http://any.wild.test/x HTTP/1.1", "any.wild.test")[0] == 301
        assert redirected("GET / HTTP/1.1", "[::1]") == (301, f"https://[::1]:{port}/")
        for host in ("evil.example", f"{NAME}.evil.example", "a.b.wild.test", "127.0.0.1"):
            assert redirected("GET / HTTP/1.1", host) == (421, None)
        assert redirected("GET http://evil.example/ HTTP/1.1", NAME) == (421, None)
        for host in (f"evil.example@{NAME}", "*.wild.test"):
            assert redirected("GET / HTTP/1.1", host) == (400, None)
        assert redirected("GET / HTTP/1.0", None) == (400, None)
        assert redirected("OPTIONS * HTTP/1.1", NAME)[0] == 400
        assert get(address, "/hello").headers["strict-transport-security"] == "max-age=60; preload"


def test_redirects_name_the_port_that_they_are_told() -> None:
    args = (
        "--certfile",
        str(certificate(NAME).pem),
        "--redirect-bind",
        "127.0.0.1:0",
        "--redirect-port",
        "443",
    )
    with Portway("wsgi.py", "--bind", "127.0.0.1:0", *args) as server:
        match = server.ready().wait_for(r"listening on http://127.0.0.1:(\d+), leading to https")
        with Client(("127.0.0.1", int(match[1]))) as client:
            assert client.get("/x").headers["location"] == f"https://{NAME}/x"


def test_unix_sockets_stay_plain(tmp_path: Path) -> None:
    binds = ("--bind", f"unix:{tmp_path}/s", "--bind", "127.0.0.1:0")
    with Portway("wsgi.py", *binds, "--certfile", str(certificate(NAME).pem)) as server:
        server.ready()
        assert get(str(tmp_path / "s"), "/pid").status == 200
        assert isinstance(server.address, SecureAddress)
        assert get(server.address, "/pid").status == 200
