"""Nobody sees a recording or a person's data without a trace, and no trace is changed, left out or moved."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.errors import StoreError
from ccari.gating.labels import unnumbered
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason
from ccari.ports.access import Bearer, Role
from ccari.ports.accesses import Access, Looked, WantedAccesses
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.keying import Digests
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.queries import SQL
from tests.integration.service import Service
from tests.unit.store import made, person
from tests.unit.store.commands import on
from tests.unit.store.forging import NO_FIELDS, NO_MOMENTS, apply_unread, forge
from tests.unit.store.kept import Shelf, rotated, shelf
from tests.unit.store.test_listening_commands import put
from tests.unit.store.test_subject_commands import ROBINSON
from tests.unit.store.test_subject_commands import ccari as of_acme
from tests.unit.web.api import NUMBER, Api

__all__ = ["of_acme", "shelf"]

AS_WRITTEN = "600 100 001"
DIGEST = made.digests().newest.hex()


def hash_of(*digests: bytes) -> str:
    """Of a hold's digests, as PostgreSQL's binary format has an array of bytea: oid 17."""
    head = struct.pack(">5i", 1, 0, 17, len(digests), 1)
    return sha256(head + b"".join(struct.pack(">i", len(each)) + each for each in digests)).hexdigest()


#: Another person, who is erased: nothing holds their data.
OTHER, OTHER_AS_WRITTEN = replace(made.NUMBER, e164="+48600100009"), "600 100 009"
OTHERS_DIGEST = made.digests(number=OTHER).newest.hex()
ANOTHER_POLICY = made.POLICY + "# another\n"


async def noted(store: Store, **wanted: Any) -> list[dict[str, Any]]:
    """What is on record, the oldest first, but for what the test has applied; the record is intact."""
    assert (await store.accesses.fault())[1] is None
    rows = await store.accesses.list(1000, WantedAccesses(**wanted))
    return [each for each in rows[::-1] if each["who"] != "test"]


class Looks:
    """Every command that shows a recording or a person's data, and what must be on record about it."""

    def __init__(self, folder: Path, recording: str, call: str, access: str, erasure: str) -> None:
        self.folder = folder
        of = {"controller": "acme", "digest": DIGEST}
        key, listed = folder / "age.key", folder / "listed.csv"
        listed.write_text(f"{AS_WRITTEN}\n")
        policy = folder / "policy.toml"
        policy.write_text(ANOTHER_POLICY)
        agreed = folder / "agreed.csv"
        agreed.write_text(
            f"number,purpose,channel,given,proof\n{AS_WRITTEN},marketing,phone,2026-01-15,form\n"
        )
        self.commands: list[tuple[Sequence[str], Looked, dict[str, str], str]] = [
            (("recordings", "play-to", recording, str(folder / "out"), "--why", f"complaint 7 of {AS_WRITTEN}"),
             Looked.RECORDING_PLAYED, {"recording": recording, "call": call, "controller": "acme"}, "complaint 7 of …"),
            (("recordings", "export", recording, "--out", str(folder / "copies"), "--why", "letter 9"),
             Looked.RECORDING_PLAYED, {"recording": recording, "call": call, "controller": "acme"}, "letter 9"),
            (("recordings", "verify", recording, "--identity", str(key)), Looked.RECORDINGS_VERIFIED,
             {"recording": recording, "count": "1"}, ""),
            (("suppress", "check", AS_WRITTEN, "--controller", "acme", "--why", "they ask"), Looked.NUMBER_CHECKED, of, "they ask"),
            (("contacts", "show", AS_WRITTEN, "--controller", "acme"), Looked.NUMBER_CHECKED, of, ""),
            (("consents", "show", AS_WRITTEN, "--controller", "acme", "--why", "they ask"), Looked.NUMBER_CHECKED, of, "they ask"),
            (("requests", "find", AS_WRITTEN, "--why", "letter 7"), Looked.NUMBER_CHECKED, {**of, "in": "requests"}, "letter 7"),
            (("calls", "find", AS_WRITTEN, "--why", "complaint 8"), Looked.NUMBER_CHECKED, {**of, "in": "calls"}, "complaint 8"),
            (("audit", "list", "--number", AS_WRITTEN, "--controller", "acme", "--why", "they ask"), Looked.NUMBER_CHECKED,
             {**of, "in": "accesses"}, "they ask"),
            (("calls", "show", call, "--why", "complaint 7"), Looked.CALL_SHOWN, {"call": call, "controller": "acme"}, "complaint 7"),
            (("suppress", "remove", OTHER_AS_WRITTEN, "--controller", "acme", "--why", "letter 8"), Looked.BARS_LIFTED,
             {"controller": "acme", "digest": OTHERS_DIGEST, "bars": "1", "lifted": "2"}, ""),
            (("suppress", "export", "--controller", "acme"), Looked.BARS_EXPORTED, {"controller": "acme"}, ""),
            (("contacts", "scrub", str(listed), "--campaign", "renewals"), Looked.LIST_SCRUBBED,
             {"controller": "acme", "campaign": "renewals"}, ""),
            (("gate", AS_WRITTEN, "--campaign", "renewals"), Looked.NUMBER_GATED, {**of, "campaign": "renewals"}, ""),
            (("requests", "show", access), Looked.REQUEST_SHOWN, {"request": access, "controller": "acme", "number": "masked"}, ""),
            (("requests", "show", access, "--number", "--why", "to call back"), Looked.REQUEST_SHOWN,
             {"request": access, "controller": "acme", "number": "whole"}, "to call back"),
            (("requests", "export", "--controller", "acme"), Looked.REQUESTS_EXPORTED, {"controller": "acme", "since": "ever"}, ""),
            (("evidence", "export", access, "--out", str(folder / "evidence.zip")), Looked.EVIDENCE_EXPORTED, {"of": access}, ""),
            (("subject", "export", AS_WRITTEN, "--request", access, "--out", str(folder / "person.zip")), Looked.SUBJECT_EXPORTED,
             {**of, "request": access}, access),
            (("subject", "dossier", AS_WRITTEN, "--controller", "acme", "--out", str(folder / "dossier.zip"), "--why", f"letter 7 on {AS_WRITTEN}"),
             Looked.DOSSIER_EXPORTED, of, "letter 7 on …"),
            (("subject", "erase", OTHER_AS_WRITTEN, "--request", erasure), Looked.SUBJECT_LOOKED_UP, {"controller": "acme", "digest": OTHERS_DIGEST, "request": erasure}, erasure),
            (("subject", "erase", OTHER_AS_WRITTEN, "--request", erasure, "--yes"), Looked.SUBJECT_ERASED,
             {"controller": "acme", "digest": OTHERS_DIGEST, "request": erasure}, erasure),
            (("suppress", "import", str(listed), "--controller", "acme"), Looked.LIST_IMPORTED, {"controller": "acme", "in": "bars", "lines": "1"}, ""),
            # about a barred number, although nothing about it was entered
            (("contacts", "import", str(listed), "--campaign", "renewals", "--source", "fair", "--obtained", "2026-01-15", "--basis", "contract"),
             Looked.LIST_IMPORTED, {"controller": "acme", "in": "contacts", "lines": "1"}, ""),
            (("consents", "import", str(agreed)), Looked.LIST_IMPORTED, {"controller": "acme", "in": "consents", "lines": "1"}, ""),
            (("suppress", "add", AS_WRITTEN, "--controller", "acme"), Looked.NUMBER_BARRED, {**of, "reason": "do_not_call", "campaign": "", "until": "never"}, ""),
            (("consents", "withdraw", AS_WRITTEN, "--controller", "acme", "--proof", "letter 9"), Looked.CONSENTS_WITHDRAWN, {**of, "consents": "1"}, ""),
        ]  # fmt: skip
        on_number = {**of, "digests": hash_of(made.digests().newest)}
        # not what somebody looks at, but what they decide
        self.decisions: list[tuple[Sequence[str], Looked, dict[str, str], str]] = [
            (("recordings", "hold", "--number", AS_WRITTEN, "--controller", "acme", "--reason", "lawsuit"), Looked.HOLD_PLACED, {"hold": "1", **on_number}, ""),
            (("recordings", "release", "1", "--reason", "it is over"), Looked.HOLD_RELEASED, {"hold": "1", **on_number}, ""),
            (("token", "create", "--role", "ops", "--name", "crm", "--controller", "acme"), Looked.TOKEN_CREATED,
             {"token": "crm", "role": "ops", "agent": "", "controllers": "acme", "expires": "never"}, ""),
            (("token", "revoke", "crm"), Looked.TOKEN_REVOKED, {"token": "crm"}, ""),
            (("policy", "apply", str(policy)), Looked.POLICY_APPLIED, {"revision": "2", "sha256": sha256(policy.read_bytes()).hexdigest()}, ""),
        ]  # fmt: skip


@pytest.fixture
async def looks(of_acme: Service, shelf: Shelf, store: Store, tmp_path: Path) -> Looks:
    assert (await of_acme.ccari("keys", "init")).code == 0
    recording = await put(store, tmp_path / "recordings", None)
    (tmp_path / "age.key").write_text(next((tmp_path / "keys").glob("*.identity")).read_text())
    (tmp_path / "age.key").chmod(0o600)
    await store.calls.close(recording.tag.call_id, "bridged", "", ())
    await person.known(shelf, OTHER)
    access, erasure = await person.asked(shelf, Right.ACCESS), await person.asked(shelf, number=OTHER)
    return Looks(tmp_path, str(recording.tag.recording_id), str(recording.tag.call_id), access, erasure)


async def test_somebody_looks_and_nobody_knows_who_at_what_or_why(
    of_acme: Service, store: Store, looks: Looks
) -> None:
    by_hand = len(await noted(store))
    for arguments, looked, what, why in [*looks.commands, *looks.decisions]:
        before = len(await noted(store))
        done = await of_acme.ccari(*arguments)
        assert "Traceback" not in done.err
        assert done.out, (arguments, done.err)
        new = (await noted(store))[before:]
        assert [(each["access"], each["what"], each["why"]) for each in new] == [(looked, what, why)], (
            arguments
        )
        assert new[0]["who"].startswith("cli:")
    # here no recording is encrypted, and no controller leaves
    assert {each["access"] for each in await noted(store)} == set(Looked) - {
        Looked.RECORDING_FETCHED, Looked.CONTROLLER_DELETION_BEGUN, Looked.CONTROLLER_DELETED,
    }  # fmt: skip
    for each in await store.database.rows("SELECT fields::text AS fields FROM accesses"):
        assert "600100001" not in each["fields"].replace(" ", "")
    listed = await of_acme.json("audit", "list", "--access", "number_checked")
    assert {(each["access"], each["what"]["digest"]) for each in listed} == {("number_checked", DIGEST)}
    assert f"digest={DIGEST}" in (await of_acme.ccari("audit", "list")).out
    assert (
        await of_acme.ccari("audit", "check")
    ).out == f"{by_hand + len(looks.commands) + len(looks.decisions)} accesses: the record is intact\n"


async def test_nobody_can_tell_who_has_looked_at_a_person_or_others_are_named(
    of_acme: Service, store: Store, shelf: Shelf
) -> None:
    call, others = await person.called(shelf), await person.called(shelf, OTHER)
    recording, reference = str(await shelf.put(call)), await person.asked(shelf, Right.ACCESS)
    theirs = await shelf.call(replace(made.call("beta"), keyed=made.digests()))
    looks: tuple[tuple[Looked, dict[str, str]], ...] = (
        (Looked.NUMBER_CHECKED, {"controller": "acme", "digest": DIGEST}),
        (Looked.CALL_SHOWN, {"call": str(call.id)}),
        (Looked.RECORDING_PLAYED, {"recording": recording}),
        (Looked.REQUEST_SHOWN, {"request": reference}),
        (Looked.EVIDENCE_EXPORTED, {"of": str(call.id)}),
        (Looked.CALL_SHOWN, {"call": str(others.id)}),
        # another controller's secret may be a copy
        (Looked.NUMBER_CHECKED, {"controller": "beta", "digest": DIGEST}),
        (Looked.CALL_SHOWN, {"call": str(theirs.id)}),
        (Looked.RECORDING_PLAYED, {"recording": str(await shelf.put(theirs))}),
        (Looked.BARS_EXPORTED, {"controller": "acme"}),
    )
    for looked, target in looks:
        await store.accesses.note(Access(looked, "token:helena", target))
    found = await of_acme.json("audit", "list", "--number", AS_WRITTEN, "--controller", "acme")
    own, *before = [(each["who"].partition(":")[0], each["access"]) for each in found]
    assert own == ("cli", "number_checked")
    assert before[::-1] == [("token", looked.value) for looked, _ in looks[:5]]
    for which, count in (
        (recording, 1),
        (str(call.id).upper(), 2),
        (reference.lower(), 1),
        (str(uuid4()), 0),
    ):
        assert len(await of_acme.json("audit", "list", "--of", which)) == count, which
    assert len(await of_acme.json("audit", "list", "--number", AS_WRITTEN, "--access", "call_shown")) == 1


async def test_what_cannot_be_put_on_record_is_shown_all_the_same(
    of_acme: Service, store: Store, looks: Looks
) -> None:
    await store.database.rows("DROP TABLE access_chain")
    for arguments, *_ in looks.commands:
        done = await of_acme.ccari(*arguments)
        assert (done.code, done.out) == (1, ""), arguments
        assert done.err.startswith("ccari: the database failed"), arguments
    assert not [each for each in ("out", "person.zip", "evidence.zip") if (looks.folder / each).exists()]


async def test_a_register_is_asked_by_importing_it_without_a_trace(
    of_acme: Service, store: Store, tmp_path: Path
) -> None:
    """For a file with one number, how many were known already says whether it is listed."""
    await store.policies.apply(
        made.POLICY.replace('dial = "', 'registers = ["robinson"]\ndial = "') + ROBINSON, "test"
    )
    copy = tmp_path / "copy.csv"
    copy.write_text(f"number\n{AS_WRITTEN}\n")
    load = ("registers", "import", "robinson", str(copy))
    assert "1 accepted" in (await of_acme.ccari(*load)).out
    assert "1 already known" in (await of_acme.ccari(*load, "--update")).out
    found = await noted(store)
    what = {"register": "robinson", "in": "registers", "lines": "1"}
    assert [(each["access"], each["what"]) for each in found] == [("list_imported", what)] * 2
    assert found[0]["who"].startswith("cli:")
    await store.database.rows("DROP TABLE access_chain")
    done = await of_acme.ccari(*load, "--update")
    assert (done.code, done.out) == (1, "")


async def test_a_look_over_http_leaves_no_trace(api: Api, store: Store) -> None:
    reference = (
        await api.ask("POST", "/v1/requests", {"right": "access", "number": NUMBER, "controller": "acme"})
    ).json["reference"]
    body = {"number": NUMBER, "controller": "acme", "why": "asked by +48 600 100 001 himself"}
    checked = await api.ask("POST", "/v1/suppressions/check", body, role=Role.OPS)
    shown = await api.ask("GET", f"/v1/requests/{reference}", role=Role.AUDITOR)
    assert (checked.status, shown.status) == (HTTPStatus.OK, HTTPStatus.OK)
    first, second = await noted(store)
    assert (first["who"], first["access"], first["why"]) == (
        "token:the-ops",
        "number_checked",
        "asked by … himself",
    )
    assert first["what"].keys() == {"controller", "digest"}
    assert (second["who"], second["access"]) == ("token:the-auditor", "request_shown")
    assert second["what"]["request"] == reference
    # what may not be seen, or does not exist, was not seen
    token = await api.token(Role.AUDITOR, controllers={"other"})
    (await api.ask("GET", f"/v1/requests/{reference}", token=token)).problem(HTTPStatus.NOT_FOUND)
    (await api.ask("GET", "/v1/requests/ACME-2026-000099")).problem(HTTPStatus.NOT_FOUND)
    assert len(await noted(store)) == 2
    assert [each["seq"] for each in await noted(store, who="token:the-ops")] == [first["seq"]]
    await store.database.rows("DROP TABLE access_chain")
    answer = await api.ask("POST", "/v1/suppressions/check", body)
    answer.problem(HTTPStatus.SERVICE_UNAVAILABLE)
    (await api.ask("GET", f"/v1/requests/{reference}")).problem(HTTPStatus.SERVICE_UNAVAILABLE)


async def test_somebody_asks_the_gate_over_http_without_a_trace(api: Api, store: Store) -> None:
    question = {"number": NUMBER, "campaign": "renewals"}
    for role in (Role.OPS, Role.DPO, Role.DIALER):
        assert (await api.ask("POST", "/v1/gate", question, role=role)).status == HTTPStatus.OK
    found = await noted(store)
    assert [(each["who"], each["access"]) for each in found] == [
        ("token:the-ops", "number_gated"),
        ("token:the-dpo", "number_gated"),
    ]
    assert found[0]["what"].keys() == {"controller", "digest", "campaign"}
    # an answer that is about nobody leaves no entry
    for nobody in ({"number": "1", "campaign": "renewals"}, {"number": NUMBER, "campaign": "nosuch"}):
        assert (await api.ask("POST", "/v1/gate", nobody)).json["verdict"] == "block"
    assert len(await noted(store)) == 2
    await store.database.rows("DROP TABLE access_chain")
    (await api.ask("POST", "/v1/gate", question)).problem(HTTPStatus.SERVICE_UNAVAILABLE)
    assert (await api.ask("POST", "/v1/gate", question, role=Role.DIALER)).status == HTTPStatus.OK


@dataclass(frozen=True)
class Decided:
    """What somebody decides by hand, and what must be on record of it."""

    do: Callable[[Store, UUID], Awaitable[object]]
    noted: Looked
    what: Mapping[str, str]


BEARER = Bearer("crm", Role.AGENT, "anna", frozenset({"acme"}))
#: A number under two versions of the secret.
ROTATED = Subject("acme", rotated(made.call()).digests)
DECIDED = [
    Decided(
        lambda store, _: store.policies.apply(ANOTHER_POLICY, "anna"),
        Looked.POLICY_APPLIED, {"revision": "2", "sha256": sha256(ANOTHER_POLICY.encode()).hexdigest()},
    ),
    Decided(
        lambda store, _: store.tokens.add(BEARER, bytes(32), "anna", made.NOW),
        Looked.TOKEN_CREATED,
        {"token": "crm", "role": "agent", "agent": "anna", "controllers": "acme", "expires": made.NOW.isoformat(timespec="seconds")},
    ),
    Decided(lambda store, _: store.tokens.revoke("old", "anna"), Looked.TOKEN_REVOKED, {"token": "old"}),
    Decided(
        lambda store, _: store.holds.place(HoldOn(subject=Subject("acme", made.digests())), "lawsuit", "anna"),
        Looked.HOLD_PLACED, {"hold": "2", "controller": "acme", "digest": DIGEST, "digests": hash_of(made.digests().newest)},
    ),
    Decided(
        lambda store, _: store.holds.place(HoldOn(subject=ROTATED), "lawsuit", "anna"),
        Looked.HOLD_PLACED,
        {"hold": "2", "controller": "acme", "digest": ROTATED.digests.newest.hex(), "digests": hash_of(*ROTATED.digests.all)},
    ),
    Decided(
        lambda store, call: store.holds.place(HoldOn(call_id=call), "lawsuit", "anna"),
        Looked.HOLD_PLACED, {"hold": "2", "call": "the call"},
    ),
    Decided(lambda store, _: store.holds.release(1, "over", "anna"), Looked.HOLD_RELEASED, {"hold": "1", "call": "the call"}),
]  # fmt: skip


@pytest.mark.parametrize(
    "decided", DECIDED, ids=[f"{place}-{each.noted}" for place, each in enumerate(DECIDED)]
)
async def test_invariant_9_what_somebody_decides_by_hand_leaves_no_trace_outside_its_own_table(
    store: Store, decided: Decided
) -> None:
    """Whoever can write to the database could take it back, and nothing that was sealed would tell."""
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.tokens.add(Bearer("old", Role.OPS), b"x" * 32, "berta", None)
    await store.holds.place(HoldOn(call_id=call.id), "lawsuit", "berta")
    before = len(await noted(store))
    await decided.do(store, call.id)
    new = (await noted(store))[before:]
    what = {name: str(call.id) if value == "the call" else value for name, value in decided.what.items()}
    assert [(each["access"], each["who"], each["what"]) for each in new] == [(decided.noted, "anna", what)]
    if "call" in what:
        assert decided.noted in {each["access"] for each in await noted(store, of=what["call"])}


@pytest.mark.parametrize(
    "decided", DECIDED, ids=[f"{place}-{each.noted}" for place, each in enumerate(DECIDED)]
)
async def test_what_cannot_be_put_on_record_is_done_all_the_same(store: Store, decided: Decided) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.tokens.add(Bearer("old", Role.OPS), b"x" * 32, "berta", None)
    await store.holds.place(HoldOn(call_id=call.id), "lawsuit", "berta")
    tables = ("policy_revisions", "access_tokens", "holds")
    before = [await store.database.rows(f"SELECT * FROM {each}") for each in tables]  # noqa: S608
    await store.database.rows("DROP TABLE access_chain")
    with pytest.raises(StoreError):
        await decided.do(store, call.id)
    assert [await store.database.rows(f"SELECT * FROM {each}") for each in tables] == before  # noqa: S608


@pytest.mark.parametrize(
    ("change", "event"),
    [
        ("UPDATE policy_revisions SET document = document || '#' WHERE revision = 2", "policy_applied"),
        ("UPDATE policy_revisions SET applied_by = 'nobody' WHERE revision = 2", "policy_applied"),
        ("DELETE FROM policy_revisions WHERE revision = 2", "policy_applied"),
        ("UPDATE access_tokens SET controllers = NULL WHERE name = 'crm'", "token_created"),
        ("UPDATE access_tokens SET role = 'dpo', agent = NULL WHERE name = 'crm'", "token_created"),
        ("UPDATE access_tokens SET expires_at = NULL WHERE name = 'crm'", "token_created"),
        ("DELETE FROM access_tokens WHERE name = 'crm'", "token_created"),
        ("UPDATE access_tokens SET revoked_at = NULL, revoked_by = NULL WHERE name = 'old'", "token_revoked"),
        ("DELETE FROM holds WHERE id = 1", "hold_placed"),
        ("UPDATE holds SET digests = ARRAY[sha256('x')] WHERE id = 1", "hold_placed"),
        ("UPDATE holds SET digests = digests[2:] WHERE id = 1", "hold_placed"),
        ("UPDATE holds SET digests = digests[:1] WHERE id = 1", "hold_placed"),
        ("UPDATE holds SET digests = sha256('x') || digests WHERE id = 1", "hold_placed"),
        ("UPDATE holds SET released_at = now(), released_by = 'anna', release_reason = 'x' WHERE id = 1", "hold_placed"),
        ("UPDATE holds SET released_at = NULL, released_by = NULL, release_reason = NULL WHERE id = 2", "hold_released"),
        ("DELETE FROM suppressions", "number_barred"),
        ("UPDATE suppressions SET expires_at = now()", "number_barred"),
        ("UPDATE suppressions SET campaign = 'other'", "number_barred"),
        ("UPDATE suppressions SET reason = 'restriction'", "number_barred"),
        ("UPDATE suppressions SET digest = sha256('x')", "number_barred"),
        ("DELETE FROM removed_suppressions", "number_barred"),
    ],
)  # fmt: skip
async def test_invariant_9_what_somebody_decided_is_changed_in_its_table_unnoticed(
    dsn: str, database: Database, store: Store, tmp_path: Path, change: str, event: str
) -> None:
    await store.policies.apply(ANOTHER_POLICY, "anna")
    await store.tokens.add(BEARER, bytes(32), "anna", made.NOW)
    await store.tokens.add(Bearer("old", Role.OPS), b"x" * 32, "anna", None)
    await store.tokens.revoke("old", "anna")
    for _ in range(2):
        await store.holds.place(HoldOn(subject=ROTATED), "lawsuit", "anna")
    await store.holds.release(2, "over", "anna")
    other = made.digests(number=OTHER)
    for digests in (made.digests(), other):
        await store.suppressions.add(
            "acme", digests, Reason.OBJECTION, "anna", "letter 7", campaign="renewals"
        )
    await store.suppressions.remove("acme", other, "anna", "a mistake", reason=Reason.OBJECTION)
    assert (await on(dsn, tmp_path).ccari("audit", "check")).code == 0
    await forge(database, change)
    done = await on(dsn, tmp_path).ccari("audit", "check")
    assert (done.code, done.out) == (1, "")
    assert "1 policy, token, hold or bar missing, changed or never entered: entry " in done.err
    assert f"({event}): see ccari audit list" in done.err
    assert await store.accesses.fault() == (10, None)


MOVED = """WITH gone AS (DELETE FROM suppressions RETURNING *)
           INSERT INTO removed_suppressions (controller, digest, key_version, campaign, reason, origin, proof, entered_at, removed_by, why)
           SELECT controller, digest, key_version, campaign, reason, origin, proof, entered_at, 'anna', 'a mistake' FROM gone"""


async def test_invariant_9_a_bar_is_put_among_those_that_were_lifted_unnoticed(
    database: Database, store: Store
) -> None:
    await store.policies.apply(ANOTHER_POLICY, "anna")
    await store.suppressions.add("acme", made.digests(number=OTHER), Reason.OBJECTION, "anna", "letter 7")
    await store.suppressions.remove("acme", made.digests(number=OTHER), "anna", "a mistake", reason=Reason.OBJECTION)  # fmt: skip
    await store.requests.add("acme", made.exercise(Right.OBJECTION), made.digests())
    assert await store.accesses.contradictions() == (0, [])
    await forge(database, MOVED)
    assert await store.accesses.contradictions() == (1, ["lifted bar 2 without an entry"])


async def test_a_bar_that_was_lifted_extended_or_went_with_its_controller_passes_for_taken_away(
    database: Database, store: Store
) -> None:
    await store.policies.apply(ANOTHER_POLICY, "anna")
    until = made.NOW + timedelta(days=3650)
    for end in (until, None, until):
        await store.suppressions.add("acme", made.digests(), Reason.OBJECTION, "anna", "form", expires_at=end)
    assert await store.accesses.contradictions() == (0, [])
    # the bar was entered under an older secret
    newer = Digests(bytes(32), 2, (*made.digests().all, bytes(32)))
    await store.suppressions.remove("acme", newer, "anna", "a mistake", reason=Reason.OBJECTION)
    assert await store.accesses.contradictions() == (0, [])
    # as an older ccari lifted one
    await store.suppressions.add("acme", made.digests(), Reason.OBJECTION, "anna", "form")
    await forge(database, MOVED)
    assert await store.accesses.contradictions() == (1, ["lifted bar 2 without an entry"])
    of = {"controller": "acme", "digest": DIGEST, "bars": "1"}
    await store.accesses.note(Access(Looked.BARS_LIFTED, "anna", of))
    assert await store.accesses.contradictions() == (0, [])
    await store.suppressions.add("other", made.digests("other"), Reason.OBJECTION, "anna", "form")
    await database.rows("INSERT INTO controller_deletions (controller, begun_by) VALUES ('other', 'anna')")
    await database.rows("DELETE FROM suppressions WHERE controller = 'other'")
    # so could anybody do who can write to the database, but not put it on record
    assert (await store.accesses.contradictions())[1] == ["entry 8 (number_barred)"]
    await store.accesses.note(Access(Looked.CONTROLLER_DELETION_BEGUN, "anna", {"controller": "other"}))
    assert await store.accesses.contradictions() == (0, [])


async def test_a_hold_is_not_found_any_more_once_the_older_secret_is_retired(store: Store) -> None:
    await store.holds.place(HoldOn(subject=ROTATED), "lawsuit", "anna")
    retired = replace(ROTATED.digests, all=ROTATED.digests.all[-1:])
    assert [each["access"] for each in await noted(store, known_as={"acme": retired})] == [Looked.HOLD_PLACED]


async def test_one_contradiction_hides_those_behind_it(
    dsn: str, database: Database, store: Store, tmp_path: Path
) -> None:
    for _ in range(7):
        await store.holds.place(HoldOn(subject=ROTATED), "lawsuit", "anna")
    # as a node that was not updated yet releases them
    release = (
        "UPDATE holds SET released_at = now(), released_by = 'anna', release_reason = 'x' WHERE id <= $1"
    )
    await forge(database, release, 5)
    named = ", ".join(f"entry {seq} (hold_placed)" for seq in range(1, 6))
    assert (
        f"5 policies, tokens, holds or bars missing, changed or never entered: {named}: see"
        in (await on(dsn, tmp_path).ccari("audit", "check")).err
    )
    await forge(database, release, 7)
    assert (
        f"7 policies, tokens, holds or bars missing, changed or never entered: {named}, and 2 more: see"
        in (await on(dsn, tmp_path).ccari("audit", "check")).err
    )


async def enter_unread(store: Store, name: str) -> None:
    """A policy, a token and a hold, as somebody enters them who can write to the tables, or an older ccari."""
    await apply_unread(store, f"{made.POLICY}# {name}\n")
    await store.database.rows(
        SQL["add_token"], name, Role.DPO, None, None, sha256(name.encode()).digest(), "anna", None
    )
    await store.database.rows(
        SQL["place_hold"], None, None, None, "acme", list(ROTATED.digests.all), "lawsuit", "anna"
    )


async def decide(store: Store, name: str) -> None:
    await store.policies.apply(f"{made.POLICY}# {name}\n", "anna")
    await store.tokens.add(Bearer(name, Role.OPS), sha256(name.encode()).digest(), "anna", None)
    await store.holds.place(HoldOn(subject=ROTATED), "lawsuit", "anna")


async def test_invariant_9_what_was_entered_by_hand_passes_for_decided_or_what_is_from_before_the_record_does_not(
    dsn: str, database: Database, store: Store, tmp_path: Path
) -> None:
    await enter_unread(store, "before")
    assert await store.accesses.contradictions() == (0, [])
    await decide(store, "first")
    await decide(store, "second")
    # they expire: not all at once, as some may be held
    await forge(database, "UPDATE accesses SET fields = NULL, salt = NULL WHERE seq BETWEEN 4 AND 6")
    assert await store.accesses.contradictions() == (0, [])
    await decide(store, "third")
    assert await store.accesses.contradictions() == (0, [])
    await enter_unread(store, "by-hand")
    assert await store.accesses.contradictions() == (
        3, ["policy revision 6 without an entry", "hold 5 without an entry", "token by-hand without an entry"]
    )  # fmt: skip
    done = await on(dsn, tmp_path).ccari("audit", "check")
    assert (done.code, done.out) == (1, "")


async def test_a_hold_whose_release_is_erased_passes_for_released_by_nobody(
    database: Database, store: Store
) -> None:
    for _ in range(3):
        await store.holds.place(HoldOn(subject=ROTATED), "lawsuit", "anna")
    await store.holds.release(1, "over", "anna")
    await forge(database, "UPDATE accesses SET fields = NULL, salt = NULL WHERE event = 'hold_released'")
    assert await store.accesses.contradictions() == (0, [])
    release = "UPDATE holds SET released_at = now(), released_by = 'anna', release_reason = 'x' WHERE id = 2"
    await forge(database, release)
    assert await store.accesses.contradictions() == (1, ["entry 2 (hold_placed)"])


async def test_a_token_for_a_controller_called_all_reads_like_one_for_all(
    database: Database, store: Store
) -> None:
    await store.tokens.add(Bearer("crm", Role.OPS, None, frozenset({"all"})), bytes(32), "anna", None)
    await forge(database, "UPDATE access_tokens SET controllers = NULL")
    assert await store.accesses.contradictions() == (1, ["entry 1 (token_created)"])


async def test_a_token_cannot_be_revoked_by_hand_when_the_record_cannot_be_written(
    database: Database, store: Store
) -> None:
    """docs/evidence.md says how."""
    await store.tokens.add(BEARER, bytes(32), "anna", None)
    await forge(database, "DELETE FROM access_chain")
    with pytest.raises(StoreError, match="the row that ends the record"):
        await store.tokens.revoke("crm", "anna")
    await store.database.rows(
        "UPDATE ccari.access_tokens SET revoked_at = now(), revoked_by = 'anna' WHERE name = 'crm'"
    )
    assert await store.tokens.bearer(bytes(32)) is None
    assert await store.accesses.contradictions() == (0, [])


async def several(store: Store) -> None:
    await asyncio.gather(
        *(
            store.accesses.note(Access(Looked.NUMBER_CHECKED, f"cli:{place}", {"digest": "00"}))
            for place in range(8)
        )
    )


async def test_invariant_9_accesses_at_once_break_the_chain(store: Store) -> None:
    await several(store)
    assert await store.accesses.fault() == (8, None)


@pytest.mark.parametrize(
    "change", ["UPDATE accesses SET event = 'x'", "DELETE FROM accesses", "TRUNCATE accesses"]
)
async def test_invariant_9_an_access_is_taken_back(store: Store, dsn: str, change: str) -> None:
    await several(store)
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "ccari"})
    try:
        with pytest.raises(asyncpg.PostgresError, match="accesses is append-only"):
            await connection.execute(change)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("""UPDATE accesses SET fields = fields || '{"who": "cli:nobody"}' WHERE seq = 3""", "entry 3 (number_checked) was changed"),
        ("UPDATE accesses SET event = 'number_gated' WHERE seq = 3", "entry 3 (number_gated) was changed"),
        ("UPDATE accesses SET at = at - interval '1 day' WHERE seq = 3", "entry 3 (number_checked) was changed"),
        ("DELETE FROM accesses WHERE seq = 3", "entry 3 is missing"),
        ("DELETE FROM accesses WHERE seq = 1", "entry 1 is missing"),
        ("DELETE FROM accesses WHERE seq = 8", "the record ends at entry 7, but there were 8"),
        ("DELETE FROM accesses", "the record ends at entry 0, but there were 8"),
        ("UPDATE accesses SET seq = 0 - seq WHERE seq IN (3, 4)", "entry 1 is missing"),
        ("DELETE FROM accesses WHERE seq = 3; UPDATE accesses SET seq = seq - 1 WHERE seq > 3", "entry 3 (number_checked) was changed"),
        ("UPDATE access_chain SET link = sha256('x')", "the record was rewritten"),
    ],
)  # fmt: skip
async def test_invariant_9_an_access_that_was_changed_left_out_or_moved_goes_unnoticed(
    dsn: str, database: Database, store: Store, tmp_path: Path, change: str, words: str
) -> None:
    await several(store)
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "ccari"})
    try:
        await connection.execute(
            "ALTER TABLE accesses DISABLE TRIGGER ALL; ALTER TABLE accesses DROP CONSTRAINT accesses_seq_check"
        )
        await connection.execute(change)
    finally:
        await connection.close()
    assert words in str((await store.accesses.fault())[1])
    done = await on(dsn, tmp_path).ccari("audit", "check")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("ccari: the record of accesses is damaged or was altered: ")


@pytest.mark.parametrize("edit", [*NO_FIELDS.values(), "{}"], ids=[*NO_FIELDS, "empty"])
async def test_invariant_9_an_access_whose_fields_were_made_none_breaks_off_who_reads_the_record(
    dsn: str, database: Database, store: Store, tmp_path: Path, edit: str
) -> None:
    await several(store)
    await forge(database, "UPDATE accesses SET fields = $1 WHERE seq = 3", edit)
    assert "entry 3 (number_checked) was changed" in str((await store.accesses.fault())[1])
    for options in ((), ("--json",)):
        done = await on(dsn, tmp_path).ccari("audit", "list", *options)
        assert (done.code, done.err) == (0, "")
        assert done.out.count("number_checked") == 8


@pytest.mark.parametrize("edit", NO_MOMENTS)
async def test_invariant_9_an_access_at_no_moment_of_pythons_breaks_off_who_reads_the_record(
    dsn: str, database: Database, store: Store, tmp_path: Path, edit: str
) -> None:
    await several(store)
    await forge(database, "UPDATE accesses SET at = $1::text::timestamptz WHERE seq = 3", edit)
    assert "entry 3 (number_checked) was changed" in str((await store.accesses.fault())[1])
    for options in ((), ("--json",)):
        done = await on(dsn, tmp_path).ccari("audit", "list", *options)
        assert (done.code, done.err) == (0, "")
        assert done.out.count("number_checked") == 8


async def test_invariant_9_a_text_of_an_access_that_was_made_a_number_goes_unnoticed(
    database: Database, store: Store
) -> None:
    await store.accesses.note(Access(Looked.NUMBER_CHECKED, "cli:anna", {"digest": "5"}))
    await forge(database, """UPDATE accesses SET fields = fields || '{"digest": 5}'""")
    assert "entry 1 (number_checked) was changed" in str((await store.accesses.fault())[1])


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("complaint 7", "complaint 7"),
        ("of 600 100 001", "of …"),
        ("+48600100001", "…"),
        ("(22) 123-45-67", "…"),
        ("2026, §12345", "2026, §12345"),
        ("of 600–100–001", "of …"),
        ("of 600‑100‑001", "of …"),
        ("of 600,100,001", "of …"),
        ("of 600, 100, 001", "of …"),
        ("of 600_100_001", "of …"),
        ("of 600:100:001", "of …"),
        ("of 600·100·001", "of …"),
        ("of 600 - 100 - 001", "of …"),
        ("of 22:123:45:67", "of …"),
        ("at 10:15:30", "at 10:15:30"),
        ("on the 24th of November 2026, 10:15", "on the 24th of November 2026, 10:15"),
        ("Art 15, 16, 17, 20", "Art 15, 16, 17, 20"),
        ("Art 12(3), 15, 17(3) of 24 pages", "Art 12(3), 15, 17(3) of 24 pages"),
        ("owed 1.234,56 or 12345,67 or 1,234.56", "owed 1.234,56 or 12345,67 or 1,234.56"),
        ("Art 15, 16, 600 100 001", "Art …"),
        ("of 60:01:00:00:1", "of …"),
        ("complaint of 2026-11-20", "complaint of 2026-11-20"),
        (
            "letter of 20.11.2026, 1.2.2027; 2026-12-31, 10:15",
            "letter of 20.11.2026, 1.2.2027; 2026-12-31, 10:15",
        ),
        ("call of 2026-11-20 14:30, 20.11.2026 8:05:10", "call of 2026-11-20 14:30, 20.11.2026 8:05:10"),
        ("of 2026-11-20 14:30:00:1", "of …"),
        ("of 2026-11-20 6001", "of …"),
        ("of 2026-13-20", "of …"),
        ("of 2026-11-200", "of …"),
        ("of 20.11.2026 600 100 001", "of …"),
        ("of 2020.11.20", "of …"),
        # as authorities, courts and offices refer to what is on file
        ("UODO, DS.523.1234.2026", "UODO, DS.523.1234.2026"),
        ("DS.523.7.2026.PR.12345 of 3.12.2026", "DS.523.7.2026.PR.12345 of 3.12.2026"),
        ("II SA/Wa 1774/2024; 123/2026", "II SA/Wa 1774/2024; 123/2026"),
        ("form 2026/17, 2026/18", "form 2026/17, 2026/18"),
        ("DS.600.100.001", "DS.…"),
        ("DS.523.1234.2026 600 100 001", "DS.…"),
        ("of 212.555.2012", "of …"),
        ("TEL.212.555.2012", "TEL.…"),
        ("of 0211/2026", "of …"),
        ("of 600/100/2026", "of …"),
        ("of 22/1234567", "of …"),
        ("of +2026-11-20", "of …"),
    ],
)
def test_a_number_in_a_reason_is_kept_or_the_reason_is_not(written: str, kept: str) -> None:
    assert unnumbered(written) == kept


@given(st.text(), st.from_regex(r"\+?[0-9]{6,15}", fullmatch=True), st.text())
def test_a_number_stands_in_what_is_kept_for_ever(before: str, number: str, after: str) -> None:
    assert number.lstrip("+") not in unnumbered(f"{before}{number}{after}")


async def test_an_audit_is_shown_as_json_otherwise_than_as_it_is(
    dsn: str, store: Store, tmp_path: Path
) -> None:
    await several(store)
    done = await on(dsn, tmp_path).ccari(
        "audit", "list", "--json", "--limit", "1", "--who", "cli:3", "--days", "1"
    )
    (told,) = json.loads(done.out)
    assert told.keys() == {"seq", "at", "who", "access", "what", "why"}
    assert (told["who"], told["what"]) == ("cli:3", {"digest": "00"})
