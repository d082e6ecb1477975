"""The result of a check, and how a check that fails or hangs is kept from stopping the others."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from ccari.errors import CcariError, why
from ccari.own_threads import alone

_T = TypeVar("_T")

#: The time-out of any one check. Those that wait for the network have shorter limits of their own.
CHECK_SECONDS = 20.0
#: Where the message of a CcariError turns from what is wrong to what to do.
_ADVICE_FOLLOWS = re.compile(
    r": (?=(?:ccari|chmod|check|choose|give|install|is it|load|make|put|remove|restore|run|set) )"
)


class State(StrEnum):
    """``WARNING``: calls work, or it cannot be told. ``FAULT``: calls, or the exercise of rights, would fail."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``advice``: what to do, as a command or setting if possible; empty if all is well."""

    check: str
    state: State
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, str | None]:
        return {"check": self.check, "state": self.state, "found": self.found, "advice": self.advice or None}


def ok(check: str, found: str) -> Finding:
    return Finding(check, State.OK, found)


def warning(check: str, found: str, advice: str) -> Finding:
    return Finding(check, State.WARNING, found, advice)


def fault(check: str, found: str, advice: str) -> Finding:
    return Finding(check, State.FAULT, found, advice)


def refused(check: str, error: CcariError, advice: str) -> Finding:
    """A fault from an error. ``advice``: what to do, unless the error's message says so."""
    found, *own_advice = _ADVICE_FOLLOWS.split(" ".join(str(error).splitlines()), maxsplit=1)
    return fault(check, found, own_advice[0] if own_advice else advice)


async def found_by(
    check: str, work: Awaitable[Iterable[Finding]], advice: str, *, bounded: bool = True
) -> list[Finding]:
    """The findings of ``work``; if it fails, or takes longer than :data:`CHECK_SECONDS`, one fault that says so.

    ``advice``: what to do, unless the error says so. ``bounded``: False if ``work`` has time limits of its own.
    """
    try:
        async with asyncio.timeout(CHECK_SECONDS if bounded else None):
            return list(await work)
    except CcariError as error:
        return [refused(check, error, advice)]
    except TimeoutError:
        return [fault(check, f"could not be checked within {CHECK_SECONDS:.0f} s", advice)]
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return [fault(check, f"{where}{why(error)}", advice)]
    except Exception as error:  # noqa: BLE001 - one check's own mistake must not hide what the others find
        return [fault(check, f"could not be checked ({type(error).__name__})", advice)]


async def in_daemon_thread(work: Callable[[], _T]) -> _T:
    """Run ``work``, which reads files, in a daemon thread, so that the process can exit even if a network file system hangs."""
    return await asyncio.wrap_future(alone("ccari-doctor", work))
