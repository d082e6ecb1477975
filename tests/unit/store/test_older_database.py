"""A database that was restored from a dump, or lost its newest rows at a failover: nothing within it shows what is missing."""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ccari.errors import BarsLostError, ConfigError, StoreError
from ccari.metrics.meter import Metrics
from ccari.policy.rights import Right
from ccari.policy.seal import Statement
from ccari.policy.suppression import Reason
from ccari.ports.evidence import NumberedSeals
from ccari.recordings.evidence import sealer
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.newest import FILE, NewestSeal, OlderDatabaseError
from ccari.recordings.evidence.sealer import Sealer
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.replaying import Replayer, SpoolingCallStore
from tests.integration.service import START_SECONDS, Service
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.unit.agi.asterisk import caller
from tests.unit.metrics.scraped import scraped
from tests.unit.store import made
from tests.unit.store.forging import forge
from tests.unit.store.test_replaying import Node
from tests.unit.store.test_seals import closed

MISSING = "this node has seen"


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    keys = SigningKeys(tmp_path / "keys")
    keys.create()
    return keys


async def a_round(store: Store, keys: SigningKeys, folder: Path) -> tuple[bool, list[str]]:
    """A service's first and last round: whether it counts as failed, and what it reports as wrong."""
    metrics = Metrics()
    with capture_logs() as logged:
        async with Sealer(store.seals, keys, metrics, NewestSeal(folder, store.seals)).running():
            pass
    failures = scraped(metrics)['ccari_work_failures_total{work="sealing"}']
    return failures > 0, [each["event"] for each in logged if each["log_level"] != "info"]


async def lost(database: Database) -> None:
    """The newest seal is gone, with its journal and everything else that came with it."""
    await forge(database, "DELETE FROM sealed WHERE seal = (SELECT max(id) FROM seals)")
    await forge(database, "DELETE FROM seals WHERE id = (SELECT max(id) FROM seals)")


async def test_an_older_database_passes_for_the_newest(
    store: Store, database: Database, keys: SigningKeys, tmp_path: Path
) -> None:
    """Whoever has asked to be barred since would be called, and nobody would know."""
    for _ in range(2):
        await closed(store)
        assert await a_round(store, keys, tmp_path) == (False, [])
    await lost(database)
    assert await a_round(store, keys, tmp_path) == (True, ["seals_missing"])
    # nor does another seal in place of the missing one hide it
    await forge(database, "ALTER TABLE seals ALTER id RESTART WITH 2")
    await closed(store)
    assert await a_round(store, keys, tmp_path) == (True, ["seals_missing"])
    (tmp_path / FILE).unlink()
    assert await a_round(store, keys, tmp_path) == (False, [])
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def barred(store: Store) -> None:
    await store.suppressions.add("acme", made.digests(), Reason.DO_NOT_CALL, "cli:anna", "letter 7")


async def barred_again(store: Store) -> None:
    """The bar may have been lifted in what is restored."""
    await barred(store)


async def lifted(store: Store) -> None:
    await store.suppressions.remove("acme", made.digests(), "cli:anna", "by mistake")


async def withdrawn(store: Store) -> None:
    await store.consents.withdraw(
        "acme", made.digests(), made.NOW, purpose=None, purposes={"renewals": "renewals"}, origin="cli:anna", proof=""
    )  # fmt: skip


@pytest.mark.parametrize("by_hand", [barred, barred_again, lifted, withdrawn])
async def test_a_database_passes_for_the_newest_that_lacks_only_what_was_entered_by_hand(
    store: Store,
    database: Database,
    keys: SigningKeys,
    tmp_path: Path,
    by_hand: Callable[[Store], Awaitable[None]],
) -> None:
    """That minute shows only in what a person or the API has entered, such as a do-not-call request that came by letter."""
    await closed(store)
    if by_hand is not barred:
        await barred(store)
    assert await a_round(store, keys, tmp_path) == (False, [])
    dumped = await store.seals.newest()
    assert dumped is not None
    await by_hand(store)
    assert await a_round(store, keys, tmp_path) == (False, [])
    for table, column in (("sealed", "seal"), ("seals", "id")):
        await forge(database, f"DELETE FROM {table} WHERE {column} > $1", dumped[0])  # noqa: S608
    assert await a_round(store, keys, tmp_path) == (True, ["seals_missing"])


async def test_seals_of_another_node_pass_for_missing(
    store: Store, keys: SigningKeys, tmp_path: Path
) -> None:
    for node in ("one", "other", "one"):
        await closed(store)
        assert await a_round(store, keys, tmp_path / node) == (False, [])


@pytest.mark.parametrize(
    "written",
    [
        "",
        "{}",
        '{"seal": 1}',
        '{"seal": "x", "digest": "00", "sealed_at": "now"}',
        "\xff",
        f'{{"seal": {2**63}, "digest": "00", "sealed_at": "2026-11-30T12:00:00+00:00"}}',
        '{"seal": 1e999}',
    ],
)
async def test_a_damaged_file_ends_the_sealing_or_is_taken_for_none(
    store: Store, keys: SigningKeys, tmp_path: Path, written: str
) -> None:
    """Nor is anybody called: it may be an older database."""
    (tmp_path / FILE).write_text(written, "latin-1")
    await closed(store)
    newest = NewestSeal(tmp_path, store.seals)
    for look in (newest.missing, newest.renew):
        with pytest.raises(ConfigError, match=f"{FILE} is damaged: remove it"):
            await look()
        with pytest.raises(BarsLostError, match=f"{FILE} is damaged: remove it"):
            newest.refuse_older()
    assert await a_round(store, keys, tmp_path) == (True, ["sealing_failed"])
    assert (await store.seals.newest() or (0,))[0] == 1


async def test_evidence_passes_whose_newest_seal_is_gone(
    store: Store, database: Database, keys: SigningKeys, dsn: str, tmp_path: Path
) -> None:
    """The remaining seals follow one another."""
    ccari = Service(
        {"CCARI_DATABASE__URL": dsn, "CCARI_DATA_DIR": str(tmp_path)}, tmp_path / "log", tmp_path / "err"
    )
    await store.policies.apply(made.POLICY, "test")
    for _ in range(2):
        await closed(store)
        await a_round(store, keys, tmp_path)
    assert (await ccari.ccari("evidence", "check")).code == 0
    await forge(database, "UPDATE calls SET sealed = 0")
    await lost(database)
    _, left = await store.seals.newest() or pytest.fail("no seal is left")
    done = await ccari.ccari("evidence", "check")
    assert done.code == 1
    assert MISSING in done.out
    # what the log has to be compared with
    assert left.digest.hex() in done.out
    assert "Traceback" not in done.err


async def test_whoever_barred_themselves_is_called_on_an_older_database(
    store: Store, database: Database, keys: SigningKeys, dsn: str, tmp_path: Path
) -> None:
    """From the first call on, and until a person has entered what is missing."""
    agi, http = (free_port(socket.SOCK_STREAM, "127.0.0.1") for _ in range(2))
    ccari = Service({
        "CCARI_DATABASE__URL": dsn, "CCARI_DATA_DIR": str(tmp_path), "CCARI_ASTERISK__URL": "off",
        "CCARI_HTTP__LISTEN": f"127.0.0.1:{http}", "CCARI_AGI__LISTEN": f"127.0.0.1:{agi}",
    }, tmp_path / "log", tmp_path / "err")  # fmt: skip
    await store.policies.apply(made.POLICY, "test")
    for of in (("keys", "init"), ("sounds", "build")):
        assert (await ccari.ccari(*of)).code == 0
    await closed(store)
    await a_round(store, keys, tmp_path)
    assert await verdict(ccari, agi) == ("ALLOW", "")
    await forge(database, "UPDATE calls SET sealed = 0")
    await lost(database)
    assert await verdict(ccari, agi) == ("DENY", "store_unavailable")
    asked = await ccari.ccari("gate", made.NUMBER.e164, "--campaign", "renewals")
    assert (asked.code, MISSING in asked.err) == (1, True), asked.err
    (tmp_path / FILE).unlink()
    assert await verdict(ccari, agi) == ("ALLOW", "")


async def verdict(ccari: Service, agi: int) -> tuple[str, str]:
    """What a service that has just started answers a dialplan, and why."""
    ccari.log.unlink(missing_ok=True)
    service = Service(ccari.environment, ccari.log, ccari.errors)
    await service.spawn()
    try:
        await service.logged("service_started", within=START_SECONDS)
        async with caller(agi) as dialplan:
            dialplan.enter("gate", made.NUMBER.e164, "renewals")
            await dialplan.obey()
            return dialplan.verdict, dialplan.variables.get("CCARI_REASON", "")
    finally:
        assert await service.stop() == 0


async def test_a_service_that_runs_calls_on_when_the_database_becomes_an_older_one(
    store: Store, database: Database, keys: SigningKeys, tmp_path: Path
) -> None:
    """A standby that lagged behind has taken over."""
    newest = NewestSeal(tmp_path, store.seals)
    await closed(store)
    await a_round(store, keys, tmp_path)
    await newest.renew()
    newest.refuse_older()
    await forge(database, "UPDATE calls SET sealed = 0")
    await lost(database)
    with pytest.raises(OlderDatabaseError):
        await newest.renew()
    with pytest.raises(OlderDatabaseError, match=MISSING):
        newest.refuse_older()
    (tmp_path / FILE).unlink()
    await newest.renew()
    newest.refuse_older()


async def test_invariant_5_a_right_that_waits_is_registered_in_an_older_database_and_lost_with_it(
    store: Store, database: Database, keys: SigningKeys, tmp_path: Path
) -> None:
    """Or gets a reference that somebody else has been told. It waits for the newer one, or until a person has entered what is missing."""
    node, newest = Node(database, tmp_path), NewestSeal(tmp_path, store.seals)
    node.replayer = Replayer(node.journal, node.database, node.kept, check_newest=newest.check)
    await store.policies.apply(made.POLICY, "test")
    await closed(store)
    await a_round(store, keys, tmp_path)
    await node.press(await node.under_way())
    await forge(database, "UPDATE calls SET sealed = 0")
    await lost(database)
    with pytest.raises(OlderDatabaseError, match=MISSING):
        await node.replayer.round()
    assert len(node.journal.names()) == 1
    assert await store.requests.list(None, 10) == []
    written = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text("damaged")
    with pytest.raises(StoreError, match="damaged"):
        await node.replayer.round()
    (tmp_path / FILE).write_text(written)
    with capture_logs() as logged:
        await node.replayer.begin()
    assert [(each["event"], MISSING in each["reason"]) for each in logged] == [("rights_wait", True)]
    (tmp_path / FILE).unlink()
    assert len(await node.references()) == 1


async def test_invariant_5_a_right_pressed_in_an_older_database_is_registered_there_and_lost_with_it(
    store: Store, database: Database, keys: SigningKeys, tmp_path: Path
) -> None:
    """Somebody calls in, and is answered. Their reference may have been told to somebody else."""
    node, newest = Node(database, tmp_path), NewestSeal(tmp_path, store.seals)
    node.store = SpoolingCallStore(database, node.journal, node.kept, refuse_older=newest.refuse_older)
    node.replayer = Replayer(node.journal, node.database, node.kept, check_newest=newest.check)
    await store.policies.apply(made.POLICY, "test")
    await closed(store)
    await a_round(store, keys, tmp_path)
    call = await node.under_way()
    await newest.check()
    assert await node.store.register_right(call, made.exercise(Right.ACCESS), ()) == "ACME-2026-000001"
    await forge(database, "UPDATE calls SET sealed = 0")
    await lost(database)
    with pytest.raises(OlderDatabaseError):
        await newest.check()
    assert await node.store.register_right(call, made.exercise(Right.ERASURE), ()) is None
    assert len(await store.requests.list(None, 10)) == 1
    # a person has entered what is missing
    (tmp_path / FILE).unlink()
    assert await node.references() == ["ACME-2026-000002"]


async def test_somebody_is_called_before_it_is_known_whether_the_database_is_an_older_one(
    store: Store, tmp_path: Path
) -> None:
    newest = NewestSeal(tmp_path, store.seals)
    with pytest.raises(StoreError, match="it is not known yet") as told:
        newest.refuse_older()
    # no running talk is taken for one in which recording was refused
    assert not isinstance(told.value, BarsLostError)
    assert newest.refuses
    await newest.check()
    newest.refuse_older()
    assert not newest.refuses


async def test_a_service_that_cannot_seal_does_not_notice_that_its_database_is_an_older_one_or_a_newer_one_again(
    store: Store, database: Database, keys: SigningKeys, tmp_path: Path
) -> None:
    await closed(store)
    await a_round(store, keys, tmp_path)
    newest = NewestSeal(tmp_path, store.seals)
    await newest.check()
    await forge(database, "UPDATE calls SET sealed = 0")
    await lost(database)
    for gone, told in ((False, ["seals_missing", "sealing_failed"]), (True, ["sealing_failed"])):
        if gone:
            (tmp_path / FILE).unlink()
        with capture_logs() as logged:
            async with Sealer(store.seals, SigningKeys(tmp_path / "none"), Metrics(), newest).running():
                pass
        assert [each["event"] for each in logged] == told
        assert newest.refuses is not gone


class AwayAtFirst:
    """The seals of a database that does not answer the first question for one of them."""

    def __init__(self, seals: NumberedSeals) -> None:
        self._seals = seals
        self.asked = 0

    async def numbered(self, number: int) -> Statement | None:
        self.asked += 1
        if self.asked == 1:
            raise StoreError("the database did not answer in time")
        return await self._seals.numbered(number)

    async def newest(self) -> tuple[int, Statement] | None:
        return await self._seals.newest()


async def test_nobody_is_called_for_a_minute_or_nothing_sealed_because_the_first_look_failed(
    store: Store, keys: SigningKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await closed(store)
    await a_round(store, keys, tmp_path)
    await closed(store)
    monkeypatch.setattr(sealer, "LOOK_AGAIN_SECONDS", 0.0)
    away = AwayAtFirst(store.seals)
    newest = NewestSeal(tmp_path, away)
    with pytest.raises(StoreError, match="did not answer"):
        await newest.check()
    away.asked = 0
    with capture_logs() as logged:
        async with Sealer(store.seals, keys, Metrics(), newest).running():
            await until(lambda: not newest.refuses, within=START_SECONDS)
    assert [each["event"] for each in logged] == ["sealing_failed", "journals_sealed"]
    assert (await store.seals.newest() or (0,))[0] == 2


async def test_a_node_that_cannot_seal_forgets_what_others_have_sealed(
    store: Store, keys: SigningKeys, tmp_path: Path
) -> None:
    """It would not notice a failover that has lost them."""
    await closed(store)
    await a_round(store, keys, tmp_path / "other")
    newest = NewestSeal(tmp_path, store.seals)
    async with Sealer(store.seals, SigningKeys(tmp_path / "none"), Metrics(), newest).running():
        pass
    assert (tmp_path / FILE).read_bytes() == (tmp_path / "other" / FILE).read_bytes()
