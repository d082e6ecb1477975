"""The entry point: parses the command line, runs the command, and turns errors into messages and exit statuses."""

import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ccari import __version__
from ccari.cli import secrecy
from ccari.cli.commands import UNBOXED, OnDemand
from ccari.cli.context import State
from ccari.cli.ending import INTERRUPTED, ending
from ccari.cli.plain import printable
from ccari.errors import CcariError, EvidenceError, why
from ccari.policy.declaration import PolicyError

_WRITTEN_BY_OTHERS = 0o022

app = typer.Typer(
    name="ccari",
    cls=OnDemand,
    help="The GDPR compliance layer of an Asterisk call centre: no call without a lawful basis, no recording without "
    "a notice, no request lost.",
    no_args_is_help=True,
    rich_markup_mode=UNBOXED,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
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
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    # the command is loaded by now; much of what it allocates itself may become garbage
    gc.freeze()
    gc.enable()
    context.obj = State(config)
    if context.invoked_subcommand != "serve":
        # serve handles signals itself
        ending.heed()


def main() -> None:
    """Run the command line. A known error is printed on standard error, a line for each fault, with exit status 1."""
    secrecy.keep()
    # whatever started us: others must not be able to put other keys, or another database, into data_dir
    os.umask(os.umask(_WRITTEN_BY_OTHERS) | _WRITTEN_BY_OTHERS)
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # printing must not fail because a terminal cannot show a character, such as the bullets of a masked number
            stream.reconfigure(errors="backslashreplace")
    if any(not _is_text(each) for each in sys.argv):
        print("ccari: the command line is not UTF-8", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    try:
        _run()
    except (CcariError, PolicyError) as error:
        # text quoted in a fault of evidence could contain line breaks
        words = str(error)
        for line in [words] if isinstance(error, EvidenceError) else words.splitlines():
            print(f"ccari: {printable(line)}", file=sys.stderr)  # noqa: T201 - the command line's voice
        _fail()
    except KeyboardInterrupt:
        # the signal came while the buffers were being flushed; not sys.exit, which would flush them again, perhaps into a pipe that
        # nobody reads
        os._exit(ending.status())
    except BrokenPipeError:
        # the reader of our output has stopped, as head(1) does; not sys.exit, which would flush the buffers and fail again
        os._exit(1)
    except OSError as error:
        # without a file name, it is standard output that failed
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
        # short output is still in the buffer; if the interpreter flushed it at exit, an error could not be reported
        sys.stdout.flush()
        raise


def _fail() -> NoReturn:
    """Exit with status 1, even if the buffers cannot be flushed: the interpreter would then change the status."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stderr.flush()
        os._exit(1)
    sys.exit(1)


def _replace_closed_streams() -> None:
    """Open /dev/null in place of closed standard streams: otherwise the next file opened would get their number.

    It is opened for writing only: output is discarded, but reading fails, since an empty input would look like an empty list.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # gets the lowest free number, which is this one
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
