"""``ccari serve``."""

import typer

from ccari import log


def command(context: typer.Context) -> None:
    """Run the service: gate, notice, recording and rights for the calls of one Asterisk."""
    # here, for every other command starts in half the time without what only the service needs
    import uvloop  # noqa: PLC0415

    from ccari.app.service import serve  # noqa: PLC0415

    settings = context.obj.settings()
    log.configure(settings.log.format, settings.log.level)
    uvloop.run(serve(settings))
