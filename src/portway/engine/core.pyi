"""Reading requests and ending responses, whatever the application speaks."""

from portway.engine.accept import Acceptor

class Engine(Acceptor):
    """Not used itself: see `WSGIEngine` and `ASGIEngine`."""
