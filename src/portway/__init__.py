"""Portway: one Python web application, served and shipped unchanged.

    portway.serve("site:app", workers=4)        the whole server, from a program
    with portway.Server(app) as server: …       one more server in this process
    with portway.testing.running(app) as url:   the same, for a test

Importing the package imports nothing: each name is loaded when it is first used.
"""

TYPE_CHECKING = False  # as typing's, which a Lambda function's start need not pay for
if TYPE_CHECKING:
    from portway import testing as testing
    from portway.embedding.server import Server as Server
    from portway.embedding.serving import serve as serve

__version__ = "0.1.0"
__all__ = ["Server", "__version__", "serve", "testing"]

_WHERE = {"Server": "portway.embedding.server", "serve": "portway.embedding.serving", "testing": ""}

if not TYPE_CHECKING:  # a type checker is not to believe in names that do not exist

    def __getattr__(name):
        """Load what is used, and remember it."""
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(_WHERE[name] or f"{__name__}.{name}")
        globals()[name] = found = getattr(module, name) if _WHERE[name] else module
        return found

    def __dir__():
        return sorted({*globals(), *__all__})
