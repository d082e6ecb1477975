"""The newest seal that a node has seen, remembered outside the database.

An older database, restored from a dump or a standby that lagged behind and took over, lacks that seal, and with it the bars and erasures
of that time. Nothing in the database itself shows that.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ccari.errors import BarsLostError, ConfigError, StoreError, why
from ccari.keyring.files import write_over
from ccari.own_threads import OwnThreads
from ccari.policy.seal import Statement
from ccari.policy.sentences import in_utc
from ccari.ports.evidence import NumberedSeals

FILE = "newest-seal.json"
#: How long the disk may take, in seconds.
DISK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A seal: its ``number`` in the database, and the ``digest`` of its statement."""

    number: int
    digest: bytes
    sealed_at: datetime

    @classmethod
    def of(cls, number: int, stated: Statement) -> "Seen":
        return cls(number, stated.digest, stated.sealed_at.astimezone(UTC))

    def __str__(self) -> str:
        return f"the seal of {in_utc(self.sealed_at)}"


class OlderDatabaseError(BarsLostError):
    """The database lacks a seal that this node has ``seen``: bars, requests and erasures since then are not in it."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(
            f"the database is an older one, and bars since then are not in it: it lacks {seen}, which this node has seen"
        )
        self.seen = seen


class NewestSeal:
    """The newest seal of ``store``, remembered in :data:`FILE` in ``folder``, which is ``data_dir``. Each method raises ConfigError if
    the file cannot be read or written, and StoreError if the database or the disk does not answer. Until the first look succeeds, nobody
    is called.
    """

    def __init__(self, folder: Path, store: NumberedSeals) -> None:
        self._store = store
        self.path = folder / FILE
        self._threads = OwnThreads("ccari-newest-seal")
        #: Whether a look has ever finished.
        self.is_known = False
        #: Creates the error that says why nobody may be called, as of the last look; None: the database has the remembered seal, if any.
        self._refusal: Callable[[], StoreError] | None = partial(
            StoreError,
            f"it is not known yet whether the database is an older one, which {self.path} would show",
        )

    @property
    def refuses(self) -> bool:
        """Whether :meth:`refuse_older` raises."""
        return self._refusal is not None

    def refuse_older(self) -> None:
        """Raise an error unless the last look found the remembered seal, if any, in the database: otherwise people who have barred
        their numbers since would be called. BarsLostError if the database is older, or that cannot be told; any other StoreError while it
        is not known yet.
        """
        if self._refusal is not None:
            raise self._refusal()

    async def check(self) -> None:
        """Check that the database has the remembered seal. Raises OlderDatabaseError if there is no seal of that number, or a different
        one.
        """
        await self._look()

    async def missing(self) -> Seen | None:
        """Like :meth:`check`, but returns the missing seal; None if all is well, or nothing is remembered."""
        try:
            await self._look()
        except OlderDatabaseError as error:
            return error.seen
        return None

    async def renew(self) -> None:
        """Like :meth:`check`; if all is well, remember the database's newest seal."""
        seen = await self._look()
        if (newest := await self._store.newest()) is not None and (now := Seen.of(*newest)) != seen:
            await self._threads.within(DISK_SECONDS, self._write, now)

    async def _look(self) -> Seen | None:
        """The remembered seal. If the database or the disk does not answer, the result of the last look stays."""
        try:
            seen = await self._threads.within(DISK_SECONDS, self._read)
        except ConfigError as error:
            self._refusal, self.is_known = partial(BarsLostError, str(error)), True
            raise
        is_newest = seen is None or await _is_there(seen, self._store)
        self.is_known = True
        if seen is not None and not is_newest:
            self._refusal = partial(OlderDatabaseError, seen)
            raise OlderDatabaseError(seen)
        self._refusal = None
        return seen

    def _read(self) -> Seen | None:
        try:
            found = json.loads(self.path.read_bytes())
            sealed_at = datetime.fromisoformat(found["sealed_at"]).astimezone(UTC)
            return Seen(_numbered(found["seal"]), bytes.fromhex(found["digest"]), sealed_at)
        except FileNotFoundError:
            return None
        except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
            raise ConfigError(f"cannot read {self.path}: {why(error)}") from None
        except OSError as error:
            # it may be temporary, such as running out of file descriptors
            raise StoreError(f"cannot read {self.path}: {why(error)}") from None
        except (ValueError, KeyError, TypeError, OverflowError):
            raise ConfigError(
                f"{self.path} is damaged: remove it, if the database is not an older one"
            ) from None

    def _write(self, seen: Seen) -> None:
        told = {"seal": seen.number, "digest": seen.digest.hex(), "sealed_at": seen.sealed_at.isoformat()}
        try:
            write_over(self.path, f"{json.dumps(told)}\n".encode("ascii"))
        except (ConfigError, OSError):
            raise ConfigError(
                f"cannot write {self.path}: is the disk of data_dir full, or read-only?"
            ) from None


def _numbered(seal: Any) -> int:
    """Raises ValueError if the number is outside PostgreSQL's range."""
    number = int(seal)
    if not 0 < number < 2**63:
        raise ValueError(number)
    return number


async def _is_there(seen: Seen, store: NumberedSeals) -> bool:
    stated = await store.numbered(seen.number)
    return stated is not None and stated.digest == seen.digest
