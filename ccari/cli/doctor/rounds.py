"""Runs all checks at once: those of the database, those of Asterisk, and those that need neither."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ccari import config
from ccari.cli.doctor import (
    addresses,
    asterisk,
    configuration,
    database,
    disks,
    folders,
    keys,
    local_journal,
    policy,
    readiness,
    recordings,
    seals,
    sounds,
    telephones,
    time_stamps,
    times,
    webhooks,
)
from ccari.cli.doctor.findings import Finding, State, found_by, in_daemon_thread, refused, warning
from ccari.cli.doctor.readiness import BUILD, Need
from ccari.config import Settings
from ccari.errors import ConfigError
from ccari.policy.declaration import Policy
from ccari.store.fence import name_of
from ccari.store.opened import Store
from ccari.store.untouched import AnothersError

_CONFIGURATION = "see ccari.toml, and the environment's CCARI_…: README, step 3"
_USER = "run it as the service's user"


async def examine(path: Path | None) -> list[Finding]:
    """The findings of every check, in the order in which a service needs things. ``path``: as for :func:`ccari.config.load`."""
    try:
        settings = config.load(path)
        config.forget_secrets()
    except ConfigError as error:
        return [refused("configuration", error, _CONFIGURATION)]
    rounds = await asyncio.gather(
        _files("configuration", lambda: configuration.configuration(path, settings), _USER),
        _files("user", lambda: configuration.user(settings), _USER),
        _files("keys", lambda: keys.keys(settings), _USER),
        _files("webhooks", lambda: webhooks.webhooks(settings), "let ccari's user read the secret_file"),
        _files(
            time_stamps.CHECK, lambda: time_stamps.authority_of(settings), "check [time_stamps] in ccari.toml"
        ),
        _database_and_asterisk(settings),
        _files(
            "local journal",
            lambda: local_journal.local_journal(settings),
            "let ccari's user read and write data_dir",
        ),
        _files(
            "disk", lambda: disks.disks(settings), "check data_dir, [recordings] dir and [asterisk] spool"
        ),
        _files("spool", lambda: folders.spool(settings), "let ccari's user read and write it"),
        _files("recordings", lambda: recordings.recordings(settings), "let ccari's user write there"),
        _files("flac", lambda: recordings.flac(settings), "let ccari's user run it"),
        _files("ffmpeg", lambda: recordings.ffmpeg(settings), "let ccari's user run it"),
        _files("espeak-ng", recordings.espeak_ng, "let ccari's user run it"),
        found_by("fastagi", addresses.fastagi(settings), "check [agi] listen"),
        found_by("http", addresses.http(settings), "check [http] listen"),
    )
    return [finding for findings in rounds for finding in findings]


async def _files(check: str, look: Callable[[], Iterable[Finding]], advice: str) -> list[Finding]:
    return await found_by(check, in_daemon_thread(lambda: list(look())), advice)


@dataclass
class _Known:
    """What the database has told: the policy in force, if there is one, and the database's name; None: it has told nothing."""

    declared: list[Policy] = field(default_factory=list)
    database: str | None = None


async def _database_and_asterisk(settings: Settings) -> list[Finding]:
    """The checks of both; then, if Asterisk answers, who drives it, and what the campaigns of the policy in force need of it."""
    known = _Known()
    of_database, of_asterisk = await asyncio.gather(
        _database(settings, known),
        found_by("asterisk", asterisk.asterisk(settings), asterisk.ADVICE),
    )
    if of_asterisk[0].state is State.OK:
        look_at_app = asterisk.application(settings, known.database)
        of_asterisk += await found_by(asterisk.APP, look_at_app, asterisk.ADVICE)
        for in_force in known.declared:
            of_asterisk += await found_by("modules", asterisk.campaigns(settings, in_force), asterisk.ADVICE)
            if not settings.asterisk.is_off:
                look = telephones.telephones(settings, in_force)
                of_asterisk += await found_by(telephones.CHECK, look, telephones.ADVICE, bounded=False)
    return [*of_database, *of_asterisk]


async def _database(settings: Settings, known: _Known) -> list[Finding]:
    """The checks of the database; if it goes away meanwhile, the findings until then, and the fault. Fills in what is ``known``."""
    found: list[Finding] = []
    mend = database.mend(settings)

    async def look() -> list[Finding]:
        try:
            async with database.opened(settings) as store:
                found.extend(await found_by("database", database.database(store, settings), mend))
                found.extend(await found_by("schema", database.migrations(store), mend))
                found.extend(await _policy(settings, store, known.declared))
                known.database = await name_of(store.database)
        except AnothersError as error:
            return [database.of_another_user(error)]
        return []

    # not bounded here: starting an embedded server and each query have their own time-outs
    lost = await found_by("database", look(), mend, bounded=False)
    if lost and not any(each.check == "policy" for each in found):
        lost.append(
            warning(
                "policy", "not known, and neither is what its campaigns lack", "put the database right first"
            )
        )
    return [*found, *lost]


async def _policy(settings: Settings, store: Store, declared: list[Policy]) -> list[Finding]:
    advice = "ccari db migrate"

    async def look() -> list[Finding]:
        applied = await policy.in_force(store)
        found = list(policy.policy(applied))
        declared.extend([applied.policy()] if applied else [])
        return found

    found = await found_by("policy", look(), advice)
    for each in declared:
        found += await _needs(settings, store, each)
    return found


async def _needs(settings: Settings, store: Store, declared: Policy) -> list[Finding]:
    async def play() -> list[Finding]:
        sources = await store.contacts.sources()
        return await in_daemon_thread(lambda: list(sounds.sounds(settings, declared, sources)))

    async def secrets() -> list[Finding]:
        kept = await readiness.known_secrets(settings, store)
        missing = await store.key_versions.missing(kept)
        return await in_daemon_thread(lambda: _findings(readiness.secrets(settings, kept, declared, missing)))

    async def registers() -> list[Finding]:
        kept = await readiness.known_secrets(settings, store)
        return _findings(await readiness.registers(settings, store, declared, kept))

    async def needs(look: Awaitable[Iterable[Need]]) -> list[Finding]:
        return _findings(await look)

    return [
        *await _files("time zone", lambda: times.zones(declared), "install tzdata"),
        *await found_by("policy", policy.undeclared(store, declared), "ccari db migrate"),
        *await found_by("controllers", policy.held_again(store), "ccari db migrate"),
        *await found_by("webhooks", webhooks.given_up(store), "ccari db migrate"),
        *await found_by("secrets", secrets(), _USER),
        *await _files("recipients", lambda: recordings.unencrypted(settings, declared), _USER),
        *await _files("evidence key", lambda: _findings(readiness.keys(settings, declared)), _USER),
        *await found_by(seals.CHECK, seals.missing(settings, store), "ccari db migrate"),
        *await found_by(time_stamps.CHECK, time_stamps.late(settings, store), "ccari db migrate"),
        *await _files("earlier evidence", lambda: keys.earlier_evidence(settings), _USER),
        *await found_by("sounds", play(), BUILD),
        *await found_by("registers", registers(), "ccari registers list"),
        *await found_by("consents", needs(readiness.consents(store, declared)), "ccari consents import FILE"),
    ]


def _findings(needs: Iterable[Need]) -> list[Finding]:
    return [each.finding for each in needs]
