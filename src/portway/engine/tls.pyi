"""The TLS of one connection, as a listener's policy sees it (`portway.engine.accept`)."""

import ssl
from typing import Any

class TLS:
    """Made by the engine. The owner that `ssl.SSLContext.sni_callback` hands on as its first argument.

    Attributes:
        identity: For the policy to keep what it has chosen for this connection.
    """

    identity: Any

    @property
    def layer(self) -> Any:
        """The interpreter's `_ssl._SSLSocket`: version(), cipher(), getpeercert() and so on."""

    @property
    def context(self) -> ssl.SSLContext:
        """The context in use. Set it in the callback to choose another certificate."""

    @context.setter
    def context(self, context: ssl.SSLContext) -> None: ...
