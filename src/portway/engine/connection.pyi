"""What Python code sees of connections: how many there are."""

def alive() -> dict[str, int]:
    """Count what the engines of this process hold; after they have ended, anything but zeros is a leak.

    Returns:
        connections, segments (of parked output), stashes (of input), exchanges (requests), strands (buffers),
        tls (of connections).
    """
