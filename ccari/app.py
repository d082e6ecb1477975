"""The one composition root: which parts make up a running ccari."""

import asyncio
import contextlib
import functools
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from ccari.agi.desk import Counter
from ccari.agi.server import serve_agi
from ccari.calls.admission import Admission
from ccari.calls.board import Board
from ccari.calls.cards import Rack
from ccari.calls.client import Ari, Identity
from ccari.calls.desk import Desk
from ccari.calls.link import Link
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials
from ccari.config import OFF, Settings, WebhookSection
from ccari.errors import ConfigError, StoreError
from ccari.forward.courier import Courier
from ccari.forward.notifier import Notifier, Target
from ccari.forward.secret import WebhookSecrets, decoded, read_secret
from ccari.forward.webhook import open_webhook
from ccari.gating.inquiry import FactStore
from ccari.keyring.files import check_folder
from ccari.lists.importing import Lists
from ccari.metrics import catalogue
from ccari.metrics.lookout import Lookout
from ccari.metrics.meter import Metrics
from ccari.policy.calendars import public_holidays
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.recordings import Spool
from ccari.ports.webhooks import Endpoint
from ccari.recordings.archive import FileArchive
from ccari.recordings.backlog import Caretaker
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.evidence.sealer import Sealer
from ccari.recordings.housekeeping import Housekeeper
from ccari.recordings.keys import RecipientFile, SigningKeys
from ccari.recordings.listening import Listener
from ccari.recordings.remote import open_remote_spool
from ccari.recordings.shelf import Shelf
from ccari.recordings.spool import SharedSpool
from ccari.recordings.subject.giving import SubjectDesk, clear
from ccari.sounds.heard import heard_of
from ccari.sounds.soundboard import Soundboard, open_copies, open_soundboard
from ccari.store.database import Database
from ccari.store.fence import PostgresFence
from ccari.store.figures import CountedFigures
from ccari.store.journal_key import JournalKey
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.opened import Store, open_store
from ccari.store.policies import Book
from ccari.store.replaying import Replayer, SpoolingCallStore
from ccari.store.secrets import SecretStore
from ccari.supervisor import Supervisor
from ccari.web.front import Front
from ccari.web.health import Check
from ccari.web.rates import LookUp, Rates
from ccari.web.server import serve_http

_log = structlog.get_logger()

#: Until what has ended is begun again that is done beside the calls.
TASK_AGAIN_SECONDS = 1.0


@contextlib.asynccontextmanager
async def open_spool(settings: Settings) -> AsyncIterator[Spool]:
    """Where Asterisk leaves what it has recorded: a folder, or itself."""
    asterisk = settings.asterisk
    if asterisk.is_spool_remote:
        incoming = settings.data_dir / "incoming"
        async with open_remote_spool(asterisk.url, asterisk.username, asterisk.secret(), incoming) as spool:
            yield spool
        return
    if not os.access(asterisk.spool, os.R_OK | os.W_OK | os.X_OK):
        # no error: Asterisk makes the folder with its first recording
        _log.warning("spool_unreachable", folder=str(asterisk.spool), advice="check [asterisk] spool")
    yield SharedSpool(asterisk.spool)


def open_archive(settings: Settings, spool: Spool) -> FileArchive:
    """Where recordings go, in the format and for the readers of the settings."""
    recipients = RecipientFile(settings.keys_dir).recipients
    if settings.recordings.encryption == "none":
        recipients = tuple
    return FileArchive(spool, settings.recordings_dir, settings.recordings.format, recipients)


@contextlib.asynccontextmanager
async def open_courier(settings: Settings, store: Store, meter: Meter = UNMETERED) -> AsyncIterator[Courier]:
    """Who passes requests on to the controllers of the policy in force."""
    async with open_webhook() as webhook:
        yield Courier(
            store.forwards, Book(store.policies), WebhookSecrets(settings.keys_dir), webhook, meter=meter
        )


async def serve(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run the service until SIGTERM, SIGINT or ``stop``.

    Raises
    ------
    CcariError
        If it cannot begin, or must end: see :meth:`ccari.calls.link.Link.run`.
    """
    stop = stop or asyncio.Event()
    supervisor = Supervisor.from_environment()
    credentials = Credentials(
        settings.asterisk.url, settings.asterisk.username, settings.asterisk.secret(), settings.asterisk.app
    )
    metrics = Metrics()
    async with open_store(settings) as store, contextlib.AsyncExitStack() as closing:
        secrets, prompts, book = (
            await store.key_versions.vouch(SecretStore(settings.keys_dir)),
            open_soundboard(settings, open_copies(settings)),
            Book(store.policies),
        )
        await book.reload()
        _check(book, secrets, prompts)
        _check_keys(settings, book)
        waiting = LocalJournalFiles(settings.data_dir, JournalKey(settings.keys_dir).read)
        calls_kept, replayer = _with_local_journal(waiting, store, metrics)
        clear(_exports(settings))
        # somebody may have barred themselves while the database was away
        await replayer.begin()
        spool = await closing.enter_async_context(open_spool(settings))
        archive = open_archive(settings, spool)
        rack, board = Rack(), Board()

        def make_desk(ari: Ari, identity: Identity) -> Desk:
            return Desk(
                ari, settings.asterisk.name or identity.name, calls_kept, secrets, book, prompts, store.recordings, archive, rack, board,
                settings.recordings.channels, metrics,
            )  # fmt: skip

        admission = Admission(settings.calls.at_once, metrics)
        calls = Switchboard(admission, metrics)
        fence = PostgresFence(store.dsn)
        link = Link(credentials, fence, calls, make_desk)
        checks = {
            "asterisk": _is_set(link.connected), "database": _answers(store.database), "calls": _takes_calls(calls)
        }  # fmt: skip
        counter = Counter(_agi_name(settings), calls_kept, secrets, book, prompts, metrics)
        _read_metrics(metrics, settings, link, fence, calls, store.database)
        async with (
            # to its end after all the others: what they leave is sealed once more
            Sealer(store.seals, SigningKeys(settings.keys_dir), metrics).running(),
            serve_http(
                settings.http.listen,
                checks,
                _front(settings, store, calls_kept, book, secrets, prompts, rack, board, calls),
                _rates(settings),
                meter=metrics,
                exposition=metrics,
            ),
            _beside(replayer.run),
            _fastagi(settings, counter, metrics),
            _forwarding(settings, store, metrics),
            _notifying(settings, store, metrics),
            housekeeping(settings, store, metrics),
            _beside(admission.watch),
            # what it has under way at its end is done again by the next service
            _beside(
                functools.partial(Caretaker(spool, archive, store.recordings, metrics).run, link.connected)
            ),
            _beside(Lookout(metrics, CountedFigures(store.database), book, waiting.unsettled).run),
            # last: nobody is told that it is up before it is
            _beside(functools.partial(supervisor.tell, stop, link.connected)),
        ):
            _log.info("service_started", revision=book.revision)
            await _until(stop, link, calls, settings.calls.drain_seconds)
            _log.info("service_stopped")


def _with_local_journal(
    waiting: LocalJournalFiles, store: Store, meter: Meter
) -> tuple[SpoolingCallStore, Replayer]:
    kept = asyncio.Event()
    return SpoolingCallStore(store.database, waiting, kept), Replayer(waiting, store.calls, kept, meter)


def _read_metrics(
    metrics: Metrics,
    settings: Settings,
    link: Link,
    fence: PostgresFence,
    calls: Switchboard,
    database: Database,
) -> None:
    """What is read of the parts themselves whenever somebody scrapes."""

    def pool() -> dict[tuple[str, ...], float]:
        busy, idle, _ = database.connections
        return {("busy",): busy, ("idle",): idle}

    metrics.number(catalogue.ASTERISK_UP, link.connected.is_set)
    metrics.number(catalogue.ASTERISK_CONNECTIONS, lambda: link.connections)
    metrics.number(catalogue.FENCE_HELD, lambda: fence.is_held)
    metrics.number(catalogue.UNDER_WAY, lambda: len(calls.under_way))
    metrics.number(catalogue.CALLS_MOST, lambda: settings.calls.at_once)
    metrics.read(catalogue.POOL, pool)
    metrics.number(catalogue.POOL_MOST, lambda: database.connections[-1])


def _front(
    settings: Settings,
    store: Store,
    facts: FactStore,
    book: Book,
    secrets: SecretStore,
    prompts: Soundboard,
    rack: Rack,
    board: Board,
    calls: Switchboard,
) -> Front:
    return Front(
        bearers=store.tokens, book=book, facts=facts, records=store.records, suppressions=store.suppressions,
        registers=store.registers, contacts=store.contacts, consents=store.consents,
        lists=lambda policy: Lists(policy, secrets, store.suppressions, store.contacts, store.consents),
        policies=store.policies, requests=store.requests,
        journal=store.calls, shelf=Shelf(store.records, store.deletions, store.recordings, settings.recordings_dir),
        listening=Listener(store.recordings, settings.recordings_dir), holds=store.holds,
        evidence=Prover(store.seals, SigningKeys(settings.keys_dir), partial(heard_of, settings)), subjects=store.subjects,
        webhooks=store.webhooks, giving=SubjectDesk(
            store.subjects, store.policies, store.erasures, store.deletions, settings.recordings_dir, _exports(settings)
        ),
        forwards=store.forwards,
        repeats=store.repeats, secrets=secrets, prompts=prompts, cards=rack, live=board,
        accesses=store.accesses, overview=store.overview, placing=calls, voicing=calls,
    )  # fmt: skip


def _exports(settings: Settings) -> Path:
    """Where what is kept of a person lies while it is given out."""
    return settings.data_dir / "exports"


def _rates(settings: Settings) -> Rates:
    return Rates({LookUp.GATE: settings.http.gate_per_minute, LookUp.CHECK: settings.http.checks_per_minute})


def _agi_name(settings: Settings) -> str:
    """What FastAGI calls are filed under: another service on the same database must not end them."""
    return f"agi@{socket.gethostname()}:{settings.agi.listen.rpartition(':')[2]}"


@contextlib.asynccontextmanager
async def _fastagi(settings: Settings, counter: Counter, metrics: Metrics) -> AsyncIterator[None]:
    if settings.agi.listen == OFF:
        yield
        return
    async with serve_agi(settings.agi.listen, counter) as conversations:
        metrics.number(catalogue.AGI_SESSIONS, lambda: len(conversations))
        yield


@contextlib.asynccontextmanager
async def _forwarding(settings: Settings, store: Store, meter: Meter = UNMETERED) -> AsyncIterator[None]:
    """Pass requests on while the context lasts; what is under way at its end is sent again by the next service."""
    async with open_courier(settings, store, meter) as courier, _beside(courier.run):
        yield


@contextlib.asynccontextmanager
async def open_notifier(
    settings: Settings, store: Store, meter: Meter = UNMETERED
) -> AsyncIterator[Notifier]:
    """Who tells the webhooks of the settings."""
    async with open_webhook() as webhook:
        yield Notifier(store.webhooks, Book(store.policies), targets(settings), webhook, meter=meter)


def targets(settings: Settings) -> list[Target]:
    """The webhooks of the settings. Raises ConfigError if the secret of one is none."""
    made = []
    for each in settings.webhooks:
        target = Target(
            Endpoint(each.name, each.events, each.controllers), str(each.url), partial(webhook_secret, each)
        )
        target.secret()
        made.append(target)
    return made


def webhook_secret(section: WebhookSection) -> bytes:
    """Raises ConfigError if it is none, or its file is not there."""
    if section.secret is not None:
        secret = decoded(section.secret.get_secret_value())
        if secret is None:
            raise ConfigError(f"[[webhooks]] {section.name}: secret is none such as whsec_…")
        return secret
    if section.secret_file is None:
        raise AssertionError("a webhook has a secret, or a file with it")
    try:
        return read_secret(section.secret_file)
    except FileNotFoundError:
        raise ConfigError(f"[[webhooks]] {section.name}: there is no file {section.secret_file}") from None


@contextlib.asynccontextmanager
async def _notifying(settings: Settings, store: Store, meter: Meter = UNMETERED) -> AsyncIterator[None]:
    """Tell webhooks while the context lasts; what is under way at its end is sent again by the next service."""
    async with open_notifier(settings, store, meter) as notifier, _beside(notifier.run):
        yield


def housekeeping(
    settings: Settings, store: Store, meter: Meter = UNMETERED
) -> AbstractAsyncContextManager[None]:
    """Delete what is due while the context lasts; what is under way at its end is carried out by the next service."""
    return _beside(Housekeeper(store.deletions, settings.recordings_dir, meter=meter).run)


@contextlib.asynccontextmanager
async def _beside(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Have work done while the context lasts. At its end it is cancelled, and waited for."""
    working = asyncio.create_task(_though_it_fails(work))
    try:
        yield
    finally:
        working.cancel()
        await asyncio.wait([working])


async def _though_it_fails(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Begin the work again when it fails: no call is cut for a fault in what is done beside the calls, and none of it is
    left undone in silence. All of it is such as a service that was killed leaves, too.
    """
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - logged
            _log.exception("task_failed")
            await asyncio.sleep(TASK_AGAIN_SECONDS)
        else:
            return


async def _until(stop: asyncio.Event, link: Link, calls: Switchboard, drain_seconds: float) -> None:
    """Keep the link until told to stop; then let the calls end before the link goes. Told again, wait for no talk."""
    loop, hurry = asyncio.get_running_loop(), asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, lambda: hurry.set() if stop.is_set() else stop.set())
    running, stopping = asyncio.create_task(link.run()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await _wind_down(calls, drain_seconds, hurry, running)
        calls.detach("shutdown")
        await calls.drain()
        if running.done():
            running.result()
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.wait([running, stopping])
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)


async def _wind_down(
    calls: Switchboard, seconds: float, hurry: asyncio.Event, running: asyncio.Task[None]
) -> None:
    waits = [asyncio.create_task(calls.wind_down(seconds)), asyncio.create_task(hurry.wait())]
    await asyncio.wait([running, *waits], return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
    await asyncio.wait(waits)


def _check(book: Book, secrets: SecretStore, prompts: Soundboard) -> None:
    """Find out before the first callee does that a secret or a sound is missing, or a secret another one."""
    if book.policy is None:
        _log.warning("no_policy", advice="every call is blocked until: ccari policy apply FILE")
        return
    for controller in book.policy.controllers:
        secrets.check(controller.id)
        # a country's holidays take 0.1 s to load, which is too long in the middle of a call
        public_holidays(controller.country, datetime.now(UTC).year)
    for register in book.policy.registers:
        # one that was never loaded, or has lost its folder, counts as stale
        if secrets.has_register(register.id):
            secrets.register_keys(register.id)
    for campaign in book.policy.campaigns:
        prompts.scripts(book.policy.controller_of(campaign), campaign)


def _check_keys(settings: Settings, book: Book) -> None:
    """Of the files of keys: that nobody else can read them, and that none is missing which the service needs."""
    policy, folder = book.policy, settings.keys_dir
    check_folder(folder)
    if policy is None:
        return
    if policy.recorded and settings.recordings.encryption == "age":
        RecipientFile(folder).recipients()
    SigningKeys(folder).newest()
    JournalKey(folder).read()


def _is_set(event: asyncio.Event) -> Check:
    async def check() -> bool:
        return event.is_set()

    return check


def _takes_calls(calls: Switchboard) -> Check:
    async def check() -> bool:
        return calls.takes_calls

    return check


def _answers(database: Database) -> Check:
    async def check() -> bool:
        try:
            async with database.connection() as connection:
                return await connection.fetchval("SELECT true") is True
        except StoreError:
            return False

    return check
