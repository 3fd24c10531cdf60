"""The compiled engine: sockets, HTTP/1.1, timers, and the fast paths into WSGI and ASGI.

One extension module per unit; see docs/architecture.md for what each one owns.
"""

import sys

from portway.errors import LockSwitchedOff


def require_lock(gil: int | None) -> None:
    """Refuse to run where memory would be shared without the lock that guards all of it.

    Args:
        gil: `sys.flags.gil`: 0 when it is kept off by force. A free-threaded interpreter that was told
            nothing (None) turns it on when it loads the first unit; none says that it can do without.

    Raises:
        LockSwitchedOff: It is kept off.
    """
    if gil == 0:
        raise LockSwitchedOff


require_lock(getattr(sys.flags, "gil", 1))
