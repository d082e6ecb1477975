"""``ccari evidence``, run as a person runs it, on a real database and with real keys."""

import json
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from ccari.policy.rights import Level, Right
from ccari.ports.calls import OpenedCall
from ccari.recordings.keys import SigningKeys
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.integration.service import Done, Service
from tests.unit.store import made

NOWHERE = {"CCARI_DATABASE__URL": "postgresql://ccari@127.0.0.1:9/ccari"}


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    made_there = SigningKeys(tmp_path / "keys")
    made_there.create()
    return made_there


@pytest.fixture
def ccari(dsn: str, tmp_path: Path, keys: SigningKeys) -> Service:
    return Service(
        {"CCARI_DATABASE__URL": dsn, "CCARI_DATA_DIR": str(tmp_path)}, tmp_path / "log", tmp_path / "err"
    )


async def over(store: Store) -> OpenedCall:
    call = made.call()
    await store.calls.open(call, made.question(call))
    entries = made.journal("call_gated", "key_pressed", "call_ended", key="7")
    await store.calls.close(call.id, "right_exercised", "erasure", entries)
    return call


async def exported(ccari: Service, which: object, to: Path) -> Path:
    done = await ccari.ccari("evidence", "export", str(which), "--out", str(to))
    assert done.code == 0, done.err
    return to


def refused(done: Done, words: str) -> None:
    """One clear line on standard error, and exit status 1."""
    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert len(done.err.splitlines()) == 1, done.err


async def test_evidence_that_was_exported_cannot_be_verified_offline(
    ccari: Service, store: Store, tmp_path: Path, keys: SigningKeys
) -> None:
    call = await over(store)
    pack = await exported(ccari, call.id, tmp_path / "call.zip")
    assert stat.S_IMODE(pack.stat().st_mode) == 0o600
    done = await ccari.ccari("evidence", "verify", str(pack), environment=NOWHERE)
    assert done.code == 0, done.err
    assert f"call {call.id}: everything fits" in done.out
    # the key that was handed over is enough: no settings, no folder of keys
    public = tmp_path / "theirs.pem"
    public.write_bytes(keys.newest().public_pem)
    elsewhere = {**NOWHERE, "CCARI_DATA_DIR": str(tmp_path / "elsewhere")}
    done = await ccari.ccari(
        "evidence", "verify", str(pack), "--key", str(public), "--json", environment=elsewhere
    )
    verdict = json.loads(done.out)
    assert (verdict["kind"], verdict["id"], verdict["entries"], verdict["erased"]) == (
        "call",
        str(call.id),
        3,
        [],
    )
    refused(
        await ccari.ccari("evidence", "verify", str(pack), environment=elsewhere),
        "give the public key with --key",
    )


async def test_a_request_has_no_evidence(ccari: Service, store: Store, tmp_path: Path) -> None:
    exercise = replace(made.exercise(Right.ACCESS), level=Level.L2)
    reference = await store.requests.add("acme", exercise, made.digests())
    pack = await exported(ccari, reference.lower(), tmp_path / "request.zip")
    done = await ccari.ccari("evidence", "verify", str(pack))
    assert f"request {reference}: everything fits" in done.out
    assert made.NUMBER.digits.encode() not in pack.read_bytes()


async def test_evidence_of_another_installation_fits(ccari: Service, store: Store, tmp_path: Path) -> None:
    call = await over(store)
    pack = await exported(ccari, call.id, tmp_path / "call.zip")
    SigningKeys(tmp_path / "other" / "keys").create()
    done = await ccari.ccari(
        "evidence", "verify", str(pack), environment={"CCARI_DATA_DIR": str(tmp_path / "other")}
    )
    refused(done, "which is none of those it was checked against")


async def test_evidence_from_before_a_new_key_fits_no_more(
    ccari: Service, store: Store, tmp_path: Path, keys: SigningKeys
) -> None:
    call = await over(store)
    before = await exported(ccari, call.id, tmp_path / "before.zip")
    keys.rotate()
    await store.calls.append(call.id, "recording_deleted", {"why": "retention"})
    after = await exported(ccari, call.id, tmp_path / "after.zip")
    for pack in (before, after):
        done = await ccari.ccari("evidence", "verify", str(pack))
        assert done.code == 0, done.err
    shutil.copy(tmp_path / "keys" / "evidence-2.pub", tmp_path / "second.pub")
    done = await ccari.ccari("evidence", "verify", str(after), "--key", str(tmp_path / "second.pub"))
    refused(done, "give that of the time with --key as well")


async def test_erased_fields_break_the_evidence_or_are_in_it(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    call = await over(store)
    before = await exported(ccari, call.id, tmp_path / "before.zip")
    await database.rows("DELETE FROM call_event_fields WHERE seq = 2")
    await store.calls.append(call.id, "fields_erased", {"request": "ACME-2026-000001"})
    after = await exported(ccari, call.id, tmp_path / "after.zip")
    assert (await ccari.ccari("evidence", "verify", str(before))).code == 0
    verdict = json.loads((await ccari.ccari("evidence", "verify", str(after), "--json")).out)
    assert (verdict["entries"], verdict["erased"], len(verdict["sealed_at"])) == (4, [2], 2)


async def test_what_cannot_be_proven_is_given_out(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    out = tmp_path / "pack.zip"
    goes_on = made.call()
    await store.calls.open(goes_on, made.question(goes_on))
    arguments = ("--out", str(out))
    refused(await ccari.ccari("evidence", "export", str(goes_on.id), *arguments), "is not over yet")
    refused(await ccari.ccari("evidence", "export", str(uuid4()), *arguments), "there is no call")
    refused(await ccari.ccari("evidence", "export", "ACME-2026-000009", *arguments), "there is no request")
    call = await over(store)
    async with database.connection() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE call_events SET event = 'x' WHERE seq = 2")
        await connection.execute("SET session_replication_role = origin")
    refused(
        await ccari.ccari("evidence", "export", str(call.id), *arguments),
        f"call {call.id} proves nothing any more: entry 2 (x) was changed",
    )
    assert not out.exists()


async def test_a_changed_file_is_not_named(ccari: Service, store: Store, tmp_path: Path) -> None:
    pack = await exported(ccari, (await over(store)).id, tmp_path / "call.zip")
    pack.write_bytes(pack.read_bytes()[:-30])
    refused(
        await ccari.ccari("evidence", "verify", str(pack)),
        f"{pack} does not fit: it is no ZIP file, or a damaged one",
    )
    refused(await ccari.ccari("evidence", "verify", str(tmp_path / "none.zip")), "cannot be read")


async def test_what_is_over_cannot_be_sealed_at_once(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    await over(store)
    assert (await ccari.ccari("evidence", "seal")).out == "1 journals were sealed\n"
    assert (await ccari.ccari("evidence", "seal")).out == "everything is sealed\n"
    shutil.rmtree(tmp_path / "keys")
    await over(store)
    refused(await ccari.ccari("evidence", "seal"), "there is no evidence key")
    assert len(await database.rows("SELECT * FROM seals")) == 1
