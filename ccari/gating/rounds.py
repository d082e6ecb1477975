"""Background work that is done in rounds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

from ccari.errors import CcariError
from ccari.ports.metering import Meter, Work


async def again_and_again(
    work: Callable[[], Awaitable[object]], every_seconds: float, kind: Work, meter: Meter, *,
    stalled: Callable[[CcariError], None], failed: Callable[[], None],
) -> Never:  # fmt: skip
    """Do ``work`` every so many seconds until cancelled, whether or not it fails: no call depends on it.

    ``stalled`` is called with a failure, but not again while its words stay the same. ``failed`` is called within
    the handler of an exception that is no CcariError, so that it can log the traceback.
    """
    reported = ""
    while True:
        try:
            await work()
            reported = ""
            meter.done(kind)
        except CcariError as error:
            meter.failed(kind)
            if str(error) != reported:
                reported = str(error)
                stalled(error)
        except Exception:  # noqa: BLE001 - ``failed`` logs it
            meter.failed(kind)
            failed()
        await asyncio.sleep(every_seconds)
