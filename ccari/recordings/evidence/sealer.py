"""Seals journals that have grown: every minute, and once more when the service ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime

import structlog

from ccari.errors import CcariError
from ccari.policy.seal import Kind, Leaf, Statement, statement
from ccari.ports.evidence import Seal, SealStore
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.recordings.evidence.keys import SigningKey, SigningKeys
from ccari.recordings.evidence.newest import NewestSeal, OlderDatabaseError
from ccari.tasks import beside

#: The longest time that a journal stays unsealed. Until it is sealed, anyone who can write to the database could change it unnoticed.
SEAL_SECONDS = 60.0
#: Between attempts until it is known whether the database is an older copy: nobody is called before.
LOOK_AGAIN_SECONDS = 2.0
#: The most journals in one seal, so that proofs stay short and the transaction quick. If there are more, another seal follows at
#: once.
MOST_LEAVES = 1000
#: How long the last sealing of an ending service may take. Anything left over is sealed at the next start.
LAST_SECONDS = 5.0

_log = structlog.get_logger()


class _Signature:
    """Signs seals with one key. The hash of its newest seal goes to the log."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._made: Statement | None = None

    def sign(self, leaves: Sequence[Leaf], before: Statement | None) -> Seal:
        self._made = statement(leaves, before, self._key.fingerprint, datetime.now(UTC))
        return Seal(self._made, self._key.sign(self._made.canonical))

    def tell(self, journals: int) -> None:
        # if the log is kept elsewhere, its hash proves that a seal existed, should somebody remove it
        seal = self._made.digest.hex() if self._made else ""
        _log.info("journals_sealed", journals=journals, key=self._key.fingerprint, seal=seal)


class Sealer:
    """Several may run on one database: the store lets one seal at a time. ``newest``: checks, while it runs, that the newest seal is
    still there.
    """

    def __init__(
        self,
        store: SealStore,
        keys: SigningKeys,
        meter: Meter = UNMETERED,
        newest: NewestSeal | None = None,
    ) -> None:
        self._meter = meter
        self._store = store
        self._keys = keys
        self._newest = newest
        #: The last logged reason for a failure to seal, and when it was logged, on the loop's clock.
        self._told = ("", 0.0)

    async def seal(self) -> int:
        """Seal all journals that have grown. Returns how many.

        Raises
        ------
        StoreError, ConfigError
            If the database is away, or there is no key to sign with. Seals made before that stay.
        """
        signature, sealed = _Signature(self._keys.newest()), 0
        while journals := await self._store.seal(signature.sign, MOST_LEAVES):
            sealed += journals
            signature.tell(journals)
        return sealed

    async def seal_one(self, kind: Kind, of: str) -> None:
        """Seal the new entries of one journal, however many others wait. Raises like :meth:`seal`."""
        signature = _Signature(self._keys.newest())
        if await self._store.seal_one(signature.sign, kind, of):
            signature.tell(1)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Seal in the background while the context lasts, and once more at its end, for at most :data:`LAST_SECONDS`."""
        try:
            async with beside(self._run):
                yield
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS):
                    await self._try()

    async def _run(self) -> None:
        while True:
            await self._try()
            is_known = self._newest is None or self._newest.is_known
            await asyncio.sleep(SEAL_SECONDS if is_known else LOOK_AGAIN_SECONDS)

    async def _try(self) -> None:
        """Check that the database has the newest seal that was seen, which calls depend on, and seal. A failure is only logged; the next
        round tries again.
        """
        looked = self._newest is None or await self._attempt(self._newest.check)
        sealed = await self._attempt(self.seal)
        # other nodes' seals are remembered too
        renewed = self._newest is None or (looked and await self._attempt(self._newest.renew))
        (self._meter.done if looked and sealed and renewed else self._meter.failed)(Work.SEALING)

    async def _attempt(self, step: Callable[[], Awaitable[object]]) -> bool:
        """Whether it succeeded; a failure is logged."""
        try:
            await step()
        except OlderDatabaseError as error:
            seen = error.seen
            _log.error("seals_missing", seal=seen.digest.hex(), sealed_at=seen.sealed_at.isoformat())
        except CcariError as error:
            self._tell(str(error))
        except Exception:  # noqa: BLE001 - logged
            _log.exception("sealing_failed")
        else:
            return True
        return False

    def _tell(self, reason: str) -> None:
        """Log it once a round, even if there are more attempts."""
        now = asyncio.get_running_loop().time()
        if reason != self._told[0] or now - self._told[1] >= SEAL_SECONDS:
            _log.warning("sealing_failed", reason=reason)
            self._told = (reason, now)
