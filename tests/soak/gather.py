"""Gathers the account of a run: from world's wire and ears, the database, the folders, the logs, and Asterisk itself."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from ccari.keyring.secrets import SecretStore
from ccari.policy.numbers import Number
from ccari.store.database import SCHEMA
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from tests.lab import audio, wire
from tests.soak import hearing
from tests.soak.account import (
    Account,
    Bar,
    CallRow,
    Entry,
    Heard,
    Invite,
    Kept,
    Line,
    Press,
    RecordingRow,
    RequestRow,
    Sounding,
)
from tests.soak.campaigns import CONTROLLERS
from tests.soak.house import House
from tests.soak.supervisor import Supervisor
from tests.soak.watch import Watch

#: This long after a bar was entered, a commit is a later one of the same row.
_SAME_COMMIT_SECONDS = 60.0
_ANSWER_SECONDS = 10.0
#: A channel that Asterisk itself named: after its time of creation, to the second.
_CHANNEL = re.compile(r"world-(\d+)\.\d+")
_PRESS = re.compile(r"LAB-KEY \d*\|([0-9a-f-]*)\|([^|]+)\|([0-9*#]+)\|([\d.]+)\|([\d.]+)$", re.MULTILINE)
_OUTCOME = re.compile(r"CCARI-OUTCOME ([0-9a-f-]{36})\|([0-9a-f-]{36})\|")


async def gather(
    house: House, watch: Watch, supervisor: Supervisor, numbers: Iterable[str], *, calm: bool
) -> Account:
    """Everything known about the run up to now. ``calm``: everything is over, so audio is analysed as well."""
    lab = house.lab
    tried, raw = await _calls_tried(house), watch.raw_files()
    kept = await asyncio.to_thread(lambda: tuple(_kept(house, listen=calm)))
    # last: whatever came meanwhile already has its row, if the row must come first
    store = await _stored(house.database.dsn)
    wanted = sorted({*numbers, *(f"+{digits}" for _, digits, _ in tried)})
    return Account(
        calm=calm,
        windows=watch.windows,
        exits=tuple(supervisor.exits),
        signs=tuple(watch.signs),
        presses=tuple(_presses(lab.world.log.read_text("utf-8", "replace"))),
        invites=tuple(Invite(*each) for each in tried),
        **store,
        raw=raw,
        kept=kept,
        heard=await asyncio.to_thread(lambda: tuple(_heard(lab.world.heard))) if calm else (),
        lines=tuple(_lines(house.logs)),
        secrets=tuple(_secrets(house)),
        left=(*await _left(house, [each.id for each in store["recordings"]]), *_waiting(house))
        if calm
        else (),
        at_work=_at_work(house.data, house.recordings) if calm else (),
        digests=_digests(house.keys, wanted),
        of_agent_call=dict(_OUTCOME.findall(lab.pbx.log.read_text("utf-8", "replace"))),
    )


async def _calls_tried(house: House) -> list[tuple[float, str, str]]:
    """Each call that reached world: its time, the digits called, and the caller's digits."""
    world = house.lab.world
    # Asterisk flushes a packet log only when it is told to begin another
    await world.cli(f"pjsip set logger pcap {world._new_pcap()}")
    return wire.calls_tried(each for pcap in world._pcaps for each in wire.arrivals(pcap, world.sip_port))


async def _stored(dsn: str) -> dict[str, Any]:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            calls = await connection.fetch("SELECT * FROM calls ORDER BY opened_at")
            recordings = await connection.fetch("SELECT * FROM recordings ORDER BY tagged_at")
            requests = await connection.fetch("SELECT * FROM rights_requests ORDER BY registered_at")
            bars = await connection.fetch(
                "SELECT *, pg_xact_commit_timestamp(xmin) AS committed FROM suppressions"
            )
    finally:
        await connection.close()
    async with open_database(dsn) as database:
        store = Store(dsn, database)
        calls_shown = tuple([await _call(store, each) for each in calls])
        requests_shown = tuple([await _request(store, each) for each in requests])
        said = {each.id: each.fault for each in calls_shown} | {
            each.reference: each.fault for each in requests_shown
        }
        return {
            "calls": calls_shown,
            "recordings": tuple(_recording(each) for each in recordings),
            "requests": requests_shown,
            "accused": tuple([each async for each in _accused(store, said)]),
            "bars": tuple(_bar(each) for each in bars),
        }


async def _accused(store: Store, said: Mapping[str, str | None]) -> AsyncIterator[str]:
    """What is taken for tampering. ``said``: the faults of calls and requests that are known already."""
    async for kind, of, fault in store.seals.journals():
        if fault is not None and fault != said.get(of):
            yield f"{kind} {of}: {fault}"
    _, named = await store.accesses.contradictions()
    for each in named:
        yield each


async def _call(store: Store, row: asyncpg.Record) -> CallRow:
    shown = await store.records.show_call(row["id"])
    journal = tuple(
        Entry(each["seq"], each["at"].timestamp(), each["event"], each["fields"] or {})
        for each in shown.events
    )
    return CallRow(
        id=str(row["id"]), controller=row["controller"] or "", campaign=row["campaign"], direction=row["direction"],
        digest=bytes(row["digest"] or b""), opened_at=row["opened_at"].timestamp(), dialled_at=_at(row["dialled_at"]),
        heard_at=_at(row["heard_at"]), ended_at=_at(row["ended_at"]), outcome=row["outcome"] or "",
        reason=row["reason"] or "", journal=journal, fault=shown.fault,
    )  # fmt: skip


def _recording(row: asyncpg.Record) -> RecordingRow:
    return RecordingRow(
        str(row["id"]), str(row["call_id"]), row["controller"], row["state"], row["mode"],
        row["tagged_at"].timestamp(), _at(row["started_at"]), row["duration_ms"], row["file"],
    )  # fmt: skip


async def _request(store: Store, row: asyncpg.Record) -> RequestRow:
    shown = await store.requests.show(row["reference"])
    return RequestRow(
        row["reference"], str(row["call_id"]), row["controller"], row["right"], row["received_at"].timestamp(),
        row["registered_at"].timestamp(), shown.fault,
    )  # fmt: skip


def _bar(row: asyncpg.Record) -> Bar:
    entered, committed = row["entered_at"].timestamp(), _at(row["committed"])
    if committed is None or committed > entered + _SAME_COMMIT_SECONDS:
        committed = entered + _SAME_COMMIT_SECONDS
    whose = str(row["call_id"]) if row["call_id"] else None
    return Bar(
        row["controller"], bytes(row["digest"]), row["campaign"], row["reason"], committed, call_id=whose, entered_at=entered,
    )  # fmt: skip


def _at(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _digests(keys: Path, numbers: Iterable[str]) -> dict[tuple[str, str], frozenset[bytes]]:
    secrets = SecretStore(keys)
    return {
        (controller, number.removeprefix("+")): frozenset(secrets.digests(controller, Number(number)).all)
        for number in numbers
        for controller in CONTROLLERS
    }


def _kept(house: House, *, listen: bool) -> Iterator[Kept]:
    """Everything except sidecars: audio, or what was meant to be audio."""
    identity = house.keys / "recordings.identity"
    for file in sorted(house.recordings.glob("*/*/*")):
        if file.suffix != ".json" and ".work" not in file.parts:
            tones: tuple[Sounding, ...] = ()
            if listen:
                sound = audio.recorded(file, identity)
                tones = hearing.tones(sound.samples, sound.rate)
            yield Kept(file.name.split(".", 1)[0], str(file.relative_to(house.recordings)), tones)


def _heard(folder: Path) -> Iterator[Heard]:
    """``DIGITS-UNIQUEID.wav``: the time of a called channel, or the id of a calling one."""
    for file in sorted(folder.glob("[0-9]*.wav")):
        digits, _, unique = file.stem.partition("-")
        channel = _CHANNEL.fullmatch(unique)
        began = float(channel[1]) if channel else file.stat().st_mtime
        yield Heard(digits, began, hearing.heard(file), "" if channel else unique, unique)


def _presses(log: str) -> Iterator[Press]:
    for agent_call, channel, keys, began, ended in _PRESS.findall(log):
        yield Press(float(began), float(ended), channel, keys, agent_call)


def _lines(files: Iterable[Path]) -> Iterator[Line]:
    for file in files:
        if file.exists():
            for count, text in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
                yield Line(f"{file.name}:{count}", text, _told(text))


def _told(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        told = json.loads(text)
    except ValueError:
        # it was killed in the middle of the line
        return {}
    return told if isinstance(told, dict) else {}


def _secrets(house: House) -> Iterator[str]:
    yield house.lab.pbx.ari_password
    for file in house.keys.rglob("*"):
        if file.is_file() and file.suffix in {".key", ".identity"}:
            yield from (line for line in file.read_text("utf-8", "replace").split() if len(line) >= 32)


def _at_work(data: Path, recordings: Path) -> tuple[str, ...]:
    return tuple(
        str(each.relative_to(data))
        for folder in (data / "encoding", recordings / ".work")
        for each in folder.rglob("*")
        if each.is_file()
    )


async def _left(house: House, recordings: Iterable[str]) -> tuple[str, ...]:
    """Channels, bridges and running recordings; the last can only be asked for by name."""
    url, found = f"{house.lab.pbx.ari_url}/ari", []
    limit = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(headers=house.lab.pbx.ari_headers, timeout=limit) as session:
        for what in ("channels", "bridges"):
            async with session.get(f"{url}/{what}") as reply:
                found += [f"{what[:-1]} {each['id']}" for each in await reply.json()]
        for name in recordings:
            async with session.get(f"{url}/recordings/live/{name}") as reply:
                if reply.status == 200:
                    found.append(f"live recording {name}")
    return tuple(found)


def _waiting(house: House) -> tuple[str, ...]:
    """Rights that the service has kept on its own disk while the database was down, without those that a crash cut off."""
    found = house.data.glob("local-journal/*/*.right")
    return tuple(str(each.relative_to(house.data)) for each in found)


async def is_quiet(house: House) -> bool:
    """Whether Asterisk holds nothing, nothing waits to be registered, each row is closed, and nothing is recorded."""
    if await _left(house, ()) or _waiting(house):
        return False
    connection = await asyncpg.connect(house.database.dsn, server_settings={"search_path": SCHEMA})
    try:
        under_way = await connection.fetchval(
            """SELECT (SELECT count(*) FROM calls WHERE ended_at IS NULL)
                    + (SELECT count(*) FROM recordings WHERE state IN ('tagged', 'recording', 'finished'))"""
        )
    finally:
        await connection.close()
    return bool(under_way == 0)
