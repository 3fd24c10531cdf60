"""Ending responses, and answering in an application's stead."""

from portway.engine.accept import Acceptor

class Responder(Acceptor):
    """Not used itself: see `WSGIEngine` and `ASGIEngine`."""
