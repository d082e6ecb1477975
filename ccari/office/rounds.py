"""Background work that is done in rounds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

from ccari.errors import CcariError
from ccari.ports.metering import Meter, Work


async def again_and_again(
    work: Callable[[], Awaitable[object]], every_seconds: float, kind: Work, meter: Meter, *,
    stalled: Callable[[CcariError], None], failed: Callable[[], None], again_seconds: float | None = None,
) -> Never:  # fmt: skip
    """Do ``work`` at intervals until cancelled, even if it fails: no call depends on it. ``again_seconds``:
    pause after a failure, if shorter.

    ``stalled`` is called with a failure, but not again while its words stay the same. ``failed`` is called in
    the handler of any other exception than a CcariError, so that it can log the traceback.
    """
    reported = ""
    while True:
        pause_seconds = every_seconds if again_seconds is None else again_seconds
        try:
            await work()
            pause_seconds, reported = every_seconds, ""
            meter.done(kind)
        except CcariError as error:
            meter.failed(kind)
            if str(error) != reported:
                reported = str(error)
                stalled(error)
        except Exception:  # noqa: BLE001 - ``failed`` logs it
            meter.failed(kind)
            failed()
        await asyncio.sleep(pause_seconds)
