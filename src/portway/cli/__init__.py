"""The command line. Nothing else in Portway prints to a terminal or exits."""

from portway.cli.run import main

__all__ = ["main"]
