"""What ``ccari doctor`` says about the database and the policy in it, with real faults."""

import fcntl
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from ccari.cli.doctor import database as doctors_database
from ccari.cli.doctor.database import MOST_APART, _lasting, _server, clock
from ccari.cli.doctor.findings import State
from ccari.errors import StoreError
from ccari.keyring.secrets import SecretStore
from ccari.policy.suppression import Reason
from ccari.store import untouched
from ccari.store.database import Database
from ccari.store.migrating import migrations_folder
from ccari.store.opened import Store
from ccari.store.untouched import Server
from tests.postgres import major
from tests.unit.doctor import conftest
from tests.unit.doctor.conftest import Patient
from tests.unit.store import made
from tests.unit.store.forging import apply_unread
from tests.unit.store.made import new_secret
from tests.unit.store.test_registers import listed, load

NEEDY = (
    made.POLICY.replace(
        'legal_basis = "contract"', 'legal_basis = "consent"\nmarketing = true\nregisters = ["robinson"]'
    )
    + '[[registers]]\nid = "robinson"\nname = "Lista Robinsonów"\nmax_age_days = 30\n'
)
STRANGER = f"postgresql://ccari:{'hidden-w0rd'}@127.0.0.1:1/ccari"


async def test_a_ccari_that_is_whole_is_called_faulty_or_a_check_is_left_out(patient: Patient) -> None:
    found = {each.check: each for each in await patient.examined()}
    assert [each.check for each in found.values() if each.state is not State.OK] == ["asterisk"]
    assert list(found) == [
        "configuration", "user", "keys", "database", "clock database", "schema", "policy", "time zone", "secret acme",
        "recipients", "evidence key", "journal key", "sounds renewals", "sounds for Asterisk", "asterisk", "local journal",
        "disk", "spool", "recordings", "flac", "ffmpeg", "espeak-ng", "fastagi", "http",
    ]  # fmt: skip
    assert found["policy"].found.startswith("revision 1, of 20")
    assert found["policy"].found.endswith(" UTC: controllers 1, campaigns 1")
    assert (
        found["schema"].found
        == f"up to date: {len(list(migrations_folder().glob('*.sql')))} migrations are applied"
    )
    assert "cannot be reached: Connection refused" in found["asterisk"].found
    assert found["asterisk"].advice == "is it running, with HTTP and ARI enabled in http.conf and ari.conf?"


async def test_a_database_that_is_away_hides_the_rest_or_its_password_shows(patient: Patient) -> None:
    patient.settings["database"]["url"] = STRANGER
    found = await patient.unwell()
    assert list(found) == ["database", "policy"], found
    assert found["database"].state is State.FAULT
    assert found["database"].found == "the database cannot be reached: Connection refused"
    assert "check [database] url" in found["database"].advice
    assert (found["policy"].state, found["policy"].advice) == (State.WARNING, "put the database right first")
    assert "hidden-w0rd" not in str(found)


async def test_an_invalid_url_shows_its_password(patient: Patient) -> None:
    patient.settings["database"]["url"] = "postgresql://ccari:hidden:w0rd#@db:port/ccari"
    found = (await patient.unwell())["database"]
    assert found.found.startswith("[database] url must look like postgresql://")
    assert not any(piece in found.found + found.advice for piece in ("hidden", "w0rd"))


async def test_an_embedded_database_is_made_by_looking_for_it(patient: Patient) -> None:
    del patient.settings["database"]
    found = (await patient.unwell())["database"]
    assert (found.state, found.advice) == (State.FAULT, "ccari db migrate")
    assert found.found == f"the embedded PostgreSQL in {patient.folder} does not exist yet"
    assert not (patient.folder / "postgresql").exists()


async def test_an_embedded_server_that_a_service_uses_is_stopped_or_not_joined(
    patient: Patient, server: str, quick: Path
) -> None:
    del patient.settings["database"]
    patient.data_dir = quick / "data"
    found = {each.check: each for each in await patient.examined()}
    assert found["database"].found.startswith(f"the embedded PostgreSQL {major()}")
    # nobody has used this database yet, and nothing was written into it
    assert (found["schema"].state, found["policy"].state) == (State.WARNING, State.FAULT)
    connection = await asyncpg.connect(server)
    assert await connection.fetchval("SELECT to_regclass('public._pogo_migration')") is None
    await connection.close()


async def test_an_embedded_server_that_is_being_started_for_ever_is_waited_for(
    patient: Patient, server: str, quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untouched, "PATIENCE_SECONDS", 0.0)
    del patient.settings["database"]
    patient.data_dir = quick / "data"
    lock = patient.data_dir / "postgresql" / "control.lock"
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = (await patient.unwell())["database"]
    assert found.found.startswith("another ccari has been starting or stopping the embedded PostgreSQL for ")
    assert found.advice == f"check what it waits for: fuser -v {lock}"


async def test_an_empty_database_is_migrated_or_passes_for_one_in_use(patient: Patient, empty: str) -> None:
    patient.settings["database"]["url"] = empty
    found = await patient.unwell()
    assert list(found) == ["schema", "policy"]
    assert (found["schema"].state, found["schema"].found) == (
        State.WARNING,
        "the database is still empty",
    )
    assert found["schema"].advice.endswith("ccari db migrate")
    assert found["policy"].advice == "ccari policy apply FILE"
    connection = await asyncpg.connect(empty)
    assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'ccari'") == 0
    assert await connection.fetchval("SELECT to_regclass('public._pogo_migration')") is None
    await connection.close()


async def test_a_server_that_waits_for_no_disk_passes(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the tests' server does not: after a power cut, rights that were confirmed are gone."""
    monkeypatch.setattr(untouched, "DURABLE", conftest.DURABLE)
    found = await patient.only("database durability")
    assert (found.state, found.found) == (
        State.WARNING,
        "the server has fsync = off: after a power cut it may lack rights that were confirmed, or be damaged",
    )
    assert found.advice == "set fsync = on there, and reload it"


@pytest.mark.parametrize(
    ("granted", "taken", "denied"),
    [
        ("SELECT", "", "database {0}"),
        ("ALL", "INSERT ON ccari.calls", "table calls"),
        ("ALL", "INSERT ON ccari.calls, ccari.suppressions", "table calls and 1 more"),
    ],
)
async def test_a_user_who_may_only_look_at_the_database_passes(
    patient: Patient, dsn: str, database: Database, granted: str, taken: str, denied: str
) -> None:
    name = urlsplit(dsn).path[1:]
    rights = [
        f"GRANT {granted} ON ALL TABLES IN SCHEMA ccari, public TO guest",
        "GRANT USAGE ON SCHEMA ccari, public TO guest",
    ]
    rights += [f"GRANT ALL ON DATABASE {name} TO guest"] if granted == "ALL" else []
    rights += [f"REVOKE {taken} FROM guest"] if taken else []
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(";".join(["CREATE ROLE guest LOGIN", *rights]))
        patient.settings["database"]["url"] = dsn.replace("postgres@", "guest@")
        found = await patient.only("database")
    finally:
        await connection.execute("DROP OWNED BY guest; DROP ROLE guest")
        await connection.close()
    assert (found.state, found.found) == (
        State.FAULT,
        f"the database's user may not do what ccari needs (permission denied for {denied.format(name)})",
    )
    assert found.advice.startswith("make it the database's owner (ALTER DATABASE")


async def test_a_database_without_a_free_connection_is_told_to_be_migrated(
    patient: Patient, dsn: str, database: Database
) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE ROLE guest LOGIN CONNECTION LIMIT 0")
        patient.settings["database"]["url"] = dsn.replace("postgres@", "guest@")
        found = (await patient.unwell())["database"]
    finally:
        await connection.execute("DROP ROLE guest")
        await connection.close()
    assert (found.state, found.advice) == (
        State.FAULT, "check max_connections there, and the CONNECTION LIMIT of its user"
    )  # fmt: skip


async def test_a_primary_is_taken_for_a_replica_by_the_url_of_a_fleet(dsn: str) -> None:
    """That URL asks for a session that can write, and the doctor's cannot."""
    async with untouched.open_untouched(f"{dsn}&target_session_attrs=read-write") as store:
        assert [each.state for each in _server(await untouched.server(store.database), embedded=False)] == [
            State.OK
        ]


async def test_looking_can_write(dsn: str) -> None:
    async with untouched.open_untouched(dsn) as store:
        with pytest.raises(StoreError, match="cannot be written to"):
            await store.policies.apply(f"{made.POLICY}# another\n", "test")


async def test_a_migration_that_is_not_applied_or_not_known_goes_unseen(
    patient: Patient, database: Database
) -> None:
    names = sorted(path.stem for path in migrations_folder().glob("*.sql"))
    await database.rows("DELETE FROM public._pogo_migration WHERE migration_id = $1", names[-1])
    found = await patient.only("schema")
    assert (found.state, found.found) == (State.WARNING, f"not applied yet: {names[-1]}")
    assert found.advice == "ccari serve applies them when it starts; or now: ccari db migrate"
    await database.rows(
        "INSERT INTO public._pogo_migration (migration_hash, migration_id, schema_name) VALUES ('x', '9999_new', 'ccari')"
    )
    found = await patient.only("schema")
    assert (found.state, found.found) == (State.FAULT, "a newer ccari has changed the database: 9999_new")


async def test_a_clock_that_is_off_goes_unseen_or_is_taken_for_the_other_way(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # noqa: ARG003
            return datetime.now(UTC) - timedelta(minutes=1)

    monkeypatch.setattr(untouched, "datetime", Late)
    found = await patient.only("clock database")
    assert found.state is State.WARNING
    # give or take half of the question's round trip
    assert re.fullmatch(r"it is (59|60)\.\d s ahead of this machine's", found.found)
    assert clock("x", -MOST_APART - timedelta(seconds=1)).found == "it is 3.0 s behind this machine's"
    assert clock("x", -MOST_APART).state is State.OK
    assert clock("x", MOST_APART + timedelta(seconds=1), timedelta(seconds=1)).state is State.OK


@pytest.mark.parametrize(
    ("version", "encoding", "told"),
    [
        ("13.20", "UTF8", "PostgreSQL 13.20 is too old"),
        (
            "18.1",
            "SQL_ASCII",
            "the database has the encoding SQL_ASCII, in which not every name and word can be kept",
        ),
    ],
)
def test_a_server_in_which_nothing_can_be_kept_passes(
    version: str,
    encoding: str,
    told: str,
) -> None:
    (found,) = _server(Server(version, encoding, timedelta(), timedelta()), embedded=False)
    assert (found.state, found.found) == (State.FAULT, told)


@pytest.mark.parametrize(("away", "state"), [(49, State.OK), (51, State.WARNING)])
def test_a_server_that_is_too_far_away_for_rights_passes(away: int, state: State) -> None:
    at = timedelta(milliseconds=away)
    (found,) = _server(Server("18.1", encoding="UTF8", ahead=timedelta(), round_trip=at), embedded=False)
    assert found.state is state
    assert found.found.startswith(f"PostgreSQL 18.1 answers in {away} ms")


async def test_a_policy_that_this_ccari_refuses_ends_the_command(patient: Patient, store: Store) -> None:
    await apply_unread(store, made.POLICY.replace('"contract"', '"because"'))
    found = await patient.only("policy")
    assert (found.state, found.advice) == (State.FAULT, "ccari policy apply FILE")
    assert found.found.startswith("policy revision 2 is not valid for this version of ccari (line ")


async def test_a_bar_on_a_campaign_that_is_gone_goes_unseen(patient: Patient, store: Store) -> None:
    await store.suppressions.add("acme", made.digests(), Reason.DO_NOT_CALL, "manual", "", campaign="spring")
    found = await patient.only("policy")
    assert found.state is State.WARNING
    assert found.found.startswith("1 suppression is only for the campaign 'spring' of 'acme'")


async def test_what_is_held_of_a_controller_that_was_deleted_stays_unseen(
    patient: Patient, store: Store
) -> None:
    await store.database.rows(
        "INSERT INTO heard_notices (controller, digest, key_version, information_version, campaign) VALUES ('gone', $1, 1, 'i1', 'x')",
        made.digests().newest,
    )
    await store.controllers.delete("gone", "cli:dpo")
    assert "controllers" not in await patient.unwell()
    await store.database.rows(
        "INSERT INTO heard_notices (controller, digest, key_version, information_version, campaign) VALUES ('gone', $1, 1, 'i1', 'x')",
        made.digests().newest,
    )
    found = await patient.only("controllers")
    assert (found.state, found.advice) == (State.WARNING, "ccari controllers delete gone")
    assert found.found == "'gone' was deleted, but something is held of it"


async def test_a_register_that_blocks_every_call_passes(patient: Patient, store: Store) -> None:
    await store.policies.apply(NEEDY, "test")
    patient.record(NEEDY)
    found = await patient.unwell()
    assert list(found) == ["register robinson", "consents renewals"]
    never = found["register robinson"]
    assert (never.state, never.advice) == (State.FAULT, "ccari registers import robinson FILE")
    assert "has never been loaded" in never.found
    assert (found["consents renewals"].state, found["consents renewals"].advice) == (
        State.WARNING, "ccari consents import FILE"
    )  # fmt: skip
    now = datetime.now(UTC)
    await load(store, listed(0), as_of=now - timedelta(days=31))
    lost = (await patient.unwell())["register robinson"]
    assert lost.state is State.FAULT
    assert (lost.found, lost.advice) == (
        f"the secret of the register 'robinson' is not in {patient.keys}",
        f"restore it from the backup, or load the register again: {never.advice}",
    )
    new_secret(SecretStore(patient.keys), "robinson", "register")
    old = (await patient.unwell())["register robinson"]
    assert (old.state, old.advice) == (State.FAULT, never.advice)
    assert (
        f"is dated {now - timedelta(days=31):%Y-%m-%d %H:%M} UTC, and may be at most 30 days old" in old.found
    )
    assert "too old" in old.found
    await load(store, listed(0), as_of=now - timedelta(days=28))
    soon = (await patient.unwell())["register robinson"]
    assert (soon.state, soon.advice) == (State.WARNING, never.advice)
    assert f"blocked from {now + timedelta(days=2):%Y-%m-%d %H:%M} UTC on" in soon.found
    await load(store, listed(0), as_of=now)
    assert list(await patient.unwell()) == ["consents renewals"]


async def test_requests_that_cannot_be_passed_on_go_unseen(patient: Patient, store: Store) -> None:
    drop = patient.folder / "drop"
    forward = json.dumps(str(drop))
    await store.policies.apply(
        made.POLICY.replace(
            'dpo = "iod@acme.example"',
            f'dpo = "iod@acme.example"\nforward = {{ url = "https://acme.example/hook", folder = {forward} }}',
        ),
        "test",
    )
    found = [each for each in await patient.examined() if each.check == "forwarding acme"]
    assert [each.state for each in found] == [State.FAULT, State.FAULT]
    assert found[0].advice == "ccari requests webhook-secret --controller acme"
    assert str(drop) in found[1].found
    drop.mkdir()
    secret = patient.keys / "acme" / "webhook.key"
    secret.write_text("whsec_" + "A" * 43 + "=\n")
    secret.chmod(0o600)
    found = [each for each in await patient.examined() if each.check == "forwarding acme"]
    assert [each.state for each in found] == [State.OK, State.OK]


@pytest.mark.parametrize(("used", "told"), [(1_599_999_999, 0), (1_600_000_000, 1)])
def test_a_server_whose_transaction_ids_run_out_passes(used: int, told: int) -> None:
    """As with autovacuum off for long, or behind a transaction that nobody ends."""
    found = list(_lasting(Server("18.1", "UTF8", timedelta(), timedelta(), ids_used=used)))
    assert [(each.check, each.state) for each in found] == [("database ids", State.WARNING)] * told


async def test_it_is_not_asked_how_many_transaction_ids_are_used(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctors_database, "MOST_IDS", 0)
    found = await patient.only("database ids")
    assert re.match(r"[\d,]+ of some 2,144,000,000 transaction ids are used", found.found)
