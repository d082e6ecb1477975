"""The composition root: the parts that make up a running ccari."""

import contextlib
from functools import partial

import structlog

from ccari.app import readings
from ccari.app.interpreter import settle
from ccari.app.messengers import forwarding, notifying
from ccari.app.parts import Parts, open_parts
from ccari.app.recordings import housekeeping
from ccari.app.servers import fastagi, http
from ccari.app.starting import check_keys, check_policy
from ccari.app.stopping import THREADS_SECONDS, Ending, heed_signals, run_unless_stopped, serve_until_stopped
from ccari.app.telephony import Telephony, credentials_of, open_telephony
from ccari.app.timestamping import time_stamping
from ccari.calls.admission import Admission
from ccari.calls.switchboard import Switchboard
from ccari.config import Settings
from ccari.errors import CcariError
from ccari.metrics.lookout import Lookout
from ccari.office.deletion_clock import DeletionClock
from ccari.office.limits import LimitKeeper
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.sealer import Sealer
from ccari.recordings.subject.giving import clear
from ccari.store.figures import CountedFigures
from ccari.store.opened import open_store
from ccari.supervisor import Supervisor
from ccari.tasks import beside

_log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Run the service until one of :data:`ccari.app.stopping.SIGNALS`, which have no other effect on the process. Even if
    something hangs at the end, the process is over within :data:`THREADS_SECONDS` after this function.

    Raises
    ------
    CcariError
        If it cannot begin, or must end: see :meth:`ccari.calls.link.Link.run`.
    """
    ending, reason = heed_signals(settings.calls.drain_seconds), ""
    try:
        await run_unless_stopped(ending, _begin(settings, ending))
    except CcariError as error:
        reason = str(error)
        raise
    finally:
        ending.deadline.within(THREADS_SECONDS, reason)
    if not ending.serves.is_set():
        _log.info("service_stopped")


async def _begin(settings: Settings, ending: Ending) -> None:
    supervisor = Supervisor.from_environment()
    credentials = credentials_of(settings)
    async with open_store(settings) as store:
        parts = await open_parts(settings, store)
        await check_policy(parts)
        check_keys(parts)
        clear(parts.exports)
        # before the first call, register rights that were pressed while the database was away: they may bar numbers
        await parts.replayer.begin()
        # nobody is called if the database is an older copy, or if that cannot be known; the sealer reports it
        with contextlib.suppress(CcariError):
            await parts.newest_seal.check()
        admission = Admission(settings.calls.at_once, parts.metrics)
        calls = Switchboard(admission, parts.metrics)
        async with open_telephony(parts, credentials, calls) as telephony:
            await _run(parts, telephony, admission, calls, supervisor, ending)


async def _run(
    parts: Parts,
    telephony: Telephony | None,
    admission: Admission,
    calls: Switchboard,
    supervisor: Supervisor,
    ending: Ending,
) -> None:
    """Run everything until the service is told to stop. The parts end in reverse order."""
    settings, store, metrics = parts.settings, parts.store, parts.metrics
    link = telephony.link if telephony is not None else None
    readings.register(parts, telephony, calls)
    reach, clock = partial(store.key_versions.extend, parts.secrets), DeletionClock()
    async with (
        # ends last: it seals once more what the others wrote as they ended
        Sealer(store.seals, SigningKeys(settings.keys_dir), metrics, parts.newest_seal).running(),
        time_stamping(settings, store, metrics),
        http(parts, link, calls),
        beside(parts.replayer.run),
        fastagi(parts, link),
        forwarding(settings, store, parts.book, metrics),
        notifying(settings, store, parts.book, metrics),
        housekeeping(settings, store, clock.now, metrics),
        beside(LimitKeeper(store.limits, store.policies, reach, clock.now, metrics).run),
        beside(admission.watch),
        telephony.tending() if telephony is not None else contextlib.nullcontext(),
        beside(
            Lookout(metrics, CountedFigures(store.database), parts.book, parts.local_journal.unsettled).run
        ),
        # starts last: it reports that the service is up only when everything is
        beside(partial(supervisor.tell, ending.stop, link.connected if link is not None else None)),
    ):
        settle()
        _log.info("service_started", revision=parts.book.revision)
        await serve_until_stopped(ending, link, calls, settings.calls.drain_seconds)
        _log.info("service_stopped")
