"""Seals journals that have grown: every minute, and once more when the service ends."""

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

#: How long the journal of a call is at most unsealed: so long, whoever can write to the database could change it unnoticed.
SEAL_SECONDS = 60.0
#: The most journals in one seal, so that proofs stay short and the transaction quick. If there are more, another seal follows at
#: once.
MOST_LEAVES = 1000
#: How long the last sealing of an ending service may take. What is not sealed by then is sealed when it starts again.
LAST_SECONDS = 5.0

_log = structlog.get_logger()


class Sealer:
    """Several may run on one database: the store lets one seal at a time."""

    def __init__(self, store: SealStore, keys: SigningKeys, meter: Meter = UNMETERED) -> None:
        self._meter = meter
        self._store = store
        self._keys = keys

    async def seal(self) -> int:
        """Seal all journals that have grown; gives how many.

        Raises
        ------
        StoreError, ConfigError
            If the database is away, or there is no key to sign with. Seals made before that stay.
        """
        key, sealed, statements = self._keys.newest(), 0, list[Statement]()

        def sign(leaves: Sequence[Leaf], before: Statement | None) -> Seal:
            signed = statement(leaves, before, key.fingerprint, datetime.now(UTC))
            statements.append(signed)
            return Seal(signed, key.sign(signed.canonical))

        while journals := await self._store.seal(sign, MOST_LEAVES):
            sealed += journals
            # if the log is kept elsewhere, its hash proves that there was a seal which somebody has removed since
            _log.info(
                "journals_sealed", journals=journals, key=key.fingerprint, seal=statements[-1].digest.hex()
            )
        return sealed

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Seal in the background while the context lasts, and once more at its end, for at most :data:`LAST_SECONDS`."""
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
        """Seal; a failure is logged only, and tried again with the next: no call depends on it."""
        try:
            await self.seal()
            self._meter.done(Work.SEALING)
        except CcariError as error:
            self._meter.failed(Work.SEALING)
            _log.warning("sealing_failed", reason=str(error))
        except Exception:  # noqa: BLE001 - logged
            self._meter.failed(Work.SEALING)
            _log.exception("sealing_failed")
