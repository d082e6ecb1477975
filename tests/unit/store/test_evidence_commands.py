"""``ccari evidence``, run as a person runs it, on a real database and with real keys."""

import asyncio
import json
import os
import re
import shutil
import socket
import stat
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ccari.errors import EvidenceError
from ccari.gating.journal import entry
from ccari.policy import chain, wording
from ccari.policy.rights import Level, RequestState, Right
from ccari.policy.seal import Kind, Leaf, Statement, statement
from ccari.ports.accesses import Access, Looked
from ccari.ports.calls import OpenedCall
from ccari.ports.evidence import Seal
from ccari.recordings.evidence.checking import check
from ccari.recordings.evidence.keys import SigningKeys, VerifyingKey
from ccari.store.database import Connection, Database
from ccari.store.opened import Store
from ccari.store.seals import Seals
from tests.integration.service import Service, command
from tests.lab.ports import free_port
from tests.tsa import SigningAuthority
from tests.unit.recordings.accounts import KEY
from tests.unit.recordings.packing import files_of, packed, zipped
from tests.unit.store import made
from tests.unit.store.commands import on, refused
from tests.unit.store.forging import NO_FIELDS, NO_MOMENTS, forge
from tests.unit.store.test_requests import by

NOWHERE = {"CCARI_DATABASE__URL": "postgresql://ccari@127.0.0.1:9/ccari"}


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    made_there = SigningKeys(tmp_path / "keys")
    made_there.create()
    return made_there


@pytest.fixture
def ccari(dsn: str, tmp_path: Path, keys: SigningKeys) -> Service:
    return on(dsn, tmp_path)


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


async def test_evidence_that_was_exported_cannot_be_verified_offline(
    ccari: Service, store: Store, tmp_path: Path, keys: SigningKeys
) -> None:
    call = await over(store)
    pack = await exported(ccari, call.id, tmp_path / "call.zip")
    assert stat.S_IMODE(pack.stat().st_mode) == 0o600
    done = await ccari.ccari("evidence", "verify", str(pack), environment=NOWHERE)
    assert done.code == 0, done.err
    assert f"call {call.id}: no fault was found\non behalf of the controller acme\n" in done.out
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
    assert f"request {reference}: no fault was found" in done.out
    assert made.NUMBER.digits.encode() not in pack.read_bytes()


async def test_evidence_of_another_installation_fits(ccari: Service, store: Store, tmp_path: Path) -> None:
    call = await over(store)
    pack = await exported(ccari, call.id, tmp_path / "call.zip")
    SigningKeys(tmp_path / "other" / "keys").create()
    done = await ccari.ccari(
        "evidence", "verify", str(pack), environment={"CCARI_DATA_DIR": str(tmp_path / "other")}
    )
    refused(done, "which is not one of the keys that it was checked against")


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
    refused(done, "give the key of that time with --key as well")


async def test_erased_fields_break_the_evidence_or_are_in_it(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    call = await over(store)
    before = await exported(ccari, call.id, tmp_path / "before.zip")
    await database.rows("DELETE FROM call_event_fields WHERE seq = 2")
    await store.calls.append(call.id, "personal_data_erased", {"reference": "ACME-2026-000001"})
    after = await exported(ccari, call.id, tmp_path / "after.zip")
    assert (await ccari.ccari("evidence", "verify", str(before))).code == 0
    verdict = json.loads((await ccari.ccari("evidence", "verify", str(after), "--json")).out)
    assert (verdict["entries"], verdict["erased"], len(verdict["sealed_at"])) == (4, [2], 2)


async def test_what_was_erased_is_shown_as_a_fault_and_what_was_changed_as_erased(
    ccari: Service, store: Store, database: Database
) -> None:
    call = await over(store)
    reference = await store.requests.add("acme", made.exercise(Right.ACCESS), made.digests())
    await database.rows("DELETE FROM call_event_fields WHERE seq = 2")
    await store.calls.append(call.id, "personal_data_erased", {})
    await database.rows("DELETE FROM request_event_details")
    shown = await ccari.ccari("calls", "show", str(call.id))
    assert shown.code == 0
    assert re.search("key_pressed +erased", shown.out)
    assert shown.out.endswith("the journal is intact\n")
    shown = await ccari.ccari("requests", "show", reference)
    assert (shown.code, shown.out.count("erased")) == (0, 2)
    async with database.connection() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE call_event_fields SET fields = '{}' WHERE seq = 3")
        await connection.execute("UPDATE request_events SET state = 'fulfilled'")
        await connection.execute("SET session_replication_role = origin")
    shown = await ccari.ccari("calls", "show", str(call.id))
    assert shown.code == 1
    assert shown.out.endswith("JOURNAL DAMAGED OR ALTERED: the fields of entry 3 (call_ended) were changed\n")
    shown = await ccari.ccari("requests", "show", reference)
    assert shown.code == 1
    assert "THE HISTORY IS DAMAGED OR WAS ALTERED: entry 1 (fulfilled L1" in shown.out


async def test_what_became_of_a_call_months_later_seems_to_be_of_its_day(
    ccari: Service, store: Store, database: Database
) -> None:
    call = await over(store)
    shown = await ccari.ccari("calls", "show", str(call.id), "--json")
    at = datetime.fromisoformat(json.loads(shown.out)["events"][-1]["at"]).astimezone()
    await forge(database, "UPDATE calls SET opened_at = $1", at)
    of_its_day = await ccari.ccari("calls", "show", str(call.id))
    await forge(database, "UPDATE calls SET opened_at = $1", at - timedelta(days=90))
    of_later = await ccari.ccari("calls", "show", str(call.id))
    time = f"{at:%H:%M:%S.%f}"[:-3]
    assert f"3  {time}  call_ended" in of_its_day.out
    assert f"3  {at:%Y-%m-%d} {time} {at:%Z}  call_ended" in of_later.out


async def test_a_call_seems_to_end_before_it_began_as_the_clock_is_put_back(
    ccari: Service, store: Store, database: Database
) -> None:
    call = await over(store)
    put_back = datetime(2026, 10, 25, 1, tzinfo=UTC)
    await forge(database, "UPDATE calls SET opened_at = $1", put_back - timedelta(seconds=10))
    await forge(database, "UPDATE call_events SET at = $1 WHERE seq < 3", put_back - timedelta(seconds=10))
    await forge(database, "UPDATE call_events SET at = $1 WHERE seq = 3", put_back + timedelta(seconds=10))
    # a process of its own: a forked one has its parent's time zone
    process = await asyncio.create_subprocess_exec(
        *command("calls", "show", str(call.id)), stdout=asyncio.subprocess.PIPE, cwd="/",
        env={**os.environ, **ccari.environment, "TZ": "Europe/Warsaw"},
    )  # fmt: skip
    shown = (await process.communicate())[0].decode()
    assert re.search(r"^opened_at +2026-10-25 02:59:50 CEST$", shown, re.MULTILINE)
    assert "2  02:59:50.000" in shown
    assert "3  2026-10-25 02:00:10.000 CET  call_ended" in shown


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
        f"call {call.id} is no longer valid evidence: entry 2 (x) was changed",
    )
    assert not out.exists()


async def test_what_was_erased_since_is_lost_from_an_older_pack(
    ccari: Service, store: Store, tmp_path: Path
) -> None:
    call = await over(store)
    pack = await exported(ccari, call.id, tmp_path / "pack.zip")
    before = pack.read_bytes()
    refused(
        await ccari.ccari("evidence", "export", str(call.id), "--out", str(pack)),
        "already exists, and no evidence is overwritten: give another name",
    )
    assert pack.read_bytes() == before


@pytest.mark.parametrize("edit", NO_FIELDS.values(), ids=NO_FIELDS)
async def test_a_call_whose_fields_were_made_none_cannot_be_shown_or_is_given_out_as_proof(
    ccari: Service, store: Store, database: Database, tmp_path: Path, edit: str
) -> None:
    call = await over(store)
    await forge(database, "UPDATE call_event_fields SET fields = $1 WHERE seq = 2", edit)
    fault = "the fields of entry 2 (key_pressed) were changed"
    shown = await ccari.ccari("calls", "show", str(call.id))
    assert (shown.code, shown.err) == (1, "")
    assert shown.out.endswith(f"JOURNAL DAMAGED OR ALTERED: {fault}\n")
    told = json.loads((await ccari.ccari("calls", "show", str(call.id), "--json")).out)
    assert [each["event"] for each in told["events"]] == ["call_gated", "key_pressed", "call_ended"]
    refused(
        await ccari.ccari("evidence", "export", str(call.id), "--out", str(tmp_path / "pack.zip")),
        f"call {call.id} is no longer valid evidence: {fault}",
    )


@pytest.mark.parametrize("edit", NO_MOMENTS)
async def test_a_call_at_moments_that_python_does_not_hold_cannot_be_shown(
    ccari: Service, store: Store, database: Database, edit: str
) -> None:
    call = await recorded(store)
    await forge(
        database, "UPDATE calls SET opened_at = $1::text::timestamptz, ended_at = $1::text::timestamptz", edit
    )
    await forge(database, "UPDATE recordings SET delete_at = $1::text::timestamptz", edit)
    await forge(database, "UPDATE call_events SET at = $1::text::timestamptz WHERE seq = 2", edit)
    for options in ((), ("--json",)):
        shown = await ccari.ccari("calls", "show", str(call.id), *options)
        assert (shown.code, shown.err) == (1, "")
        assert "entry 2 (recording_tagged) was changed" in shown.out
    refused(
        await ccari.ccari("evidence", "export", str(call.id)),
        f"call {call.id} is no longer valid evidence: entry 2 (recording_tagged) was changed",
    )


async def test_a_notice_that_was_edited_breaks_off_who_looks_for_its_audio(
    ccari: Service, store: Store, database: Database
) -> None:
    call = await recorded(store)
    await forge(database, """UPDATE call_event_fields SET fields = '{"sounds": "x"}' WHERE seq = 1""")
    refused(
        await ccari.ccari("evidence", "export", str(call.id)),
        f"call {call.id} is no longer valid evidence: the fields of entry 1 (notice_heard) were changed",
    )


async def test_a_call_to_which_nothing_was_to_be_said_misses_a_notice(
    ccari: Service, store: Store, tmp_path: Path
) -> None:
    await store.policies.apply(made.POLICY, "test")
    call, version = made.call(), wording.version_of(())
    await store.calls.open(call, made.question(call))
    told = {"notice_version": version, "language": "pl", "prompts": "", "sounds": ""}
    await store.calls.commit_heard(call.id, version, None, [entry("notice_heard", told)])
    await store.calls.close(call.id, "bridged", "", made.journal("call_ended"))
    out = tmp_path / "call.zip"
    done = await ccari.ccari("evidence", "export", str(call.id), "--out", str(out))
    assert (done.code, done.err) == (0, "")
    assert (await ccari.ccari("evidence", "verify", str(out))).code == 0


async def test_a_notice_whose_prompts_are_made_no_more_has_no_evidence(
    ccari: Service, store: Store, tmp_path: Path
) -> None:
    """Its words are kept nowhere: it was heard before words were kept."""
    await store.policies.apply(made.POLICY, "test")
    call = made.call()
    await store.calls.open(call, made.question(call))
    told = {"notice_version": "v1", "language": "pl", "prompts": "greeting,identity", "sounds": "ab,cd"}
    await store.calls.commit_heard(call.id, "v1", None, [entry("notice_heard", told)])
    await store.calls.close(call.id, "bridged", "", made.journal("call_ended"))
    out = tmp_path / "call.zip"
    done = await ccari.ccari("evidence", "export", str(call.id), "--out", str(out))
    said = (
        "greeting, identity: the words that were played are no longer known, and are missing from the pack\n"
    )
    assert (done.code, said in done.err) == (0, True)
    done = await ccari.ccari("evidence", "verify", str(out))
    assert (done.code, done.err) == (0, "")
    assert "without the words of greeting, identity\n" in done.out


async def recorded(store: Store) -> OpenedCall:
    """A call whose recording was stored."""
    call = made.call()
    await store.calls.open(call, made.question(call))
    heard = [entry("notice_heard", {"notice_version": "v1"})]
    await store.calls.commit_heard(call.id, "v1", None, heard)
    tag = made.tag(call)
    told = {
        "recording": str(tag.recording_id), "recording_basis": tag.legal_basis, "mode": tag.mode,
        "delete_at": tag.delete_at.isoformat(timespec="seconds"),
    }  # fmt: skip
    await store.recordings.tag(tag, [entry("recording_tagged", told)])
    kept = replace(made.KEPT, file=f"acme/2026-11-25/{tag.recording_id}.flac.age")
    await store.recordings.stored(tag, kept, [entry("recording_stored", kept.journal_fields)])
    await store.calls.close(call.id, "bridged", "", made.journal("call_ended"))
    return call


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE recordings SET file_sha256 = sha256('x')", "is not the one that the journal says was stored: its file_sha256 differs"),
        ("UPDATE recordings SET legal_basis = 'consent'", "is consent, but legitimate_interest in the journal"),
        ("UPDATE recordings SET delete_at = delete_at + interval '1 year'", "+00:00 in the journal"),
        ("DELETE FROM recordings", "is in the journal, but missing from the list of recordings"),
        ("UPDATE calls SET notice_version = 'v2'", "the notice of the call is v2, but the journal has a different one"),
    ],
)  # fmt: skip
async def test_a_recording_that_was_changed_in_the_database_is_given_out_as_proof(
    ccari: Service, store: Store, database: Database, tmp_path: Path, change: str, fault: str
) -> None:
    call = await recorded(store)
    pack = await exported(ccari, call.id, tmp_path / "before.zip")
    assert (await ccari.ccari("evidence", "verify", str(pack))).code == 0
    await database.rows(change)
    out = tmp_path / "after.zip"
    refused(await ccari.ccari("evidence", "export", str(call.id), "--out", str(out)), fault)
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("DELETE FROM recordings", "recording {} is in the journal, but has no row"),
        (
            "UPDATE recordings SET state = 'deleted', deleted_at = now(), deletion = 'retention'",
            "recording {} is deleted, but the journal does not say so",
        ),
    ],
)
async def test_whoever_takes_a_recording_away_is_not_found_by_the_check_of_all_journals(
    ccari: Service, store: Store, database: Database, change: str, fault: str
) -> None:
    """Whoever asks for its evidence is told; but nobody asks for what is not there."""
    call = await recorded(store)
    await ccari.ccari("evidence", "seal")
    assert (await ccari.ccari("evidence", "check")).code == 0
    (row,) = await database.rows("SELECT id FROM recordings")
    await forge(database, change)
    done = await ccari.ccari("evidence", "check")
    told = f"call {call.id} is damaged or was altered: {fault.format(row['id'])}"
    assert (done.code, done.out) == (1, f"{told}\n")


async def test_a_recording_whose_entries_were_erased_passes_for_compared(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    call = await recorded(store)
    await database.rows("DELETE FROM call_event_fields")
    await store.calls.append(call.id, "personal_data_erased", {})
    pack = await exported(ccari, call.id, tmp_path / "call.zip")
    (row,) = await database.rows("SELECT id FROM recordings")
    done = await ccari.ccari("evidence", "verify", str(pack))
    assert f"not compared, because the journal's copy is erased: {row['id']}\n" in done.out
    assert "without the notice that was heard by entry 1\n" in done.out


async def test_an_answer_that_was_dated_back_passes_for_one_in_time(
    ccari: Service, store: Store, database: Database, tmp_path: Path, keys: SigningKeys
) -> None:
    """By somebody who can write the tables, and can so make a journal that is whole; the service seals it as it finds
    it.
    """
    reference = await store.requests.add("acme", made.exercise(Right.ACCESS), made.digests())
    await ccari.ccari("evidence", "seal")
    (row,) = await database.rows("SELECT level, due, events, last_link FROM rights_requests")
    before = datetime(2026, 3, 20, 9, 30, tzinfo=UTC)
    event = chain.request_event("fulfilled", row["level"], row["due"])
    told = entry(event, {"who": "cli:anna", "reason": "sent"}, before)
    (new,) = chain.follow(bytes(row["last_link"]), row["events"], [told])
    await forge(
        database, "INSERT INTO request_events (reference, seq, at, state, level, due, commitment, link) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        reference, new.seq, new.at, "fulfilled", row["level"], row["due"], new.commitment, new.link,
    )  # fmt: skip
    await forge(
        database, "INSERT INTO request_event_details (reference, seq, salt, who, reason) VALUES ($1, $2, $3, $4, $5)",
        reference, new.seq, new.salt, "cli:anna", "sent",
    )  # fmt: skip
    await forge(
        database, "UPDATE rights_requests SET state = 'fulfilled', number = NULL, closed_at = $2, events = $3, last_link = $4 WHERE reference = $1",
        reference, before, new.seq, new.link,
    )  # fmt: skip
    started = datetime.now(UTC).date()
    pack = await exported(ccari, reference, tmp_path / "request.zip")
    done = await ccari.ccari("evidence", "verify", str(pack))
    assert done.code == 0
    (sealed_on,) = re.findall(r"^entry 2, of 2026-03-20 09:30:00 UTC: sealed (\S+) ", done.out, re.MULTILINE)
    # midnight may have come since
    assert started <= date.fromisoformat(sealed_on) <= datetime.now(UTC).date()
    await over(store)
    await ccari.ccari("evidence", "seal")
    done = await ccari.ccari("evidence", "check")
    assert done.code == 0
    said = f"longest without a seal: an entry of request {reference}, of 2026-03-20 09:30:00 UTC, until {sealed_on} "
    assert said in done.out


async def test_an_answer_is_sealed_as_of_last_month_unnoticed_once_the_clock_was_set_back(
    ccari: Service, store: Store, keys: SigningKeys
) -> None:
    key = keys.newest()

    async def sealed(at: datetime) -> None:
        await over(store)

        def sign(leaves: Sequence[Leaf], before: Statement | None) -> Seal:
            told = statement(leaves, before, key.fingerprint, at)
            return Seal(told, key.sign(told.canonical))

        assert await store.seals.seal(sign, 10) == 1

    now = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    # the nodes of a fleet differ by a little
    for minutes in (0, 6, 2):
        await sealed(now + timedelta(minutes=minutes))
    assert "set back" not in (await ccari.ccari("evidence", "check")).out
    for days in (-17, 1, 0, 2):
        await sealed(now + timedelta(days=days))
    done = await ccari.ccari("evidence", "check")
    assert done.code == 0
    said = "a clock was set back: the seal of 2026-11-03 09:30:00 UTC was made after that of 2026-11-20 09:32:00 UTC\n"
    assert said in done.out


async def test_a_seal_without_a_time_stamp_seems_time_stamped_to_whoever_asks_for_one(
    ccari: Service, store: Store, tmp_path: Path
) -> None:
    """The centre has left the time stamps out when it rewrote the history."""
    pack = await exported(ccari, (await over(store)).id, tmp_path / "call.zip")
    court = SigningAuthority(tmp_path / "court")
    for arguments in ((), ("--authority", str(court.root))):
        done = await ccari.ccari("evidence", "verify", str(pack), *arguments)
        assert done.code == 0, done.err
        assert re.search(r"^the seal of [-0-9: ]+ UTC has no time stamp: ", done.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE calls SET legal_basis = 'consent' WHERE id = $1", "the legal_basis of the call is consent, but contract in the journal"),
        ("UPDATE calls SET heard_at = now(), notice_version = 'v1' WHERE id = $1",
         "the record of the call says that the notice was heard, but the journal does not"),
    ],
)  # fmt: skip
async def test_a_call_is_shown_with_another_basis_or_notice_and_an_intact_journal(
    ccari: Service, store: Store, database: Database, change: str, fault: str
) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    told = {"legal_basis": "contract", "controller": "acme", "campaign": "renewals", "revision": "1"}
    await store.calls.close(call.id, "failed", "", made.journal("call_gated", "call_ended", **told))
    await ccari.ccari("evidence", "seal")
    for arguments in (("calls", "show", str(call.id)), ("evidence", "check")):
        assert (await ccari.ccari(*arguments)).code == 0
    await forge(database, change, call.id)
    shown = await ccari.ccari("calls", "show", str(call.id))
    assert (shown.code, shown.out.splitlines()[-1]) == (1, f"JOURNAL DAMAGED OR ALTERED: {fault}")
    checked = await ccari.ccari("evidence", "check")
    assert (checked.code, checked.out) == (1, f"call {call.id} is damaged or was altered: {fault}\n")


#: Erases the line, says something else, and hides the rest.
HIDING = "x\x1b[2K\rthe journal is intact\n\x1b[8m\u202e"
SHOWN = r"x\x1b[2K\rthe journal is intact\n\x1b[8m\u202e"


async def test_what_somebody_wrote_into_a_journal_speaks_for_the_command(
    ccari: Service, store: Store, database: Database
) -> None:
    call, reference = await over(store), await stepped(store)
    await forge(database, "UPDATE call_events SET event = $1 WHERE seq = 2", HIDING)
    await forge(database, "UPDATE request_events SET state = $1 WHERE seq = 1", HIDING)
    for arguments in (
        ("calls", "show", str(call.id)), ("requests", "show", reference), ("evidence", "check"),
        ("evidence", "export", str(call.id)),
    ):  # fmt: skip
        done = await ccari.ccari(*arguments)
        assert done.code == 1
        said = done.out + done.err
        assert SHOWN in said, arguments
        assert not {"\x1b", "\r", "\u202e"} & set(said), arguments


async def test_a_changed_file_is_not_named(ccari: Service, store: Store, tmp_path: Path) -> None:
    pack = await exported(ccari, (await over(store)).id, tmp_path / "call.zip")
    pack.write_bytes(pack.read_bytes()[:-30])
    refused(
        await ccari.ccari("evidence", "verify", str(pack)),
        f"{pack} failed verification: it is not a ZIP file, or it is damaged",
    )
    refused(await ccari.ccari("evidence", "verify", str(tmp_path / "none.zip")), "cannot be read")


async def test_what_a_pack_calls_its_files_passes_for_what_is_said_of_it(
    ccari: Service, tmp_path: Path
) -> None:
    """Whoever has put one together chooses the names freely, and may know how to clear a terminal."""
    (public := tmp_path / "theirs.pem").write_bytes(KEY.public_pem)
    pack = tmp_path / "call.zip"
    pack.write_bytes(zipped({**files_of(packed()), "a\nccari: everything fits\x1b[A": b""}))
    done = await ccari.ccari("evidence", "verify", str(pack), "--key", str(public), environment=NOWHERE)
    refused(done, r"a\nccari: everything fits\x1b[A is not part of the signed pack")


async def test_the_service_leaves_journals_unsealed(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    """It seals when it begins, and when it ends; it does not need Asterisk for that."""
    await store.policies.apply(made.POLICY.split("[[campaigns]]")[0], "test")
    assert (await ccari.ccari("keys", "init")).code == 0
    (tmp_path / "spool").mkdir()
    left = await over(store)
    service = replace(ccari, environment={
        **ccari.environment, "CCARI_ASTERISK__URL": "http://127.0.0.1:9", "CCARI_ASTERISK__PASSWORD": "x",
        "CCARI_ASTERISK__SPOOL": str(tmp_path / "spool"), "CCARI_AGI__LISTEN": "off",
        "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
    })  # fmt: skip
    await service.spawn()
    await service.logged("journals_sealed")
    more = await over(store)
    assert await service.stop() == 0, service.errors.read_text()
    for call in (left, more):
        assert len((await store.seals.of_call(call.id)).seals) == 1


CHANGES = {
    "DELETE FROM sealed WHERE seal = 2": "seal 2, of {at}, does not match the journals that are stored with it",
    "UPDATE sealed SET events = 2 WHERE seal = 2": "seal 2, of {at}, does not match the journals that are stored with it",
    "DELETE FROM sealed WHERE seal = 2; DELETE FROM seals WHERE id = 2": "does not follow the seal before it",
    "UPDATE seals SET sealed_at = sealed_at + interval '1 second' WHERE id = 3": "has an invalid signature",
    "UPDATE seals SET key = 'x' WHERE id = 1": "is signed with the key x, which is not in [keys] dir",
    "UPDATE call_events SET link = sha256(link) WHERE seq = 3": "no longer matches its seal of",
    "DELETE FROM call_event_fields; DELETE FROM call_events": "no longer matches its seal of",
    "DELETE FROM accesses": "the record of accesses no longer matches its seal of",
    # of what comes before the last entry the seal itself says nothing
    "UPDATE call_events SET event = 'consent_given' WHERE seq = 2": "is damaged or was altered: entry 2 (consent_given) was changed",
    "DELETE FROM call_events WHERE seq = 1": "is damaged or was altered: entry 1 is missing",
    "UPDATE call_event_fields SET fields = '{}' WHERE seq = 2": "is damaged or was altered: the fields of entry 2 (key_pressed) were changed",
    "DELETE FROM calls": "no longer matches its seal of",
    "UPDATE request_events SET due = '2027-01-01' WHERE seq = 1": "is damaged or was altered: entry 1 (received L2 2027-01-01) was changed",
    "UPDATE calls SET sealed = 2": "is marked as sealed, but no seal has it",
    "UPDATE rights_requests SET sealed = 9": "is marked as sealed, but no seal has it",
    "UPDATE access_chain SET sealed = 2000000000": "the record of accesses is marked as sealed, but no seal has it",
    "UPDATE accesses SET event = 'exported'": "the record of accesses is damaged or was altered: entry 1 (exported) was changed",
}


async def test_a_seal_that_was_taken_out_or_changed_is_not_missed(
    ccari: Service, store: Store, database: Database
) -> None:
    await store.accesses.note(Access(Looked.NUMBER_CHECKED, "cli:anna", {"digest": "00"}))
    await stepped(store)
    for _ in range(3):
        await over(store)
        await ccari.ccari("evidence", "seal")
    done = await ccari.ccari("evidence", "check")
    assert done.out.startswith("3 seals of 5 journals: no fault was found\nthe newest is ")
    assert done.out.endswith("\n5 journals were checked, entry by entry\n")
    (row,) = await database.rows("SELECT sealed_at FROM seals WHERE id = 2")
    seals = [await database.rows(f"TABLE {each}") for each in ("seals", "sealed")]
    for change, fault in CHANGES.items():
        async with database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute(change)
            keys = SigningKeys(Path(ccari.environment["CCARI_DATA_DIR"]) / "keys").all()
            said = await faults(Seals(Within(connection)), keys)  # type: ignore[arg-type]
            await transaction.rollback()
        assert fault.format(at=f"{row['sealed_at']:%Y-%m-%d %H:%M:%S} UTC") in said, change
    assert [await database.rows(f"TABLE {each}") for each in ("seals", "sealed")] == seals


async def stepped(store: Store) -> str:
    """A request that was received, and answered."""
    exercise = replace(made.exercise(Right.ACCESS), level=Level.L2)
    reference = await store.requests.add("acme", exercise, made.digests())
    await store.requests.step(reference, RequestState.FULFILLED, by("cli:anna"))
    return reference


async def faults(seals: Seals, keys: Sequence[VerifyingKey]) -> str:
    try:
        return "; ".join((await check(seals, keys)).unfit)
    except EvidenceError as error:
        return str(error)


#: What one row may be changed to, and what is then said of its journal.
ENDS = {
    "UPDATE calls SET last_link = '' WHERE id = $1": "call {0} is damaged or was altered: the journal was rewritten",
    "UPDATE calls SET events = 2147483647, ended_at = 'infinity' WHERE id = $1": "call {0} is damaged or was altered: the journal ends at entry 3, but",
    "UPDATE calls SET events = 2 WHERE id = $1": "call {0} is damaged or was altered: the journal ends at entry 3, but",
    "UPDATE rights_requests SET last_link = ''": "request {1} is damaged or was altered: the journal was rewritten",
    "UPDATE rights_requests SET events = 1000000": "request {1} is damaged or was altered: the journal ends at entry 2, but",
    "UPDATE access_chain SET events = 3000000000": "the record of accesses is damaged or was altered: the record ends at entry 1, but",
}


@pytest.mark.parametrize("change", ENDS)
async def test_a_row_that_no_seal_can_hold_keeps_the_others_unsealed_or_hides(
    ccari: Service, store: Store, database: Database, change: str
) -> None:
    await store.accesses.note(Access(Looked.NUMBER_CHECKED, "cli:anna", {"digest": "00"}))
    call, reference = await over(store), await stepped(store)
    await forge(database, change, *([call.id] if "$1" in change else []))
    others = [await over(store) for _ in range(2)]
    assert (await ccari.ccari("evidence", "seal")).out == "4 journals were sealed\n"
    for each in others:
        assert len((await store.seals.of_call(each.id)).seals) == 1
    done = await ccari.ccari("evidence", "check")
    (told,) = done.out.splitlines()
    assert told.startswith(ENDS[change].format(call.id, reference))
    assert done.code == 1


async def test_of_many_journals_that_were_changed_one_is_named_or_what_was_erased_too(
    ccari: Service, store: Store, database: Database
) -> None:
    calls, reference = [await over(store) for _ in range(4)], await stepped(store)
    await ccari.ccari("evidence", "seal")
    await database.rows("DELETE FROM call_event_fields WHERE call_id = $1", calls[0].id)
    await database.rows("DELETE FROM request_event_details")
    await database.rows(
        "INSERT INTO erasures (reference, controller, begun_by) VALUES ($1, 'acme', 'anna')", reference
    )
    await store.calls.append(calls[0].id, "personal_data_erased", {})
    assert (await ccari.ccari("evidence", "check")).code == 0
    changed = sorted(each.id for each in calls[1:3])
    await forge(database, "UPDATE call_events SET event = 'x' WHERE seq = 1 AND call_id = ANY ($1)", changed)
    await forge(database, "DELETE FROM request_events WHERE seq = 1")
    done = await ccari.ccari("evidence", "check")
    told = [f"call {each} is damaged or was altered: entry 1 (x) was changed" for each in changed]
    assert done.out.splitlines() == [
        *told,
        f"request {reference} is damaged or was altered: entry 1 is missing",
    ]
    assert (done.code, done.err) == (1, f"ccari: 3 faults were found; the first: {told[0]}\n")


async def test_a_journal_is_mixed_up_with_the_next_where_the_rows_come_some_at_a_time(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.store.database.STREAM_ROWS", 2)
    for _ in range(3):
        await over(store)
        await stepped(store)
    await store.calls.open(call := made.call(), made.question(call))
    found = [each async for each in store.seals.journals()]
    assert [fault for *_, fault in found] == [None] * 8
    assert Counter(kind for kind, *_ in found) == {Kind.CALL: 4, Kind.REQUEST: 3, Kind.ACCESSES: 1}


class Within:
    """The database as seen within one transaction, which is rolled back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def stream(self, statement: str, *arguments: Any) -> AsyncIterator[list[dict[str, Any]]]:
        yield await self.rows(statement, *arguments)

    async def rows(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._connection.fetch(statement, *arguments)]


async def test_what_is_over_cannot_be_sealed_at_once(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    await over(store)
    assert (await ccari.ccari("evidence", "seal")).out == "1 journal was sealed\n"
    assert (await ccari.ccari("evidence", "seal")).out == "everything is sealed\n"
    shutil.rmtree(tmp_path / "keys")
    await over(store)
    refused(await ccari.ccari("evidence", "seal"), "there is no evidence key")
    assert len(await database.rows("SELECT * FROM seals")) == 1
