from collections.abc import Iterable

class Peers:
    """A set of peers; it does not change.

    Args:
        members: `unix`, `*`, addresses and networks ("10.0.0.0/8"), as `portway.config` has checked them.

    Raises:
        ValueError: One of them is something else.
    """

    def __init__(self, members: Iterable[str]) -> None: ...
    def __contains__(self, member: str) -> bool:
        """Return whether an address, or `unix`, is one of the peers.

        Raises:
            ValueError: It is neither.
        """
