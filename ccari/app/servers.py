"""The two servers of ccari: HTTP for people and programs, and FastAGI for dialplans that dial themselves."""

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial

from ccari.agi.desk import Desk
from ccari.agi.server import serve_agi
from ccari.app.health import checks
from ccari.app.installed import installed
from ccari.app.parts import Parts
from ccari.calls.link import Link
from ccari.calls.switchboard import Switchboard
from ccari.config import OFF, Settings
from ccari.lists.importing import Lists
from ccari.metrics import catalogue
from ccari.ports.calls import OVER_FASTAGI
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.listening import Listener
from ccari.recordings.shelf import Shelf
from ccari.recordings.subject.giving import SubjectDesk
from ccari.sounds.heard import heard_of
from ccari.web.front import Front
from ccari.web.rates import LookUp, Rates
from ccari.web.server import application, serve_http


def http(parts: Parts, link: Link | None, calls: Switchboard) -> AbstractAsyncContextManager[object]:
    """Serve the API, the console, the metrics and the health checks while the context lasts."""
    settings, metrics = parts.settings, parts.metrics
    app = application(
        checks(link, parts.store.database, calls),
        _front(parts, link, calls),
        rates=_rates(settings),
        meter=metrics,
        exposition=metrics,
    )
    return serve_http(settings.http.listen, app)


def _front(parts: Parts, link: Link | None, calls: Switchboard) -> Front:
    settings, store, secrets = parts.settings, parts.store, parts.secrets
    folder = settings.recordings_dir
    return Front(
        bearers=store.tokens,
        book=parts.book,
        facts=parts.call_store,
        records=store.records,
        suppressions=store.suppressions,
        registers=store.registers,
        contacts=store.contacts,
        consents=store.consents,
        lists=lambda policy, vouched: Lists(
            policy, vouched, store.suppressions, store.contacts, store.consents
        ),
        policies=store.policies,
        requests=store.requests,
        journal=store.calls,
        shelf=Shelf(store.records, store.deletions, store.recordings, folder),
        listening=Listener(store.recordings, folder),
        holds=store.holds,
        evidence=Prover(store.seals, SigningKeys(settings.keys_dir), partial(heard_of, settings)),
        subjects=store.subjects,
        webhooks=store.webhooks,
        giving=SubjectDesk(
            store.subjects,
            store.registers,
            store.policies,
            store.erasures,
            store.deletions,
            folder,
            parts.exports,
            parts.local_journal.pressed_by,
        ),
        forwards=store.forwards,
        repeats=store.repeats,
        secrets=secrets,
        vouched=partial(store.key_versions.keep_vouching, secrets),
        prompts=parts.prompts,
        cards=parts.cards,
        live=parts.board,
        accesses=store.accesses,
        overview=store.overview,
        installed=installed(settings),
        placing=calls if link is not None else None,
        voicing=calls if link is not None else None,
        linked=link.connected.is_set if link is not None else lambda: True,
    )


def _rates(settings: Settings) -> Rates:
    return Rates({LookUp.GATE: settings.http.gate_per_minute, LookUp.CHECK: settings.http.checks_per_minute})


@contextlib.asynccontextmanager
async def fastagi(parts: Parts, link: Link | None) -> AsyncIterator[None]:
    """Serve FastAGI while the context lasts, unless the settings turn it off."""
    settings, metrics = parts.settings, parts.metrics
    if settings.agi.listen == OFF:
        yield
        return
    desk = Desk(_agi_name(settings), parts.call_store, parts.secrets, parts.book, parts.prompts, metrics)
    if link is not None:
        desk = replace(desk, takes_stasis=link.answers)
    async with serve_agi(settings.agi.listen, desk) as conversations:
        metrics.number(catalogue.AGI_SESSIONS, lambda: len(conversations))
        yield


def _agi_name(settings: Settings) -> str:
    """The name that FastAGI calls are filed under, so that those that a service left open when it died are found and ended. Clones of one
    machine may share it.
    """
    where = settings.asterisk.name or socket.gethostname()
    return f"{OVER_FASTAGI}{where}:{settings.agi.listen.rpartition(':')[2]}"
