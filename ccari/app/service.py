"""The one composition root: which parts make up a running ccari."""

import contextlib
from functools import partial

import structlog

from ccari.app import readings
from ccari.app.doors import fastagi, http
from ccari.app.interpreter import settle
from ccari.app.messengers import forwarding, notifying
from ccari.app.parts import Parts, open_parts
from ccari.app.recordings import housekeeping
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
    """Run the service until one of :data:`ccari.app.stopping.SIGNALS`, which the process heeds in no other way. Whatever hangs at its end,
    the process is over within :data:`THREADS_SECONDS` of this function's.

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
        # rights that were pressed while the database was away, which may bar numbers, come before the first call
        await parts.replayer.begin()
        # nor is anybody called if the database is an older one, or nobody can know; the sealer says so
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
    """Run everything until the service is to stop. What is listed later below ends first."""
    settings, store, metrics = parts.settings, parts.store, parts.metrics
    link = telephony.link if telephony is not None else None
    readings.register(parts, telephony, calls)
    reach, clock = partial(store.key_versions.extend, parts.secrets), DeletionClock()
    async with (
        # ends last: it seals once more what the others have written as they ended
        Sealer(store.seals, SigningKeys(settings.keys_dir), metrics, parts.newest_seal).running(),
        time_stamping(settings, store, metrics),
        http(parts, link, calls),
        beside(parts.replayer.run),
        fastagi(parts),
        forwarding(settings, store, parts.book, metrics),
        notifying(settings, store, parts.book, metrics),
        housekeeping(settings, store, clock.now, metrics),
        beside(LimitKeeper(store.limits, store.policies, reach, clock.now, metrics).run),
        beside(admission.watch),
        telephony.tending() if telephony is not None else contextlib.nullcontext(),
        beside(
            Lookout(metrics, CountedFigures(store.database), parts.book, parts.local_journal.unsettled).run
        ),
        # last: nobody is told that it is up before it is
        beside(partial(supervisor.tell, ending.stop, link.connected if link is not None else None)),
    ):
        settle()
        _log.info("service_started", revision=parts.book.revision)
        await serve_until_stopped(ending, link, calls, settings.calls.drain_seconds)
        _log.info("service_stopped")
