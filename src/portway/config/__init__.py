"""Options: declared once in `settings.py`, read from flags, environment and file.

`Settings()` is every default; `resolve` is what a command does; `load` is the pure part of it.
"""

from portway.config.address import (
    Address,
    InheritedSocket,
    TCPAddress,
    UnixAddress,
    parse_address,
)
from portway.config.load import ConfigFile, EnvFile, Loaded, load
from portway.config.origin import Origin
from portway.config.resolve import resolve
from portway.config.settings import HTTP, App, Limits, Listen, Log, Process, Settings, Timeouts

__all__ = [
    "HTTP",
    "Address",
    "App",
    "ConfigFile",
    "EnvFile",
    "InheritedSocket",
    "Limits",
    "Listen",
    "Loaded",
    "Log",
    "Origin",
    "Process",
    "Settings",
    "TCPAddress",
    "Timeouts",
    "UnixAddress",
    "load",
    "parse_address",
    "resolve",
]
