"""The Range field."""

def read_ranges(value: bytes, length: int) -> list[tuple[int, int]] | None:
    """Return the byte ranges of a field's value.

    Args:
        value: Of the field.
        length: Bytes of the file.

    Returns:
        Pairs of the first and the last byte; [] when the field is to be ignored; None when nothing of it is
        in the file.
    """
