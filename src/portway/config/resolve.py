"""From a command line to `Settings`: finds and reads the files, then leaves the rest to `load`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from portway.config.declared import BY_NAME
from portway.config.files import discover, read_named
from portway.config.load import ConfigFile, Loaded, load, take
from portway.errors import BadValue, UnknownOption, plain


def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    cwd: Path,
    config: str | None = None,
    default_stage: str = "",
) -> Loaded:
    """Return the settings of a command line.

    The configuration file is looked for in the directory of `--chdir`, so that a service can be
    started from anywhere. `chdir` and `env_file` come out absolute: they hold after a change of directory.

    Args:
        flags: The flags that were given, by option name; see `load`.
        environ: The process's environment.
        cwd: The directory the command was started in.
        config: What `--config` names, relative to `cwd`; PORTWAY_CONFIG is used when it is None.
        default_stage: The stage that counts where nothing asks for one and the file has it.

    Raises:
        ConfigError: See `load`, `discover` and `read_env_file`.
    """
    file = _config_file(flags, environ, cwd, config)
    stage, asked = _stage(flags, environ, file, default_stage)
    if file and stage:
        from portway.config.stages import layers_of  # late: most servers have none

        file = replace(file, stages=layers_of(file.table, file.path, stage, asked))
    loaded = load(flags, environ, file)
    directory = _working_directory(loaded, cwd)
    name = loaded.settings.app.env_file
    if name or (file and (file.find("env") or file.find("env-files"))):
        from portway.config.variables import with_variables  # late: most servers have none

        loaded = with_variables(loaded, flags, environ, name, directory)
    return _absolute(loaded, directory, stage)


def _stage(
    flags: Mapping[str, object], environ: Mapping[str, str], file: ConfigFile | None, default: str
) -> tuple[str, str]:
    """Return the stage that counts, or "", and where it was asked for, as a message begins."""
    if file and isinstance(file.table.get("stage"), dict):  # [stage.prod]
        raise UnknownOption("stage", kind="table", known=("stages",), place=f"in {plain(file.path)}")
    stage, origin = take("stage", flags, environ, file)
    if stage and file is None:
        hint = "portway.toml holds them: [stages.NAME]. The stage of a REST API is --api-stage."
        raise UnknownOption(stage, kind="stage", known=(), place=f"of {origin}", otherwise=hint)
    if not stage and default and file and "stages" in file.table:
        from portway.config.stages import stages_of

        stage = default if default in stages_of(file.table, file.path) else ""
    return stage, str(origin)


def _config_file(
    flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path, config: str | None
) -> ConfigFile | None:
    config = config or environ.get("PORTWAY_CONFIG")
    if config:
        return read_named(config, cwd)
    early = load(flags, environ)  # the flags and the environment alone say where to look
    return discover(_working_directory(early, cwd))


def _working_directory(loaded: Loaded, cwd: Path) -> Path:
    origin = loaded.origins["chdir"]
    start = cwd / Path(loaded.file.path).parent if loaded.file and origin.source == "file" else cwd
    directory = start / loaded.settings.app.chdir
    if not directory.is_dir():
        problem = "must be a directory that exists"
        hint = f"chdir: {BY_NAME['chdir'].option.help}"
        raise BadValue(origin.name, loaded.settings.app.chdir, problem, source=origin.place, hint=hint)
    return directory


def _absolute(loaded: Loaded, directory: Path, stage: str) -> Loaded:
    app = loaded.settings.app
    app = msgspec.structs.replace(
        app,
        chdir=os.path.abspath(directory) if app.chdir else "",
        env_file=os.path.abspath(directory / app.env_file) if app.env_file else "",
        stage=stage,
    )
    return replace(loaded, settings=msgspec.structs.replace(loaded.settings, app=app))
