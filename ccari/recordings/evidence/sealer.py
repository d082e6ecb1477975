"""Sealing the journals of what is over: every minute, and once more at the end of the service."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import structlog

from ccari.errors import CcariError
from ccari.policy.seal import Leaf, Statement, statement
from ccari.ports.evidence import Seal, SealStore
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.recordings.evidence.keys import SigningKeys

#: So long somebody who has the database could still change what a call has left.
SEAL_SECONDS = 60.0
#: Of one seal, so that a proof stays short and a transaction quick; where there are more, the next seal follows at once.
MOST_LEAVES = 1000
#: What is not sealed by then is sealed when the service is there again.
LAST_SECONDS = 5.0

_log = structlog.get_logger()


class Sealer:
    """Several may run on one database: they take turns."""

    def __init__(self, store: SealStore, keys: SigningKeys, meter: Meter = UNMETERED) -> None:
        self._meter = meter
        self._store = store
        self._keys = keys

    async def seal(self) -> int:
        """Seal all that has grown; gives how many journals.

        Raises
        ------
        StoreError, ConfigError
            If the database is away, or there is no key to sign with. What was sealed before that is sealed.
        """
        key, sealed, made = self._keys.newest(), 0, list[Statement]()

        def sign(leaves: Sequence[Leaf], before: Statement | None) -> Seal:
            told = statement(leaves, before, key.fingerprint, datetime.now(UTC))
            made.append(told)
            return Seal(told, key.sign(told.canonical))

        while journals := await self._store.seal(sign, MOST_LEAVES):
            sealed += journals
            # in a log that somebody else keeps, the hash shows that a seal was taken away again
            _log.info("journals_sealed", journals=journals, key=key.fingerprint, seal=made[-1].digest.hex())
        return sealed

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Seal in the background while the context lasts, and once more at its end, if that is quick."""
        working = asyncio.create_task(self._run())
        try:
            yield
        finally:
            working.cancel()
            await asyncio.wait([working])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS):
                    await self._try()

    async def _run(self) -> None:
        while True:
            await self._try()
            await asyncio.sleep(SEAL_SECONDS)

    async def _try(self) -> None:
        """No call depends on it: what fails is logged, and tried again."""
        try:
            await self.seal()
            self._meter.done(Work.SEALING)
        except CcariError as error:
            self._meter.failed(Work.SEALING)
            _log.warning("sealing_failed", reason=str(error))
        except Exception:  # noqa: BLE001 - logged
            self._meter.failed(Work.SEALING)
            _log.exception("sealing_failed")
