"""Accept-Encoding: which compressed forms of a file a client takes."""

from typing import Literal

_Coding = Literal["br", "zstd", "gzip"]

def choose(lines: list[bytes], offered: tuple[_Coding, ...]) -> list[_Coding]:
    """Return those of the offered codings that a client takes, the one it likes best first.

    Args:
        lines: The values of its Accept-Encoding lines.
        offered: What there is, each once, the one we like best first.
    """
