"""When a worker that died is started again: at once, later and later if it keeps dying. No clock inside."""

from __future__ import annotations

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
HEALTHY_LIFE_S = 30.0


class Backoff:
    """The delays before one slot's worker is started again.

    The first death is answered at once, since most are a single bad request or the kernel's
    out-of-memory killer. Each further one doubles the delay, up to a ceiling, until a worker has
    lived long enough to be taken for healthy.
    """

    def __init__(self) -> None:
        self._deaths = 0

    def delay_after(self, lived_s: float) -> float:
        """Return the seconds to wait before the next start.

        Args:
            lived_s: How long the worker that just died had been running, in seconds.
        """
        self._deaths = 1 if lived_s >= HEALTHY_LIFE_S else self._deaths + 1
        if self._deaths == 1:
            return 0.0
        # The exponent is bounded so that a service that fails for weeks does not overflow a float.
        return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self._deaths - 2, 16))
