"""What drives one Asterisk over ARI and tends its recordings; nothing if the settings turn ARI off."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from ccari.app.parts import Parts
from ccari.app.recordings import open_archive, open_spool
from ccari.calls.ari import Ari
from ccari.calls.desk import Desk
from ccari.calls.identity import Identity
from ccari.calls.link import Link
from ccari.calls.opening import Endpoints
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials
from ccari.config import Settings
from ccari.recordings.archive import FileArchive
from ccari.recordings.backlog import Caretaker
from ccari.store.fence import PostgresFence
from ccari.tasks import beside


@dataclass(frozen=True, slots=True)
class Telephony:
    """``fence`` keeps other services off the Asterisk that ``link`` holds; ``caretaker`` tends the spool meanwhile."""

    link: Link
    fence: PostgresFence
    caretaker: Caretaker

    def tending(self) -> AbstractAsyncContextManager[None]:
        """Tend the spool while the context lasts. A file in progress at its end is taken up by the next service."""
        return beside(partial(self.caretaker.run, self.link.connected))


def credentials_of(settings: Settings) -> Credentials | None:
    """The ARI credentials; None if ARI is off. Raises ConfigError if there is no password."""
    section = settings.asterisk
    if section.is_off:
        return None
    return Credentials(section.url, section.username, section.secret(), section.app, section.secret)


@contextlib.asynccontextmanager
async def open_telephony(
    parts: Parts, credentials: Credentials | None, calls: Switchboard
) -> AsyncIterator[Telephony | None]:
    """Open the telephony, with the spool, while the context lasts; None without credentials."""
    if credentials is None:
        yield None
        return
    settings, store = parts.settings, parts.store
    async with open_spool(settings) as spool:
        archive, fence = open_archive(settings, spool), PostgresFence(store.dsn)
        link = Link(credentials, fence, calls, partial(_desk, parts, archive), settings.asterisk.name)
        yield Telephony(link, fence, Caretaker(spool, archive, store.recordings, parts.metrics))


def _desk(parts: Parts, archive: FileArchive, ari: Ari, identity: Identity) -> Desk:
    """What all calls over one connection share."""
    return Desk(
        identity.name, parts.call_store, parts.secrets, parts.book, parts.prompts, ari, Endpoints(ari),
        parts.store.recordings, archive, parts.cards, parts.board, parts.settings.recordings.channels, parts.metrics,
    )  # fmt: skip
