"""The entry point: parses, runs a command, and turns every outcome into output and an exit code.

    0  done
    1  the user's input: a PortwayError, or a command line that does not parse
    2  unexpected: a defect, shown with its traceback
    3  start-up failed

An interrupted command (not a server: that one stops in order) ends with 130, as shells expect.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import portway
from portway.cli.plain import read_plainly
from portway.cli.server import run_server
from portway.cli.session import Session
from portway.errors import EXIT_UNEXPECTED, PortwayError, shown

EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, session: Session | None = None) -> int:
    """Run a command line.

    Args:
        arguments: What stands after the program's name; the process's own by default.
        session: The surroundings; the process's own by default.

    Returns:
        The exit code. Only a worker of the server, or Python itself, exits from inside.
    """
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments), session or Session())
    except PortwayError as error:
        _complain(error.render())
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        _complain(_unexpected(error))
        return EXIT_UNEXPECTED


def _run(arguments: list[str], session: Session) -> int:
    if arguments[:1] == ["serve"]:
        plain = read_plainly(arguments[1:])
        if plain is not None:
            return run_server(plain.flags, plain.config, session)
    from portway.cli.program import run_program  # late: click is slow to import

    return run_program(arguments, session)


def _unexpected(error: Exception) -> str:
    import traceback

    report = "".join(traceback.format_exception(error))
    kind = type(error).__name__
    return (
        f"{report}\nerror: unexpected {kind}: {shown(str(error))}\n\n"
        f"hint: this is a defect in Portway {portway.__version__}; please report it with the traceback above."
    )


def _complain(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody reads: the exit code has to do
