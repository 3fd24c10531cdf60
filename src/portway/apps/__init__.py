"""The application: found, imported, told apart, started.

`portway.apps.lifespan` is imported by whoever runs an ASGI application: it brings asyncio, which neither the
command line nor the arbiter needs.
"""

from portway.apps.asgi2 import SingleCallable
from portway.apps.detect import detect
from portway.apps.load import Application, adopt, load, name_of
from portway.apps.target import Target, parse_target

__all__ = ["Application", "SingleCallable", "Target", "adopt", "detect", "load", "name_of", "parse_target"]
