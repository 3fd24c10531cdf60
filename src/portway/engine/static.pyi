"""Files and redirects, answered by the engine itself."""

from portway.engine.core import Engine

class StaticEngine(Engine):
    """Not used itself: see `WSGIEngine` and `ASGIEngine`."""
