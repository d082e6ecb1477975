"""``ccari serve``."""

import typer
import uvloop

from ccari import app as composition
from ccari import log


def command(context: typer.Context) -> None:
    """Run the service: gate, notice, recording and rights for the calls of one Asterisk."""
    settings = context.obj.settings()
    log.configure(settings.log.format, settings.log.level)
    uvloop.run(composition.serve(settings))
