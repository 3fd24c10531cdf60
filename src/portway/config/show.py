"""`--print-config`: every value with its origin, as a TOML file that would configure the same."""

from __future__ import annotations

from typing import Any

from portway.config.declared import DECLARED
from portway.config.load import Loaded
from portway.config.option import Declared
from portway.config.settings import Settings


def show(loaded: Loaded) -> str:
    """Return the settings as TOML text, one line each, its origin in a comment, grouped by topic."""
    lines = [(declared, _assignment(loaded.settings, declared)) for declared in DECLARED]
    width = min(48, max(len(line) for _, line in lines))
    parts: list[str] = []
    topic = ""
    for declared, line in lines:
        if declared.topic != topic:
            topic = declared.topic
            parts.append(f"\n# {topic}" if parts else f"# {topic}")
        parts.append(f"{line:{width}}  # {loaded.origins[declared.option.name].comment}")
    return "\n".join(parts) + "\n"


def value_of(settings: Settings, declared: Declared) -> Any:
    """Return the value of one option."""
    return getattr(getattr(settings, declared.group), declared.field)


def _assignment(settings: Settings, declared: Declared) -> str:
    return f"{declared.option.name} = {declared.option.kind.to_toml(value_of(settings, declared))}"
