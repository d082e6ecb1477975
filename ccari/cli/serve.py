"""``ccari serve``."""

import os
import signal
from types import FrameType

import typer

from ccari import log


def command(context: typer.Context) -> None:
    """Run the service: gate, notice, recording and rights for the calls of one Asterisk."""
    # until the service heeds them itself: there is nothing to close yet
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # after nohup the terminal may close
        if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _leave)
    # only now, for they take half a second to load
    import uvloop  # noqa: PLC0415

    from ccari.app.service import serve  # noqa: PLC0415

    settings = context.obj.settings()
    log.configure(settings.log.format, settings.log.level, patience=log.PATIENCE_SECONDS)
    uvloop.run(serve(settings))


def _leave(_number: int, _frame: FrameType | None) -> None:
    # an exception in the middle of an import may be lost
    os._exit(0)
