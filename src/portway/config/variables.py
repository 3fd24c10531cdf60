"""What the files add to the environment, and the options among it.

Of several that set a variable the first counts: the real environment, `--env-file`, the `env` tables, the
`env-files`, of which the later one counts before the earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from portway.config.env_file import read_env_file
from portway.config.load import EnvFile, Loaded, load
from portway.config.stages import Variable, env_files_of, variables_of
from portway.errors import plain


def with_variables(
    loaded: Loaded, flags: Mapping[str, object], environ: Mapping[str, str], env_file: str, directory: Path
) -> Loaded:
    """Return the settings with what the environment's files and tables say.

    Args:
        loaded: The settings without them.
        flags: See `load`.
        environ: See `load`.
        env_file: The file of `--env-file`, or "".
        directory: Where its name starts; those of `env-files` start where the configuration file is.

    Raises:
        ConfigError: A file cannot be read, or holds what it must not.
    """
    first = EnvFile(env_file, read_env_file(env_file, directory)) if env_file else None
    file = loaded.file
    if file is None or not (file.find("env") or file.find("env-files")):
        return replace(load(flags, environ, file, first), env_file=first)
    written = variables_of(file.layers, file.path)
    names = reversed(env_files_of(file.layers, file.path))
    place, start = Path(file.directory), "configuration file's directory"
    files = [EnvFile(name, read_env_file(name, place, start)) for name in names]
    found = load(flags, environ, file, first, [EnvFile(file.path, _without_references(written)), *files])
    taken = set(first.variables if first else ())
    return replace(found, variables=_variables(written, files, taken), env_file=first)


def _without_references(written: Mapping[str, Variable]) -> dict[str, str]:
    """Return the values that are what they say: a platform's variable cannot be a secret."""
    return {name: variable.text for name, variable in written.items() if "${" not in variable.text}


def _variables(
    written: Mapping[str, Variable], files: list[EnvFile], taken: set[str]
) -> tuple[Variable, ...]:
    """Return each variable once, without those that count from elsewhere."""
    found = dict(written)
    for one in files:
        for name, text in one.variables.items():
            found.setdefault(name, Variable(name, text, one.path, f"in {plain(one.path)}"))
    return tuple(variable for name, variable in found.items() if name not in taken)
