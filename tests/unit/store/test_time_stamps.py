"""Seals are time-stamped by an outside authority, by one node, as often as is set; none of its failures reaches a call."""

import asyncio
import io
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web
from pydantic import HttpUrl

from ccari import log
from ccari.app.timestamping import open_stamper
from ccari.config import Settings, TimeStampsSection
from ccari.errors import EvidenceError
from ccari.peers import client
from ccari.policy import seal
from ccari.policy.rights import Level, Right
from ccari.policy.seal import Statement
from ccari.ports.requests import Clock, Handling
from ccari.recordings.evidence import stamper as stampers
from ccari.recordings.evidence.authority import MOST_BYTES, authority
from ccari.recordings.evidence.checking import Found, check
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.evidence.sealer import Sealer
from ccari.recordings.evidence.stamper import Known, Stamper
from ccari.recordings.evidence.verifying import Verdict, verify
from ccari.store import seals
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.seals import statement as statement_of
from tests.integration.service import START_SECONDS, Service
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.tsa import Desk, SigningAuthority, open_desk
from tests.unit.store import made
from tests.unit.store.commands import on
from tests.unit.store.test_key_commands import without_database
from tests.unit.store.test_seals import closed

EVERY = timedelta(hours=1)
LOGGED_SECONDS = 20.0
HANDLING = Handling("cli:anna", Clock(made.NOW, {"acme": "PL"}), "done")


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    kept = SigningKeys(tmp_path / "keys")
    kept.create()
    return kept


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> SigningAuthority:
    return SigningAuthority(tmp_path_factory.mktemp("court") / "tsa")


@pytest_asyncio.fixture
async def desk(court: SigningAuthority) -> AsyncIterator[Desk]:
    async with open_desk(court) as opened:
        yield opened


@pytest_asyncio.fixture
async def stamper(store: Store, desk: Desk) -> AsyncIterator[Stamper]:
    async with client() as session:
        yield Stamper(
            store.time_stamps, lambda: Known(authority(desk.authority.root)), session, desk.url, EVERY
        )


async def sealed(store: Store, keys: SigningKeys) -> str:
    """The id of a call that is over and sealed, alone."""
    call = await closed(store)
    assert await Sealer(store.seals, keys).seal() == 1
    return str(call.id)


async def proven(store: Store, keys: SigningKeys, which: str, court: SigningAuthority) -> Verdict:
    prover = Prover(store.seals, keys, lambda _policy, _account: [])
    content, _ = prover.pack(await prover.sealed(which))
    return verify(content, keys.all(), authority=authority(court.root))


async def checked(store: Store, keys: SigningKeys, court: SigningAuthority) -> Found:
    return await check(store.seals, keys.all(), authority=authority(court.root))


async def test_calls_under_one_time_stamp_are_not_proven(
    store: Store, keys: SigningKeys, stamper: Stamper, court: SigningAuthority
) -> None:
    calls = [await sealed(store, keys) for _ in range(3)]
    before = datetime.now(UTC) - timedelta(seconds=2)
    stamped = await stamper.stamp()
    assert stamped is not None
    assert before <= stamped.at <= datetime.now(UTC)
    for call in calls:
        verdict = await proven(store, keys, call, court)
        assert (verdict.stamped_at, verdict.authorities) == ((stamped.at,), (stamped.by,))
    after = await sealed(store, keys)
    assert (await proven(store, keys, after, court)).stamped_at == (None,)
    found = await checked(store, keys, court)
    assert (found.time_stamps, found.stamped, found.unchecked) == (1, stamped, 0)


async def test_a_history_that_was_written_anew_with_the_key_passes_for_the_old_one(
    store: Store, keys: SigningKeys, stamper: Stamper, court: SigningAuthority, database: Database
) -> None:
    """With old seals and without their time stamps; then the authority is asked for one, once."""
    await sealed(store, keys)
    await stamper.stamp()
    (first,) = await database.rows("SELECT sealed_at FROM seals")
    key, before = keys.newest(), statement_of((await database.rows("SELECT * FROM seals"))[0])
    lately = (await checked(store, keys, court)).waited
    assert lately is not None
    assert lately[0] == first["sealed_at"]
    for at in (datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 1, 10, tzinfo=UTC)):
        call = await closed(store)
        leaf = (await store.seals.of_call(call.id)).journal[-1]
        leaves = [seal.Leaf(seal.Kind.CALL, str(call.id), leaf.seq, leaf.link)]
        before = seal.statement(leaves, before, key.fingerprint, at)
        (row,) = await database.rows(
            "INSERT INTO seals (sealed_at, leaves, root, before, key, signature) VALUES ($1, 1, $2, $3, $4, $5) RETURNING id",
            at, before.root, before.before, before.key, key.sign(before.canonical),
        )  # fmt: skip
        await database.rows(
            "INSERT INTO sealed (seal, leaf, kind, id, events, link) VALUES ($1, 0, 'call', $2, $3, $4)",
            row["id"], str(call.id), leaf.seq, leaf.link,
        )  # fmt: skip
    await sealed(store, keys)
    stamped = await stamper.stamp()
    assert stamped is not None
    found = await checked(store, keys, court)
    assert (found.seals, found.time_stamps) == (4, 2)
    assert found.waited == (datetime(2026, 3, 1, 9, tzinfo=UTC), stamped.at)


async def test_each_seal_of_a_journal_has_another_moment_than_its_first_time_stamp(
    store: Store, keys: SigningKeys, stamper: Stamper, court: SigningAuthority, database: Database
) -> None:
    """A later one would not prove that the journal was there at the time."""
    reference = await store.requests.add("acme", made.exercise(Right.ACCESS), made.digests())
    await Sealer(store.seals, keys).seal()
    first = await stamper.stamp()
    await store.requests.verify(reference, Level.L2, HANDLING)
    await Sealer(store.seals, keys).seal()
    await sealed(store, keys)
    second = await stamper.stamp()
    assert first is not None
    assert second is not None
    # OpenSSL's clock counts only seconds: by the seals, too, the first is by itself, and the second under the one after
    # it
    assert [len(each.statements) for each in (await store.seals.of_request(reference)).time_stamps] == [1, 2]
    assert (await proven(store, keys, reference, court)).stamped_at == (first.at, second.at)
    assert await database.rows("SELECT count(*) AS stamps FROM time_stamps") == [{"stamps": 2}]


async def test_calls_wait_while_the_seals_of_weeks_without_an_authority_are_read(
    store: Store, keys: SigningKeys, stamper: Stamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await sealed(store, keys)
    for _ in range(4):
        await sealed(store, keys)
    await stamper.stamp()
    turns, read = 0, list[int]()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def statement(row: Mapping[str, Any]) -> Statement:
        read.append(turns)
        return statement_of(row)

    monkeypatch.setattr(seals, "statement", statement)
    monkeypatch.setattr(seals, "STREAM_ROWS", 2)
    running = asyncio.create_task(others())
    try:
        (stamp,) = (await store.seals.of_call(UUID(call))).time_stamps
    finally:
        running.cancel()
    assert (len(stamp.statements), seal.follow(stamp.statements)) == (5, True)
    assert max(Counter(read).values()) <= 2


async def test_a_pack_holds_the_seals_of_years_before_an_authority_was_set(
    store: Store,
    keys: SigningKeys,
    stamper: Stamper,
    court: SigningAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Too many to be read by whoever gets it."""
    monkeypatch.setattr(seals, "MOST_BETWEEN", 2)
    calls = [await sealed(store, keys) for _ in range(3)]
    stamped = await stamper.stamp()
    assert stamped is not None
    verdicts = [await proven(store, keys, each, court) for each in calls]
    assert [each.stamped_at for each in verdicts] == [(None,), (stamped.at,), (stamped.at,)]


async def test_a_seal_is_stamped_twice_or_more_often_than_is_set(
    store: Store, keys: SigningKeys, stamper: Stamper, desk: Desk
) -> None:
    assert await stamper.stamp(EVERY) is None
    await sealed(store, keys)
    assert await stamper.stamp(EVERY) is not None
    assert await stamper.stamp() is None
    await sealed(store, keys)
    assert await stamper.stamp(EVERY) is None
    assert len(desk.asked) == 1
    assert await stamper.stamp(timedelta(0)) is not None


async def test_a_clock_that_ran_ahead_for_a_while_ends_the_time_stamps(
    store: Store, keys: SigningKeys, stamper: Stamper, database: Database
) -> None:
    """Until the day to which it was set wrongly, a year later, and without a word from the doctor."""
    await sealed(store, keys)
    await stamper.stamp()
    await database.rows("ALTER TABLE time_stamps DISABLE TRIGGER USER")
    await database.rows("UPDATE time_stamps SET stamped_at = now() + interval '1 year'")
    await sealed(store, keys)
    assert await store.time_stamps.due(2 * EVERY) is not None
    assert await stamper.stamp(EVERY) is not None
    await sealed(store, keys)
    assert await stamper.stamp(EVERY) is None


async def test_two_nodes_ask_for_one_time_stamp(
    store: Store, keys: SigningKeys, stamper: Stamper, desk: Desk
) -> None:
    await sealed(store, keys)
    done = await asyncio.gather(*(stamper.stamp(EVERY) for _ in range(4)))
    assert [each is not None for each in done].count(True) == 1
    assert len(desk.asked) == 1


async def test_a_time_stamp_can_be_changed_or_removed(
    store: Store, keys: SigningKeys, stamper: Stamper, database: Database
) -> None:
    await sealed(store, keys)
    await stamper.stamp()
    for change in ("UPDATE time_stamps SET at = now()", "DELETE FROM time_stamps", "TRUNCATE time_stamps"):
        async with database.outside_pool() as connection:
            with pytest.raises(asyncpg.RaiseError, match="time_stamps is append-only"):
                await connection.execute(change)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("SET at = at - interval '1 hour'", "is of another moment than is stored with it"),
        ("SET response = '\\x30'", "it is no answer of a time-stamping authority"),
    ],
)
async def test_a_time_stamp_that_was_changed_behind_our_back_counts(
    store: Store, keys: SigningKeys, stamper: Stamper, court: SigningAuthority, database: Database, change: str, fault: str
) -> None:  # fmt: skip
    await sealed(store, keys)
    await stamper.stamp()
    await database.rows("ALTER TABLE time_stamps DISABLE TRIGGER USER")
    await database.rows(f"UPDATE time_stamps {change}")
    with pytest.raises(EvidenceError, match=f"the time stamp of the seal of .* UTC:? {fault}"):
        await checked(store, keys, court)
    assert (await check(store.seals, keys.all())).unchecked == 1


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def with_body(body: bytes, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status)

    return answer


async def _elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/elsewhere")


async def _silence(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (with_body(b"", 500), "answered 500"),
        (with_body(b"not allowed", 401), "answered 401"),
        (_elsewhere, "answered 302"),
        (with_body(b""), "it is no answer of a time-stamping authority"),
        (with_body(b"<html>"), "it is no answer of a time-stamping authority"),
        (with_body(bytes(MOST_BYTES + 1)), "sent more than 65536 bytes"),
        (_silence, "did not answer within"),
    ],
    ids=["error", "password", "redirect", "nothing", "page", "flood", "silence"],
)
async def test_an_authority_that_fails_is_believed_or_waited_for(
    store: Store, keys: SigningKeys, stamper: Stamper, desk: Desk, monkeypatch: pytest.MonkeyPatch,
    answer: Answer, fault: str,
) -> None:  # fmt: skip
    await sealed(store, keys)
    desk.handler = answer
    with monkeypatch.context() as impatient:
        impatient.setattr(
            stampers, "TIMEOUT_SECONDS", 1.0 if answer is _silence else stampers.TIMEOUT_SECONDS
        )
        with pytest.raises(EvidenceError, match=fault) as failed:
            await stamper.stamp()
    assert desk.url not in str(failed.value)
    desk.handler = None
    assert await stamper.stamp() is not None


async def test_an_answer_that_was_heard_before_is_kept(
    store: Store, keys: SigningKeys, stamper: Stamper, desk: Desk, court: SigningAuthority
) -> None:
    """Somebody on the way could hold a seal's time stamp back, and return another one later."""
    await sealed(store, keys)
    due = await store.time_stamps.due(EVERY)
    assert due is not None
    desk.handler = with_body(court.stamp(due[1]))
    with pytest.raises(EvidenceError, match="the answer to another question"):
        await stamper.stamp()


async def test_another_seal_of_the_same_number_gets_the_time_stamp(
    store: Store, keys: SigningKeys, stamper: Stamper, desk: Desk, database: Database, court: SigningAuthority
) -> None:
    """The database was restored, or failed over to a server that lagged, while the authority answered. No time stamp can be removed."""
    await sealed(store, keys)
    await database.rows("ALTER TABLE seals DISABLE TRIGGER USER")

    async def restoring(request: web.Request) -> web.StreamResponse:
        await database.rows("UPDATE seals SET sealed_at = sealed_at + interval '1 minute'")
        return web.Response(body=await asyncio.to_thread(court.answer, await request.read()))

    desk.handler = restoring
    with pytest.raises(
        EvidenceError, match="the seal was replaced, or time-stamped by another node, meanwhile"
    ):
        await stamper.stamp()
    assert await store.time_stamps.newest() is None
    desk.handler = None
    assert await stamper.stamp() is not None


async def test_an_authority_that_wants_a_password_gets_none_or_the_one_from_before_it_was_changed(
    store: Store, keys: SigningKeys, desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "tsa-password"
    file.write_text("not yet")
    section = TimeStampsSection(
        url=HttpUrl(desk.url), certificates=desk.authority.root, username="ccari", password_file=file
    )
    async with open_stamper(Settings(time_stamps=section), store) as stamper:
        for password in ("s3cret", "another"):
            await sealed(store, keys)
            desk.password = password
            with pytest.raises(EvidenceError, match="answered 401"):
                await stamper.stamp()
            file.write_text(password)
            assert await stamper.stamp() is not None


async def test_an_authority_with_a_new_root_is_refused_until_somebody_restarts_the_service(
    store: Store, keys: SigningKeys, desk: Desk, tmp_path: Path
) -> None:
    """Its root is renewed, or it is another authority, and the file has both. No call waits for it, so nobody looks for weeks."""
    file = tmp_path / "tsa.pem"
    file.write_bytes(desk.authority.root.read_bytes())
    section = TimeStampsSection(url=HttpUrl(desk.url), certificates=file)
    async with open_stamper(Settings(time_stamps=section), store) as stamper:
        calls = [await sealed(store, keys)]
        first = await stamper.stamp()
        calls.append(await sealed(store, keys))
        desk.authority = SigningAuthority(tmp_path / "renewed", "Renewed time stamps")
        with pytest.raises(EvidenceError, match="is not signed by a trusted authority"):
            await stamper.stamp()
        file.write_bytes(file.read_bytes() + desk.authority.root.read_bytes())
        second = await stamper.stamp()
    assert first is not None
    assert second is not None
    assert [each.by for each in (first, second)] == [
        "CN=Time stamps,O=A court",
        "CN=Renewed time stamps,O=A court",
    ]
    prover = Prover(store.seals, keys, lambda _policy, _account: [])
    for call, stamped in zip(calls, (first, second), strict=True):
        content, _ = prover.pack(await prover.sealed(call))
        assert verify(content, keys.all(), authority=authority(file)).stamped_at == (stamped.at,)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/tsr", "http://no-such-host.invalid/tsr"])
async def test_an_authority_that_is_away_ends_in_a_traceback(
    store: Store, keys: SigningKeys, court: SigningAuthority, url: str
) -> None:
    await sealed(store, keys)
    async with client() as session:
        stamper = Stamper(store.time_stamps, lambda: Known(authority(court.root)), session, url, EVERY)
        with pytest.raises(EvidenceError, match=r"cannot be reached|is not known") as failed:
            await stamper.stamp()
    assert url not in str(failed.value)


async def test_tls_that_fails_is_called_an_operation_that_is_not_permitted(
    store: Store, keys: SigningKeys, desk: Desk
) -> None:
    await sealed(store, keys)
    async with client() as session:
        url = desk.url.replace("http:", "https:")
        stamper = Stamper(
            store.time_stamps, lambda: Known(authority(desk.authority.root)), session, url, EVERY
        )
        with pytest.raises(
            EvidenceError,
            match=r"the time-stamping authority cannot be reached by TLS: (wrong version number|record layer failure)",
        ):
            await stamper.stamp()


async def test_an_authority_that_comes_back_is_not_asked_again(
    store: Store,
    keys: SigningKeys,
    stamper: Stamper,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stampers, "LOOK_SECONDS", 0.05)
    log.configure("json", "info", into := io.StringIO())
    await sealed(store, keys)

    async def refuse_once(request: web.Request) -> web.StreamResponse:
        if len(desk.asked) > 2:
            desk.handler = None
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)

    desk.handler = refuse_once
    running = asyncio.create_task(stamper.run())
    try:
        await until(lambda: "seal_time_stamped" in into.getvalue(), within=LOGGED_SECONDS)
    finally:
        running.cancel()
        await asyncio.wait([running])
    events = [json.loads(line)["event"] for line in into.getvalue().splitlines()]
    assert events.count("time_stamps_stalled") == 1
    assert events.count("seal_time_stamped") == 1


@pytest.fixture
def settings(dsn: str, desk: Desk, tmp_path: Path) -> dict[str, str]:
    return {
        "CCARI_DATABASE__URL": dsn, "CCARI_DATA_DIR": str(tmp_path), "CCARI_TIME_STAMPS__URL": desk.url,
        "CCARI_TIME_STAMPS__CERTIFICATES": str(desk.authority.root),
    }  # fmt: skip


async def test_the_commands_neither_stamp_nor_check(
    store: Store, keys: SigningKeys, settings: dict[str, str], desk: Desk, tmp_path: Path
) -> None:
    ccari = Service(settings, tmp_path / "log", tmp_path / "err")
    call, pack = await sealed(store, keys), str(tmp_path / "call.zip")
    done = await ccari.ccari("evidence", "stamp")
    assert (done.code, done.out.split(" was there ")[0]) == (0, "the newest seal"), done.err
    assert done.out.rstrip().endswith(" UTC, says CN=Time stamps,O=A court")
    assert (await ccari.ccari("evidence", "stamp")).out.startswith("the newest seal has a time stamp")
    done = await ccari.ccari("evidence", "check")
    assert (done.code, "1 time stamp, the newest of " in done.out) == (0, True), done.err
    done = await ccari.ccari("evidence", "export", call, "--out", pack)
    assert done.code == 0, done.err
    # by the settings, by what was handed over, and by nothing
    public = tmp_path / "theirs.pem"
    public.write_bytes(keys.newest().public_pem)
    for options, checks in (
        ([], True), (["--key", str(public), "--authority", str(desk.authority.root)], True), (["--key", str(public)], False),
    ):  # fmt: skip
        done = await ccari.ccari("evidence", "verify", pack, *options)
        assert done.code == 0, done.err
        assert (" UTC, says CN=Time stamps,O=A court" in done.out) is checks
        assert ("1 time stamp was not checked" in done.out) is not checks
    verdict = json.loads((await ccari.ccari("evidence", "verify", pack, "--json")).out)
    assert (len(verdict["stamped_at"]), verdict["authorities"], verdict["unchecked"]) == (
        1,
        ["CN=Time stamps,O=A court"],
        0,
    )


async def test_whoever_sets_no_authority_is_not_told_so(dsn: str, tmp_path: Path, keys: SigningKeys) -> None:
    ccari = on(dsn, tmp_path)
    done = await ccari.ccari("evidence", "stamp")
    assert (done.code, done.out) == (1, "")
    assert done.err == "ccari: no time-stamping authority is set: set [time_stamps] url and certificates\n"


async def test_a_service_has_no_seal_stamped(
    store: Store, keys: SigningKeys, settings: dict[str, str], court: SigningAuthority, tmp_path: Path
) -> None:
    await store.policies.apply(made.POLICY, "test")
    ports = [free_port(socket.SOCK_STREAM, "127.0.0.1") for _ in range(2)]
    service = without_database(settings | {
        "CCARI_ASTERISK__URL": "off", "CCARI_HTTP__LISTEN": f"127.0.0.1:{ports[0]}", "CCARI_AGI__LISTEN": f"127.0.0.1:{ports[1]}",
    }, tmp_path)  # fmt: skip
    assert (await service.ccari("keys", "init")).code == 0
    call = await sealed(store, keys)
    await service.spawn()
    try:
        line = await service.logged("seal_time_stamped", within=START_SECONDS)
    finally:
        ended = await service.stop()
    assert ended == 0, service.errors.read_text()
    assert line["authority"] == "CN=Time stamps,O=A court"
    assert (await proven(store, keys, call, court)).stamped_at != (None,)


async def test_a_service_starts_with_an_authority_that_it_could_never_check(
    store: Store, keys: SigningKeys, settings: dict[str, str], tmp_path: Path
) -> None:
    await store.policies.apply(made.POLICY, "test")
    settings |= {"CCARI_TIME_STAMPS__CERTIFICATES": str(tmp_path / "none.pem"), "CCARI_ASTERISK__URL": "off"}
    service = without_database(settings, tmp_path)
    assert (await service.ccari("keys", "init")).code == 0
    done = await service.ccari("serve")
    assert (done.code, done.err) == (
        1,
        f"ccari: cannot read {tmp_path / 'none.pem'}: No such file or directory\n",
    )
