"""`portway dev`: the application for whoever writes it; with `--as lambda` as AWS Lambda would run it."""

from __future__ import annotations

from typing import Any

import click

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.dev_lambda import LAMBDA_SETTINGS, lambda_parameters, run_as_lambda
from portway.cli.dev_server import DEV_SETTINGS, run_dev
from portway.cli.options import given, setting_parameters
from portway.cli.session import Session
from portway.config.declared import BY_NAME
from portway.errors import UsageError

_HELP = """Run APP for development: reload on save, errors in the browser, nothing open to the network.

Without APP it is the configuration's, or what is found in this folder: app.py, main.py, wsgi.py, manage.py,
a package. A save is served in well under a second. While the newest version has an error the last good one
goes on serving, and a browser on this machine is shown the error. What portway.toml says about production
(addresses, workers, users, TLS, logs) is left aside.

`--as lambda` runs it as AWS Lambda would instead, without Docker. Each request becomes the event of a front
door and is handled in an environment of its own process, which is started on demand, frozen between two
events and killed at its timeout or memory limit. The function's environment variables are Lambda's, not this
shell's. Changed code is loaded with the next request. The front door follows `lambda:`: rest (API Gateway
REST API), http (HTTP API), url (Function URL), alb (Application Load Balancer); without it rest for a
Chalice application and url for others."""


def dev_command() -> click.Command:
    """Return the command."""
    parity = click.Option(["--as", "parity"], metavar="lambda[:DOOR]", help="What to be on this machine.")
    names = [name for name in BY_NAME if name in {*DEV_SETTINGS, *LAMBDA_SETTINGS}]
    return TopicCommand(
        "dev",
        callback=_dev,
        params=[*setting_parameters(names), parity, *lambda_parameters()],
        help=_HELP,
        short_help="Run the application for development; as AWS Lambda would (--as lambda).",
        context_settings=SETTINGS,
    )


def _dev(**parameters: Any) -> int:
    context = click.get_current_context()
    session: Session = context.obj
    if parameters["parity"] is not None:
        return run_as_lambda(context, session, parameters)
    flags = given(context)
    own = {parameter.name for parameter in lambda_parameters()}
    for parameter in context.command.params:
        name = (parameter.name or "").replace("_", "-")
        foreign = name in flags and name not in DEV_SETTINGS
        if foreign or (parameter.name in own and was_given(context, parameter)):
            raise UsageError(
                f"{parameter.opts[0]} needs --as lambda", "`portway dev --help` says what it is for."
            )
    return run_dev(flags, context.params["config"], session)


def was_given(context: click.Context, parameter: click.Parameter) -> bool:
    """Return whether an option stands on the command line."""
    source = context.get_parameter_source(parameter.name or "")
    return source is click.core.ParameterSource.COMMANDLINE
