"""The application: found, imported, told apart, started."""

from portway.apps.asgi2 import SingleCallable
from portway.apps.detect import detect
from portway.apps.lifespan import Lifespan
from portway.apps.load import Application, load
from portway.apps.target import Target, parse_target

__all__ = ["Application", "Lifespan", "SingleCallable", "Target", "detect", "load", "parse_target"]
