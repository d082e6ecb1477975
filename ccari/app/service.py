"""The one composition root: which parts make up a running ccari."""

from functools import partial

import structlog

from ccari.app import readings
from ccari.app.doors import fastagi, http
from ccari.app.interpreter import settle
from ccari.app.messengers import forwarding, notifying
from ccari.app.parts import Parts, open_parts
from ccari.app.recordings import housekeeping, open_archive, open_spool
from ccari.app.starting import check_keys, check_policy
from ccari.app.stopping import Ending, heed_signals, unless_told, until
from ccari.app.tasks import beside
from ccari.calls.admission import Admission
from ccari.calls.client import Ari, Identity
from ccari.calls.desk import Desk
from ccari.calls.link import Link
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials
from ccari.config import Settings
from ccari.gating.limits import LimitKeeper
from ccari.metrics.lookout import Lookout
from ccari.ports.recordings import Spool
from ccari.recordings.archive import FileArchive
from ccari.recordings.backlog import Caretaker
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.sealer import Sealer
from ccari.recordings.subject.giving import clear
from ccari.store.fence import PostgresFence
from ccari.store.figures import CountedFigures
from ccari.store.opened import open_store
from ccari.supervisor import Supervisor

_log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Run the service until SIGTERM or SIGINT, which the process heeds in no other way from now on.

    Raises
    ------
    CcariError
        If it cannot begin, or must end: see :meth:`ccari.calls.link.Link.run`.
    """
    ending = heed_signals()
    await unless_told(ending, _begin(settings, ending))
    if not ending.serves.is_set():
        _log.info("service_stopped")


async def _begin(settings: Settings, ending: Ending) -> None:
    supervisor = Supervisor.from_environment()
    credentials = Credentials(
        settings.asterisk.url, settings.asterisk.username, settings.asterisk.secret(), settings.asterisk.app
    )
    async with open_store(settings) as store:
        parts = await open_parts(settings, store)
        await check_policy(parts)
        check_keys(parts)
        clear(parts.exports)
        # somebody may have barred themselves while the database was away
        await parts.replayer.begin()
        async with open_spool(settings) as spool:
            await _run(parts, spool, credentials, supervisor, ending)


async def _run(
    parts: Parts, spool: Spool, credentials: Credentials, supervisor: Supervisor, ending: Ending
) -> None:
    """Each of what runs ends before what stands above it."""
    settings, store, metrics = parts.settings, parts.store, parts.metrics
    archive = open_archive(settings, spool)
    admission = Admission(settings.calls.at_once, metrics)
    calls = Switchboard(admission, metrics)
    fence = PostgresFence(store.dsn)
    link = Link(credentials, fence, calls, partial(_desk, parts, archive), settings.asterisk.name)
    readings.read(parts, link, fence, calls)
    reach = partial(store.key_versions.extend, parts.secrets)
    async with (
        # to its end after all the others: what they leave is sealed once more
        Sealer(store.seals, SigningKeys(settings.keys_dir), metrics).running(),
        http(parts, link, calls),
        beside(parts.replayer.run),
        fastagi(parts),
        forwarding(settings, store, metrics),
        notifying(settings, store, metrics),
        housekeeping(settings, store, metrics),
        beside(LimitKeeper(store.limits, store.policies, meter=metrics, reach=reach).run),
        beside(admission.watch),
        # what it has under way at its end is done again by the next service
        beside(partial(Caretaker(spool, archive, store.recordings, metrics).run, link.connected)),
        beside(
            Lookout(metrics, CountedFigures(store.database), parts.book, parts.local_journal.unsettled).run
        ),
        # last: nobody is told that it is up before it is
        beside(partial(supervisor.tell, ending.stop, link.connected)),
    ):
        settle()
        _log.info("service_started", revision=parts.book.revision)
        await until(ending, link, calls, settings.calls.drain_seconds)
        _log.info("service_stopped")


def _desk(parts: Parts, archive: FileArchive, ari: Ari, identity: Identity) -> Desk:
    """What all calls over one connection share."""
    return Desk(
        ari, identity.name, parts.call_store, parts.secrets, parts.book, parts.prompts,
        parts.store.recordings, archive, parts.cards, parts.board, parts.settings.recordings.channels, parts.metrics,
    )  # fmt: skip
