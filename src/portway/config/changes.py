"""What differs between two configurations, for a reload to say."""

from __future__ import annotations

from portway.config.declared import DECLARED
from portway.config.option import Declared
from portway.config.settings import Settings
from portway.config.show import value_of


def changes(old: Settings, new: Settings) -> list[Declared]:
    """Return the options whose values differ, in the order of their declaration."""
    return [declared for declared in DECLARED if value_of(old, declared) != value_of(new, declared)]


def spell_change(declared: Declared, old: Settings, new: Settings) -> str:
    """Return one difference as the log shows it: `workers: 2 → 4`."""
    kind = declared.option.kind
    before, after = (kind.to_toml(value_of(settings, declared)) for settings in (old, new))
    return f"{declared.option.name}: {before} → {after}"
