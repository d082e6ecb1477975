"""``ccari serve``: runs the service."""

import os
import signal
import sys
from types import FrameType

import typer

from ccari import log


def command(context: typer.Context) -> None:
    """Run the service: gate, notice, recording and rights for the calls of one Asterisk."""
    # until the service handles them itself; so far there is nothing to close
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # an ignored SIGHUP stays ignored: after nohup the terminal may close
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    # imported only now, since that takes half a second, in which a signal may come
    import uvloop  # noqa: PLC0415

    from ccari.app.service import serve  # noqa: PLC0415

    settings = context.obj.settings()
    log.configure(settings.log.format, settings.log.level, sys.stdout, patience=log.PATIENCE_SECONDS)
    uvloop.run(serve(settings))


def _leave(_number: int, _frame: FrameType | None) -> None:
    # not an exception, which could be lost in the middle of an import
    os._exit(0)
