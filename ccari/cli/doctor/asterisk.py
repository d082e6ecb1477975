"""Checks Asterisk over ARI. It opens no connection for events: that would take the calls away from a running service."""

import pwd
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from ccari.calls.dialplan import MACHINE_CONTEXT
from ccari.calls.identity import APART, DRIVEN_BY, Driver, driver, identify, is_active
from ccari.calls.modules import MODULES, declared_modules, in_words, lacking
from ccari.calls.transport import Credentials
from ccari.cli.doctor.addresses import ccari_answers
from ccari.cli.doctor.ari import asked_of, session_with
from ccari.cli.doctor.database import clock
from ccari.cli.doctor.dialplan import CHECK, dialplan
from ccari.cli.doctor.findings import Finding, fault, found_by, in_daemon_thread, ok, warning
from ccari.cli.doctor.folders import group_name
from ccari.cli.doctor.reader import ENTER, WRITE, Reader
from ccari.config import Settings
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy

APP = "asterisk app"
ADVICE = "check that Asterisk is running and not overloaded: asterisk -rx 'core show uptime'"
INFO = "res_pjsip_dtmf_info.so"
#: In the version of Debian's Asterisk, whose patch drops voices (docs/recordings.md, "A missing voice").
_DEBIAN = "dfsg"
#: An agent who is called through the dialplan, and so perhaps a queue.
_DIALPLAN = "Local/"
#: The resolution of dates in HTTP.
_DATE = timedelta(seconds=1)
#: A resource that ARI does not have. Asterisk answers a DELETE of it with 404 for a user who may write, and 403 for a read-only one.
_NOTHING = "ccari-doctor"


async def asterisk(settings: Settings) -> list[Finding]:
    """Findings about Asterisk itself. Raises CcariError if it cannot be reached, or refuses."""
    if settings.asterisk.is_off:
        return [ok("asterisk", "turned off by [asterisk] url: no call is placed, taken or recorded over ARI")]
    async with session_with(settings) as (session, asked):
        identity = await identify(session, asked)
        found = [
            ok("asterisk", f"{identity.version} at {asked.url}, which accepts the ARI user {asked.username}")
        ]
        found += await found_by("asterisk modules", _modules(session, asked), ADVICE)
        found += await found_by("asterisk write", _write(session, asked), ADVICE)
        spool = settings.asterisk.spool
        if not settings.asterisk.is_spool_remote:
            found += await found_by("asterisk spool", _spool(session, asked, spool), ADVICE)
        found += await found_by("clock Asterisk", _clock(session, asked), ADVICE)
        found += await found_by(CHECK, dialplan(session, asked), ADVICE)
    return found


async def campaigns(settings: Settings, policy: Policy) -> list[Finding]:
    """What only some campaigns need of Asterisk, or what harms only them. Raises CcariError if it cannot be reached."""
    particular = [each for each in policy.campaigns if declared_modules(each)]
    behind_dialplans = [each.id for each in policy.campaigns if (each.agent or "").startswith(_DIALPLAN)]
    if not (particular or behind_dialplans) or settings.asterisk.is_off:
        return []
    async with session_with(settings) as (session, asked):
        running = await _running(session, asked)
        version = (await identify(session, asked)).version
    return [
        *(_campaign(each, running) for each in particular),
        *_machine_context([each.id for each in particular if each.answering_machine is not None]),
        *_voices(version, behind_dialplans),
    ]


async def _running(session: aiohttp.ClientSession, credentials: Credentials) -> set[str]:
    async with asked_of(session, credentials, "asterisk/modules") as reply:
        reply.raise_for_status()
        listed: list[dict[str, Any]] = orjson.loads(await reply.read())
    return {each["name"] for each in listed if each["status"] == "Running"}


async def _modules(session: aiohttp.ClientSession, credentials: Credentials) -> list[Finding]:
    running = await _running(session, credentials)
    missing = [name for name in MODULES if name not in running]
    if not missing:
        return [ok("asterisk modules", f"all {len(MODULES)} that calls need are running"), *_keys(running)]
    return [fault("asterisk modules", f"not running: {', '.join(missing)}", _load(missing))]


def _keys(running: set[str]) -> Iterator[Finding]:
    """Without this module Asterisk ignores keys that a telephone sends by SIP INFO: rights pressed there are lost."""
    if "chan_pjsip.so" in running and INFO not in running:
        yield warning("asterisk keys", f"not running: {INFO}, so that keys sent by SIP INFO, as by telephones in browsers, are not heard",
                      _load([INFO]))  # fmt: skip


def _load(missing: list[str]) -> str:
    lines = ", ".join(f"`load = {each}`" for each in missing)
    return f"write {lines} in modules.conf, and for now: " + "; ".join(
        f"asterisk -rx 'module load {each}'" for each in missing
    )


def _campaign(campaign: Campaign, running: set[str]) -> Finding:
    check, missing = f"modules {campaign.id}", lacking(campaign, running)
    if not missing:
        return ok(check, f"those that its {' and '.join(declared_modules(campaign))} need are running")
    return fault(check, f"not running: {in_words(missing)}: calls over Stasis and HTTP that need them are refused",
                 _load([each for names in missing.values() for each in names]))  # fmt: skip


def _machine_context(ids: list[str]) -> Iterator[Finding]:
    if ids:
        yield warning("dialplan", f"ARI cannot show whether Asterisk has the context {MACHINE_CONTEXT}, without which calls of "
                                f"{', '.join(ids)} are cut off when they are answered",
                    f"asterisk -rx 'dialplan show {MACHINE_CONTEXT}'; if there is none, #include extensions_ccari.conf in "
                    "extensions.conf, then: asterisk -rx 'dialplan reload'")  # fmt: skip


def _voices(version: str, ids: list[str]) -> Iterator[Finding]:
    if ids and _DEBIAN in version:
        yield warning("asterisk voices", f"Asterisk {version} is Debian's: if a queue behind the agent of {', '.join(ids)} answers before its own agents do, "
                                         "their voices are missing from many recordings, and nothing reports it",
                      "check that the dialplan answers nobody before Queue (docs/recordings.md, A missing voice)")  # fmt: skip


async def _write(session: aiohttp.ClientSession, credentials: Credentials) -> list[Finding]:
    """Whether the ARI user may write: Asterisk refuses a read-only user before it checks whether the resource exists."""
    async with asked_of(session, credentials, _NOTHING, "DELETE") as reply:
        status = reply.status
    if status == HTTPStatus.FORBIDDEN:
        user = credentials.username
        return [fault("asterisk write", f"the ARI user {user} is read-only",
                      f"remove read_only from [{user}] in ari.conf, then: asterisk -rx 'module reload res_ari.so'")]  # fmt: skip
    if status == HTTPStatus.NOT_FOUND:
        return [ok("asterisk write", f"the ARI user {credentials.username} is not read-only")]
    return [
        warning(
            "asterisk write", f"cannot be checked: Asterisk answered {status}", "see read_only in ari.conf"
        )
    ]


async def _spool(session: aiohttp.ClientSession, credentials: Credentials, ours: Path) -> list[Finding]:
    async with asked_of(session, credentials, "asterisk/variable", variable="ASTSPOOLDIR") as reply:
        value = orjson.loads(await reply.read()).get("value") if reply.status == HTTPStatus.OK else None
    if not value:
        return [warning("asterisk spool", "Asterisk did not say where its spool is",
                        "see astspooldir in: asterisk -rx 'core show settings'")]  # fmt: skip
    theirs = Path(value) / "recording"
    if theirs == ours or await in_daemon_thread(lambda: theirs.resolve() == ours.resolve()):
        user = await _user(session, credentials)
        return [await in_daemon_thread(lambda: _recorded_into(theirs, user))]
    return [warning("asterisk spool", f"Asterisk records into {theirs}, but [asterisk] spool is {ours}",
                    f'set [asterisk] spool = "{theirs}", unless that folder is mounted here under the other name')]  # fmt: skip


async def _user(session: aiohttp.ClientSession, credentials: Credentials) -> str:
    """The user that Asterisk has made itself (``asterisk -U``, ``runuser``); empty if it was started as the one that it runs as."""
    async with asked_of(session, credentials, "asterisk/info", only="config") as reply:
        told: dict[str, Any] = orjson.loads(await reply.read()) if reply.status == HTTPStatus.OK else {}
    return str(told.get("config", {}).get("setid", {}).get("user", ""))


def _recorded_into(spool: Path, user: str) -> Finding:
    """Only a warning if that user cannot write there: in a container, another one may have that name."""
    check, found = "asterisk spool", f"Asterisk records into {spool}, as [asterisk] spool says"
    try:
        who = pwd.getpwnam(user)
    except KeyError:
        return ok(check, found)
    reader = Reader.of(who.pw_uid)
    if not spool.is_dir() or (reader.may(spool, WRITE) and reader.may(spool, ENTER)):
        return ok(check, found)
    return warning(check, f"Asterisk runs as {user}, who cannot write to {spool}: nothing is recorded",
                   f"install -d -o {user} -g {group_name(who.pw_gid)} -m 2770 {shlex.quote(str(spool))}, and add ccari's user to that group")  # fmt: skip


async def application(settings: Settings, database: str | None) -> list[Finding]:
    """Whether ``ccari serve`` would be refused because of another service, or take Asterisk over from one that left no word of itself.
    Raises AsteriskError if Asterisk cannot be asked.

    ``database``: the name of the settings' database, empty if its server does not say it; None: the database is away.
    """
    if settings.asterisk.is_off:
        return []
    async with session_with(settings) as (session, asked):
        who = await driver(session, asked)
        if who is not None and (database is None or not await is_active(session, asked, who.app)):
            # it is gone, or its database can be compared with none
            who = None
        if who is not None and who.database != database:
            return [_stranger(who, database or "not known, as its PostgreSQL does not say it")]
        # its application may have had another name than the settings have now: the lock is on the whole Asterisk
        app = asked.app if who is None else who.app
        if who is None and not await is_active(session, asked, app):
            return [ok(APP, f"no service is connected as {app}")]
    if await ccari_answers(settings):
        return [ok(APP, f"a service is connected as {app}, and ccari runs here")]
    if who is not None:
        return [warning(APP, f"a service with this database is connected as {app}, and no ccari answers on [http] listen: "
                             "ccari serve does not start beside it",
                        "stop that service before ccari serve, unless it is this one, with another [http] listen")]  # fmt: skip
    return [warning(APP, f"a service is connected as {app}, and no ccari answers on [http] listen: if it has another database, "
                         "ccari serve does not start beside it; if it is no ccari, it loses the application",
                    "stop that service before ccari serve, or give this one an Asterisk of its own")]  # fmt: skip


def _stranger(who: Driver, database: str) -> Finding:
    return fault(APP, f"{who.as_stranger}, so that ccari serve does not start: {DRIVEN_BY} has the database {who.database}, "
                      f"and that of [database] is {database}", APART)  # fmt: skip


async def _clock(session: aiohttp.ClientSession, credentials: Credentials) -> list[Finding]:
    async with asked_of(session, credentials, "asterisk/ping") as reply:
        date = reply.headers.get("Date")
    if date is None:
        return [
            warning(
                "clock Asterisk",
                "Asterisk did not say what time it has",
                "check whether [asterisk] url is a proxy",
            )
        ]
    return [clock("Asterisk", parsedate_to_datetime(date) - datetime.now(UTC), _DATE)]
