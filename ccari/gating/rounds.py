"""Work that is done again and again beside the calls."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

from ccari.errors import CcariError
from ccari.ports.metering import Meter, Work


async def again_and_again(
    work: Callable[[], Awaitable[object]], every_seconds: float, kind: Work, meter: Meter, *,
    stalled: Callable[[str], None], failed: Callable[[], None],
) -> Never:  # fmt: skip
    """A round of ``work`` every so many seconds until cancelled. What fails is tried again: no call depends on it.

    ``stalled`` is told why a round fails, once until it is another reason or none; ``failed`` is called where the exception that
    nobody foresaw is handled.
    """
    told = ""
    while True:
        try:
            await work()
            told = ""
            meter.done(kind)
        except CcariError as error:
            meter.failed(kind)
            if str(error) != told:
                told = str(error)
                stalled(told)
        except Exception:  # noqa: BLE001 - ``failed`` logs it
            meter.failed(kind)
            failed()
        await asyncio.sleep(every_seconds)
