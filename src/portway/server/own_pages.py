"""Pages of Portway's own, with the policy under which a browser shows them."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files


def own_page(name: str) -> tuple[str, str]:
    """Return a page, and the Content-Security-Policy that lets its own script and style run, nothing else.

    Args:
        name: A file of this package, with one script and one style in it.
    """
    page = files("portway.server").joinpath(name).read_text("utf-8")
    allowed = {}
    for kind in ("script", "style"):
        text = re.search(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        assert text is not None
        allowed[kind] = base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{allowed['script']}'; "
        f"style-src 'sha256-{allowed['style']}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy
