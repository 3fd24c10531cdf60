"""Reading requests, whatever the application speaks."""

from portway.engine.responding import Responder

class Engine(Responder):
    """Not used itself: see `WSGIEngine` and `ASGIEngine`."""
