"""Entity tags and conditional requests, as tests and fuzzing see them."""

def evaluate(
    fields: list[tuple[bytes, bytes]], modified: int, ns: int, size: int, now: int, suffix: bytes = b""
) -> tuple[int, bytes | None, bytes, bool]:
    """Evaluate the conditional fields of a GET for a file.

    Args:
        fields: Names and values of the request's field lines.
        modified: When the file was changed, in seconds since 1970.
        ns: Nanoseconds behind that.
        size: Its bytes.
        now: Seconds since 1970.
        suffix: Tells the codings of a file apart; at most 8 bytes.

    Returns:
        The status (200, 304 or 412), the value of Range if one may be sent, the entity tag without W/, and
        whether it is weak.
    """
