"""The units of a systemd service: a socket that systemd listens on, and the service behind it. Pure text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from portway.config import Loaded, Settings, TCPAddress, UnixAddress, parse_address
from portway.moving.exports import Place, application, command_flags, emptied

CONTROL = "portway-control"
"""The directory below /run for the control socket that reloads; nothing else is in it."""
MAKES = {
    "/run/": "RuntimeDirectory",
    "/var/log/": "LogsDirectory",
    "/var/lib/": "StateDirectory",
    "/var/cache/": "CacheDirectory",
}
"""Where systemd makes a directory for the service's user: systemd.exec(5), RuntimeDirectory=."""


def units(loaded: Loaded, place: Place) -> tuple[str, list[str]]:
    """Return a socket unit and a service unit, one behind the other, and what must be looked at."""
    settings = loaded.settings
    directory = settings.app.chdir or place.directory
    notes: list[str] = []
    text = f"{_socket(settings, directory, notes)}\n{_service(loaded, place, directory, notes)}"
    return text, notes


def _service(loaded: Loaded, place: Place, directory: str, notes: list[str]) -> str:
    settings = loaded.settings
    process, timeouts = settings.process, settings.timeouts
    control = settings.inspect.control or f"/run/{CONTROL}/socket"
    command = [place.command, "serve", *application(settings), *command_flags(loaded, place)]
    if loaded.origins["chdir"].source in ("flag", "environment"):
        command += ["--chdir", directory]  # again at each reload: it may be a link that has moved on
    command += [*emptied(loaded, "pid"), *(() if settings.inspect.control else ("--control", control))]
    control = os.path.join(directory, control)
    reload = [place.command, "ctl", "reload", "--control", control]
    user = [f"User={process.user}"] if process.user else ["DynamicUser=yes"]
    user += [f"Group={process.group}"] if process.group else []
    user += [f"UMask={process.umask:04o}"] if process.umask is not None else []
    if settings.tls.keyfile:
        named = process.user or "the service's user, which systemd makes up (or set user)"
        notes.append(f"{' and '.join(settings.tls.keyfile)} must be readable by {named}")
    files = [*_log_files(settings), control, *_admin_file(settings)]
    made = _directories({os.path.dirname(os.path.join(directory, file)) for file in files}, settings, notes)
    low = _low_ports(settings)
    return f"""\
# /etc/systemd/system/portway.service
# systemctl daemon-reload && systemctl enable --now portway.socket portway.service
[Unit]
Description=Portway serving {settings.app.app or "a site"}
Requires=portway.socket
After=network.target portway.socket

[Service]
Type=notify
NotifyAccess=main
ExecStart={_exec_line(command)}
# Returns when the new workers serve, and fails, with the reason, when they cannot.
ExecReload={_exec_line(reload)}
WorkingDirectory={directory.replace("%", "%%")}
{_lines(user)}\
{_lines(made)}\
Restart=on-failure
RestartPreventExitStatus=1 3
WatchdogSec=30
# For the start and for a reload; Portway itself gives up sooner (startup-timeout).
TimeoutStartSec={int(timeouts.startup) + 30}
# The arbiter stops its workers itself, and has {timeouts.graceful:g} s to do it gracefully.
KillMode=mixed
TimeoutStopSec={int(timeouts.graceful) + 15}
LimitNOFILE={max(65536, 2 * settings.limits.connections)}
NoNewPrivileges=yes
CapabilityBoundingSet={low}
{f"AmbientCapabilities={low}{chr(10)}" if low else ""}\
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def _socket(settings: Settings, directory: str, notes: list[str]) -> str:
    lines = []
    for text in settings.listen.bind:
        address = parse_address(text)
        match address:
            case TCPAddress():
                lines.append(f"ListenStream={address}")
            case UnixAddress() if address.abstract:
                lines.append(f"ListenStream={address.path}")
            case UnixAddress():
                lines.append(f"ListenStream={os.path.join(directory, address.path)}")
            case _:
                notes.append(f"{address}: write the address into the socket unit")
    if any("ListenStream=/" in line for line in lines):
        mode = settings.listen.uds_permissions
        mode = 0o660 if mode is None else mode
        lines.append(f"SocketMode={mode:04o}")
        user, _, group = settings.listen.uds_owner.partition(":")
        user, group = user or settings.process.user, group or settings.process.group
        lines += [f"SocketUser={user}"] if user else []
        lines += [f"SocketGroup={group}"] if group else []
        if not settings.listen.uds_owner and not mode & 0o002:
            notes.append(
                f"the unix socket is for {user or 'root'} alone: name the proxy's user in uds-owner, or "
                'its group (uds-owner = ":www-data")'
            )
    return f"""\
# /etc/systemd/system/portway.socket
# systemd listens: no connection is refused while the service restarts.
[Unit]
Description=Sockets of Portway

[Socket]
{_lines(lines)}\
Backlog={settings.listen.backlog}
BindIPv6Only=ipv6-only

[Install]
WantedBy=sockets.target
"""


def _directories(paths: set[str], settings: Settings, notes: list[str]) -> list[str]:
    """Return the lines that let the service write into these directories."""
    bound = {
        os.path.dirname(address.path)
        for address in map(parse_address, settings.listen.bind)
        if isinstance(address, UnixAddress)
    }
    lines = []
    for path in sorted(paths):
        parent = next((parent for parent in MAKES if path.startswith(parent)), "")
        # what systemd makes below /run goes with the service, and the sockets in it would, too
        if parent and path not in bound and not re.search(r"[\s%$\\]", path):
            lines.append(f"{MAKES[parent]}={path.removeprefix(parent)}")
        else:
            lines.append(f"ReadWritePaths={_quoted(path)}")
            notes.append(f"{path} must be there, and the service's user must be able to write into it")
    return lines


def _low_ports(settings: Settings) -> str:
    """Return the capability for the ports that the service opens itself; those of `bind` are systemd's."""
    tls = settings.tls
    addresses = [parse_address(text) for text in (*tls.insecure_bind, *tls.redirect_bind)]
    low = any(isinstance(address, TCPAddress) and address.port < 1024 for address in addresses)
    return "CAP_NET_BIND_SERVICE" if low else ""


def _log_files(settings: Settings) -> Iterable[str]:
    return (log for log in (settings.log.access, settings.log.errors) if log not in ("-", "off"))


def _admin_file(settings: Settings) -> Iterable[str]:
    address = parse_address(settings.inspect.admin) if settings.inspect.admin else None
    return [address.path] if isinstance(address, UnixAddress) and not address.abstract else []


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _exec_line(words: Iterable[str]) -> str:
    """Quote for systemd (systemd.service(5), "Command lines"): $ and % have a meaning there."""
    return " ".join(
        word if re.fullmatch(r"[\w@=:,./+-]+", word, re.ASCII) else _quoted(word).replace("$", "$$")
        for word in words
    )


def _quoted(word: str) -> str:
    for old, new in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        word = word.replace(old, new)
    return f'"{word}"'
