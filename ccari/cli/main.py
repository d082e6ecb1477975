"""All commands in one tree, and what becomes of their errors."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ccari import __version__
from ccari.cli import secrecy
from ccari.cli.commands import OnDemand
from ccari.cli.context import State
from ccari.cli.ending import INTERRUPTED, ending
from ccari.errors import CcariError, why
from ccari.policy.declaration import PolicyError

app = typer.Typer(
    name="ccari",
    cls=OnDemand,
    help="The GDPR compliance layer of an Asterisk call centre: no call without a lawful basis, no recording without "
    "a notice, no request lost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="CCARI_CONFIG",
            help="The configuration file. Default: ccari.toml, otherwise /etc/ccari/ccari.toml.",
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_tell_version),
    ] = False,
) -> None:
    context.obj = State(config)
    if context.invoked_subcommand != "serve":
        # which heeds them in its own way
        ending.heed()


def main() -> None:
    """Run the command line; a known error is one line on standard error and exit status 1."""
    secrecy.keep()
    _stand_in()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that cannot show a bullet is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    if any(not _is_text(each) for each in sys.argv):
        print("ccari: what is on the command line is not UTF-8", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    try:
        _run()
    except (CcariError, PolicyError) as error:
        for line in str(error).splitlines():
            print(f"ccari: {line}", file=sys.stderr)  # noqa: T201 - the command line's voice
        _fail()
    except KeyboardInterrupt:
        # while what is left in the buffers is written, perhaps to nobody who reads it
        os._exit(ending.status())
    except BrokenPipeError:
        # the reader of our list has seen enough; what is left in the buffers would fail again on the way out
        os._exit(1)
    except OSError as error:
        # an output has no name that we gave it
        what = "cannot write the output" if error.filename is None else error.filename
        print(f"ccari: {what}: {why(error)}", file=sys.stderr)  # noqa: T201
        sys.stderr.flush()
        os._exit(1)


def _run() -> None:
    try:
        app(prog_name="ccari")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            end.code = ending.status()
        # a short list is written only here: the interpreter would do it too late to be heard
        sys.stdout.flush()
        raise


def _fail() -> NoReturn:
    """Exit status 1, also where what is left in the buffers cannot be printed: the interpreter would make it another."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stderr.flush()
        os._exit(1)
    sys.exit(1)


def _stand_in() -> None:
    """Stand in for standard streams that are closed: what is opened next would be taken for one of them.

    What is written is thrown away; who reads is refused, for an empty list is a list too.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free
            os.open(os.devnull, os.O_WRONLY)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - descriptors that stay
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True
