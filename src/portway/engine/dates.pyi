"""HTTP-dates, as tests and fuzzing see them."""

def read_date(text: bytes, now: int) -> int | None:
    """Return seconds since 1970 of an HTTP-date in any of its three forms, or None for what is none."""

def show_date(seconds: int) -> bytes:
    """Return the IMF-fixdate of a time."""
