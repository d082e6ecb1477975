"""Has seals time-stamped by an outside authority (RFC 3161), so that not even the holder of the evidence key can back-date them.

The newest seal is enough: each seal contains the hash of the one before it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Never

import aiohttp
import structlog

from ccari.errors import CcariError, EvidenceError, why
from ccari.office.rounds import again_and_again
from ccari.own_threads import OwnThreads
from ccari.peers import whole
from ccari.policy.seal import Statement
from ccari.ports.evidence import TimeStampStore
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.recordings.evidence.authority import MOST_BYTES, Authority, Stamped, time_stamp_request

#: How soon a due seal is noticed, and an authority that did not answer is asked again.
LOOK_SECONDS = 60.0
#: From the first packet of the question to the last of the answer.
TIMEOUT_SECONDS = 15.0

_FILES = OwnThreads("ccari-time-stamps", EvidenceError)

_QUESTION, _ANSWER = "application/timestamp-query", "application/timestamp-reply"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an authority: its certificates and, if it requires a login, the value of ``Authorization`` (RFC 7617)."""

    authority: Authority
    login: str = field(default="", repr=False)


class Stamper:
    """Several may run on one database: one at a time asks. ``known`` reads the authority's certificates and password each time, since
    they may be renewed while the service runs; it raises ConfigError. ``every``: the time between time stamps.
    """

    def __init__(
        self, store: TimeStampStore, known: Callable[[], Known], session: aiohttp.ClientSession, url: str, every: timedelta,
        meter: Meter = UNMETERED,
    ) -> None:  # fmt: skip
        self._store = store
        self._known = known
        self._session = session
        self._url = url
        self._every = every
        self._meter = meter

    async def run(self) -> Never:
        """Have the newest seal time-stamped whenever that is due, until cancelled. A failure is only logged: no call depends on it."""
        await again_and_again(
            lambda: self.stamp(self._every), LOOK_SECONDS, Work.TIME_STAMPS, self._meter,
            stalled=_log_stalled, failed=lambda: _log.exception("time_stamp_failed"),
        )  # fmt: skip

    async def stamp(self, every: timedelta = timedelta(0)) -> Stamped | None:
        """Have the newest seal time-stamped; None if it already is, another was stamped within ``every``, or it is another node's turn.

        Raises
        ------
        EvidenceError
            If the authority gives no valid time stamp within :data:`TIMEOUT_SECONDS`, or the seal is another one by then.
        ConfigError
            If what is known of the authority cannot be read.
        StoreError
            If the database fails.
        """
        if await self._store.due(every) is None:
            return None
        known = await _FILES.within(TIMEOUT_SECONDS, self._known)
        async with self._store.turn() as mine:
            # another node may just have had it stamped
            due = await self._store.due(every) if mine else None
            if due is None:
                return None
            number, statement = due
            response, stamped = await self._asked(statement, known)
            if not await self._store.add(number, statement, stamped.at, response):
                raise EvidenceError("the seal was replaced, or time-stamped by another node, meanwhile")
        _log.info(
            "seal_time_stamped",
            seal=statement.digest.hex(),
            stamped_at=stamped.at.isoformat(),
            authority=stamped.by,
        )
        return stamped

    async def _asked(self, statement: Statement, known: Known) -> tuple[bytes, Stamped]:
        request = time_stamp_request(statement)
        response = await self._answer(request.content, known.login)
        # in a thread: it takes some milliseconds, which would hold up calls
        return response, await asyncio.to_thread(known.authority.stamped, response, statement, request.nonce)

    async def _answer(self, content: bytes, login: str) -> bytes:
        headers = {"content-type": _QUESTION, "accept": _ANSWER} | ({"authorization": login} if login else {})
        try:
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                self._session.post(self._url, data=content, headers=headers, allow_redirects=False) as answer,
            ):
                if answer.status != HTTPStatus.OK:
                    raise EvidenceError(
                        f"the time-stamping authority answered {answer.status}: check [time_stamps]"
                    )
                received = await whole(answer, MOST_BYTES)
                if received is None:
                    raise EvidenceError(f"the time-stamping authority sent more than {MOST_BYTES} bytes")
                return received
        except TimeoutError:
            raise EvidenceError(
                f"the time-stamping authority did not answer within {TIMEOUT_SECONDS:g} s"
            ) from None
        except aiohttp.ClientSSLError as error:
            raise EvidenceError(
                f"the time-stamping authority cannot be reached by TLS: {why(error)}"
            ) from None
        except aiohttp.ClientConnectorDNSError:
            raise EvidenceError(
                "the host of the time-stamping authority is not known: check [time_stamps] url"
            ) from None
        except aiohttp.ClientOSError as error:
            raise EvidenceError(f"the time-stamping authority cannot be reached: {why(error)}") from None
        except (aiohttp.ClientError, ValueError) as error:
            # not the error's words, which may contain the url
            fault = type(error).__name__
            raise EvidenceError(
                f"the answer of the time-stamping authority is not valid HTTP: {fault}"
            ) from None


def _log_stalled(error: CcariError) -> None:
    _log.warning("time_stamps_stalled", reason=str(error))
