"""Where recordings come from, where they go, and who deletes them."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import structlog

from ccari.config import Settings
from ccari.office.deletion_clock import Now
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.recordings import Spool
from ccari.recordings.archive import FileArchive
from ccari.recordings.housekeeping import Housekeeper
from ccari.recordings.known_folder import known_folder
from ccari.recordings.recipients import RecipientFile
from ccari.recordings.remote import open_remote_spool
from ccari.recordings.spool import SharedSpool
from ccari.store.opened import Store
from ccari.tasks import beside

_log = structlog.get_logger()


@contextlib.asynccontextmanager
async def open_spool(settings: Settings) -> AsyncIterator[Spool]:
    """Where Asterisk's recordings are fetched: from a shared folder, or from Asterisk itself."""
    asterisk = settings.asterisk
    if asterisk.is_spool_remote:
        incoming = settings.data_dir / "incoming"
        async with open_remote_spool(asterisk.url, asterisk.username, asterisk.secret, incoming) as spool:
            yield spool
        return
    shared = SharedSpool(asterisk.spool)
    if not await shared.is_reachable():
        # not an error: Asterisk creates the folder with its first recording
        _log.warning("spool_unreachable", folder=str(asterisk.spool), advice="check [asterisk] spool")
    yield shared


def open_archive(settings: Settings, spool: Spool) -> FileArchive:
    """Where recordings go, in the format and for the readers that the settings name."""
    recipients = RecipientFile(settings.keys_dir).recipients
    if settings.recordings.encryption == "none":
        recipients = tuple
    bench, known = settings.data_dir / "encoding", known_folder(settings)
    return FileArchive(spool, settings.recordings_dir, settings.recordings.format, recipients, bench, known)


def housekeeping(
    settings: Settings, store: Store, now: Now, meter: Meter = UNMETERED
) -> AbstractAsyncContextManager[None]:
    """Delete what is due while the context lasts; a deletion under way at its end is finished by the next service."""
    folder = settings.recordings_dir
    keeper = Housekeeper(store.deletions, folder, known_folder(settings), meter=meter, now=now)
    return beside(keeper.run)
