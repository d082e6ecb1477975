"""``ccari recordings hold``, ``release``, ``holds``, ``purge`` and ``list``, run as a person runs them."""

import asyncio
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy.retention import HoldKind
from ccari.policy.rights import Level, RequestState, Right
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.integration.service import Service, command
from tests.unit.store import made
from tests.unit.store.commands import AS_WRITTEN, on, refused
from tests.unit.store.expiring import keeper_of
from tests.unit.store.kept import DAY, NOW, Shelf, holds_on
from tests.unit.store.made import new_secret
from tests.unit.store.test_requests import added, by, letter

OVER = NOW - DAY
LEGAL = {HoldKind.LEGAL}


@pytest.fixture
def ccari(dsn: str, tmp_path: Path) -> Service:
    new_secret(SecretStore(tmp_path / "keys"), "acme")
    return on(dsn, tmp_path)


async def run(ccari: Service, *arguments: object) -> str:
    """A command that succeeds."""
    done = await ccari.ccari("recordings", *map(str, arguments))
    assert done.code == 0, done.err
    return done.out


async def test_a_hold_cannot_be_placed_found_or_released(ccari: Service, store: Store, shelf: Shelf) -> None:
    recording = await shelf.put(limit=OVER)
    assert "hold 1 keeps 1 stored recording," in await run(ccari, "hold", recording, "--reason", "case [7]")
    text = await run(ccari, "holds")
    assert "case [7]" in text
    assert str(recording) in text
    (row,) = await ccari.json("recordings", "holds")
    assert (row["on"], row["what"], row["controller"], row["recordings"]) == (
        "recording",
        str(recording),
        "acme",
        1,
    )
    assert row["placed_by"].startswith("cli:")
    released = await run(ccari, "release", 1, "--reason", "settled")
    assert released == "hold 1 is released; it was on 1 stored recording\n"
    assert await run(ccari, "holds") == "there are no holds\n"
    assert "settled" in await run(ccari, "holds", "--all")
    again = await ccari.ccari("recordings", "release", "1", "--reason", "again")
    refused(again, "hold 1 was released on")
    # where it is shown
    refused(again, ": see ccari recordings holds --all")


async def test_a_hold_is_placed_on_another_thing_than_was_said(
    ccari: Service, store: Store, shelf: Shelf, tmp_path: Path
) -> None:
    keys = SecretStore(tmp_path / "keys")
    new_secret(keys, "acme")
    call = await shelf.call(replace(made.call(), keyed=keys.digests("acme", made.NUMBER)))
    recording = await shelf.put(call)
    reference = await store.calls.register_right(call, made.exercise(Right.OBJECTION_MARKETING), ())
    for what, kind in (
        ((str(recording),), "recording"),
        (("--call", str(call.id)), "call"),
        (("--request", reference.lower()), "request"),
        (("--number", AS_WRITTEN, "--controller", "acme"), "number"),
    ):
        placed = await ccari.json("recordings", "hold", *what, "--reason", "lawsuit")
        assert (placed["on"], placed["recordings"]) == (kind, 1)
        assert made.NUMBER.digits not in json.dumps(placed)
        assert await holds_on(store, [recording]) == {recording: LEGAL}
        await ccari.json("recordings", "release", str(placed["id"]), "--reason", "settled")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--reason", "lawsuit"), 2, "give one of RECORDING, --call, --request and --number"),
        (("--call", str(uuid4()), "--number", AS_WRITTEN, "--reason", "lawsuit"), 2, "give one of RECORDING"),
        (("--request", "", "--reason", "lawsuit"), 2, "give one of RECORDING"),
        (("--number", AS_WRITTEN, "--reason", " "), 2, "say why"),
        (("--number", AS_WRITTEN), 2, "Missing option '--reason'"),
        (("--number", AS_WRITTEN, "--reason", "+48 600-100-001 sues us"), 1, "it contains the number"),
        (("--number", "12", "--reason", "lawsuit"), 1, "this number cannot be called"),
        (
            ("--request", "ACME-2026-000009", "--reason", "lawsuit"),
            1,
            "there is no request 'ACME-2026-000009'",
        ),
    ],
    ids=[
        "nothing",
        "two things",
        "an empty thing",
        "no words",
        "no reason",
        "the number",
        "no number",
        "no request",
    ],
)
async def test_a_hold_is_placed_that_nobody_could_make_out(
    ccari: Service, database: Database, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = await ccari.ccari("recordings", "hold", *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in " ".join(done.err.replace("│", " ").split())
    assert "Traceback" not in done.err
    assert await database.rows("SELECT FROM holds") == []


async def test_a_purge_deletes_before_it_is_told_to_or_what_is_not_due(ccari: Service, shelf: Shelf) -> None:
    due, not_yet, held = await shelf.put(limit=OVER), await shelf.put(), await shelf.put(limit=OVER)
    await run(ccari, "hold", held, "--reason", "lawsuit")
    done = await ccari.ccari("recordings", "purge")
    assert done.code == 0
    assert "1 due, but held by legal hold 1 (lawsuit)" in done.out
    assert "retention" in done.out
    assert done.err == "nothing has been deleted yet: add --yes to delete 1\n"
    plan = await ccari.json("recordings", "purge")
    told = {"controller": "acme", "campaign": "renewals", "why": "retention", "recordings": 1}
    assert plan == {
        "due": [told], "held": 1, "held_by": {"legal hold 1 (lawsuit)": 1}, "begun": 0, "deleted": None, "missing": None,
        "faults": {},
    }  # fmt: skip
    assert [await shelf.fate(each) for each in (due, not_yet, held)] == [None, None, None]
    assert (await run(ccari, "purge", "--yes")).endswith("1 deleted\n")
    assert [await shelf.fate(each) for each in (due, not_yet, held)] == ["retention", None, None]
    assert (await run(ccari, "purge")).startswith("nothing is due, apart from what is held\n")


@pytest.mark.parametrize("one", [True, False])
async def test_a_purge_says_that_it_deleted_what_another_node_has_in_a_folder_of_its_own(
    ccari: Service, shelf: Shelf, *, one: bool
) -> None:
    """The audio was still there, and the person had been told that it is gone."""
    elsewhere, here = await shelf.put(limit=OVER), await shelf.put(limit=OVER)
    (shelf.folder / (await shelf.row(elsewhere))["file"]).unlink()
    which = (str(elsewhere), "--reason", "asked") if one else ()
    done = await ccari.ccari("recordings", "purge", *which, "--yes", "--json")
    assert done.code == 0
    assert json.loads(done.out)["missing"] == 1
    assert done.err.startswith(f"ccari: 1 of them had no file in {shelf.folder}: ")
    if one:
        done = await ccari.ccari("recordings", "purge", str(here), "--reason", "asked", "--yes", "--json")
        assert (json.loads(done.out)["missing"], done.err) == (0, "")


async def test_a_purge_leaves_what_was_begun(ccari: Service, shelf: Shelf, database: Database) -> None:
    recording = await shelf.put(limit=OVER)
    await database.rows(
        "INSERT INTO deletions (recording_id, why, decided_by) VALUES ($1, 'retention', 'x')", recording
    )
    assert "1 whose deletion began earlier, but whose files still exist" in await run(ccari, "purge")
    assert (await ccari.json("recordings", "purge", "--yes"))["deleted"] == 1
    assert await shelf.fate(recording) == "retention"


async def test_one_recording_is_purged_without_a_word_or_at_once(ccari: Service, shelf: Shelf) -> None:
    recording, other = await shelf.put(), await shelf.put()
    done = await ccari.ccari("recordings", "purge", str(recording), "--reason", "wrong number")
    assert (done.code, done.err) == (0, "nothing has been deleted yet: add --yes to delete 1\n")
    assert done.out.startswith(f"recording {recording} of renewals, ")
    assert await shelf.fate(recording) is None
    purged = await ccari.json("recordings", "purge", str(recording), "--reason", "wrong number", "--yes")
    assert (purged["deleted"], purged["faults"]) == (1, {})
    assert [await shelf.fate(each) for each in (recording, other)] == ["purge wrong number", None]
    (told,) = await shelf.database.rows(
        "SELECT fields->>'by' AS by FROM call_event_fields WHERE fields->>'why' = 'purge'"
    )
    assert told["by"].startswith("cli:")


async def test_a_recording_of_the_first_hours_of_a_day_is_said_to_be_of_the_day_before(
    ccari: Service, shelf: Shelf, database: Database
) -> None:
    """That is how it is listed when about to be deleted, though the lists give the day where the centre is."""
    recording, night = await shelf.put(limit=NOW + DAY), datetime(2026, 8, 1, 23, 30, tzinfo=UTC)
    await database.rows(
        "UPDATE recordings SET tagged_at = $1, started_at = $1, delete_at = $2", night, night + 90 * DAY
    )
    process = await asyncio.create_subprocess_exec(
        *command("recordings", "purge", str(recording), "--reason", "wrong number"), cwd="/", stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **ccari.environment, "TZ": "Europe/Warsaw"},
    )  # fmt: skip
    told = (await process.communicate())[0].decode()
    assert f"recording {recording} of renewals, 2026-08-02 01:30:00 CEST, " in told
    assert ": due 2026-10-31 00:30:00 CET\n" in told


async def test_a_purge_takes_what_is_held_or_bound(ccari: Service, store: Store, shelf: Shelf) -> None:
    call = await shelf.call()
    held, bound = await shelf.put(call), await shelf.put(basis="legal_obligation")
    reference = await store.calls.register_right(call, made.exercise(Right.HUMAN_REVIEW), ())
    await run(ccari, "hold", held, "--reason", "lawsuit")
    purge = ("--reason", "tidying up", "--yes")
    refused(
        await ccari.ccari("recordings", "purge", str(held), *purge),
        f"held by legal hold 1 (lawsuit) and by request {reference} (human_review)",
    )
    await run(ccari, "release", 1, "--reason", "settled")
    await store.requests.step(reference, RequestState.WITHDRAWN, by("cli:anna", "by phone"))
    assert "1 deleted" in await run(ccari, "purge", held, *purge)
    refused(await ccari.ccari("recordings", "purge", str(bound), *purge), "a legal obligation keeps it until")
    refused(await ccari.ccari("recordings", "purge", str(held), *purge), f"no recording {held} is stored")
    assert await shelf.fate(bound) is None


async def test_a_purge_that_failed_passes_for_one_that_did_not(ccari: Service, shelf: Shelf) -> None:
    await shelf.put(limit=OVER)
    shelf.folder.rename(shelf.folder.with_name("away"))
    done = await ccari.ccari("recordings", "purge", "--yes")
    assert done.code == 1
    assert done.out.endswith("0 deleted\n")
    assert done.err.startswith("ccari: 1 could not be deleted: there is no folder")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--reason", "tidying up"), (str(uuid4()),)])
async def test_a_purge_is_taken_for_another(ccari: Service, arguments: tuple[str, ...]) -> None:
    done = await ccari.ccari("recordings", "purge", *arguments, "--yes")
    assert (done.code, done.out) == (2, "")


async def test_a_list_hides_until_when_or_why_a_recording_is_kept(
    ccari: Service, store: Store, shelf: Shelf
) -> None:
    call = await shelf.call()
    refused_, held = await shelf.put(call, basis="consent"), await shelf.put()
    # after what was recorded, which it could not take back otherwise
    refusal = replace(made.exercise(Right.REFUSE_RECORDING), received_at=NOW)
    reference = await store.calls.register_right(call, refusal, ())
    gone = await shelf.put(limit=OVER)
    await shelf.round()
    await store.calls.register_right(call, made.exercise(Right.HUMAN_REVIEW), ())
    await run(ccari, "hold", held, "--reason", "lawsuit")
    rows = {row["id"]: row for row in await ccari.json("recordings", "list")}
    told: dict[str, tuple[Any, ...]] = {
        each: (row["state"], row["due"] is not None, row["due_for"], row["held_by"])
        for each, row in rows.items()
    }
    assert told == {
        str(refused_): ("deleted", False, None, []),
        str(gone): ("deleted", False, None, []),
        str(held): ("stored", True, "retention", ["legal hold 1 (lawsuit)", "request ACME-2026-000002 (human_review)"]),
    }  # fmt: skip
    assert reference == "ACME-2026-000001"
    assert (rows[str(refused_)]["deletion"], rows[str(refused_)]["deletion_ref"]) == (
        "consent_withdrawn",
        reference,
    )
    text = await run(ccari, "list")
    assert "legal hold 1 (lawsuit); request ACME-2026-000002 (human_review)" in " ".join(text.split())


async def test_a_hold_on_a_number_ends_with_a_rotation_and_nobody_is_told(ccari: Service) -> None:
    done = await ccari.ccari("recordings", "hold", "--number", made.NUMBER.e164, "--reason", "a court's file")
    assert done.code == 0, done.err
    done = await ccari.ccari("keys", "rotate")
    assert (done.code, done.out) == (1, "")
    assert "the holds 1 of 'acme' are on numbers" in done.err
    assert (
        ": repeat this with --yes, and then place each of them again: ccari recordings hold --number"
        in done.err
    )
    done = await ccari.ccari("keys", "rotate", "--yes")
    assert done.code == 0, done.err
    assert "version 2 is used from now on" in done.out
    assert "the holds 1 do not cover calls that are made from now on: place each of them again" in done.out
    assert (await ccari.ccari("recordings", "release", "1", "--reason", "settled")).code == 0
    assert (await ccari.ccari("keys", "rotate")).out == "acme: version 3 is used from now on; back it up\n"


async def test_a_hold_on_a_closed_request_ends_with_a_rotation_and_nobody_is_told(
    ccari: Service, store: Store
) -> None:
    reference = await added(store, level=Level.L2)
    assert (await ccari.ccari("recordings", "hold", "--request", reference, "--reason", "lawsuit")).code == 0
    assert (await ccari.ccari("keys", "rotate")).code == 0
    await store.requests.step(reference, RequestState.FULFILLED, by("cli:anna"))
    refused(
        await ccari.ccari("keys", "rotate"),
        "the holds 1 of 'acme' are on numbers, or on closed requests whose number is erased, and would not cover calls that are made after the rotation: "
        "repeat this with --yes",
    )


async def test_a_hold_is_said_to_keep_what_comes_after_a_rotation_that_the_closed_request_was_before(
    ccari: Service, store: Store
) -> None:
    place, missed = ("recordings", "hold", "--reason", "lawsuit"), "one on the number does"
    before = await added(store, level=Level.L2)
    open_ = await added(store, level=Level.L2)
    await store.requests.step(before, RequestState.FULFILLED, by("cli:anna"))
    done = await ccari.ccari(*place, "--request", before)
    assert (done.code, done.err) == (0, "")
    assert (await ccari.ccari("keys", "rotate", "--yes")).code == 0
    done = await ccari.ccari(*place, "--request", before)
    assert (done.code, missed in done.err) == (0, True)
    assert "still to come" not in done.out
    done = await ccari.ccari(*place, "--request", open_)
    assert (done.code, done.err) == (0, "")
    await store.requests.step(open_, RequestState.FULFILLED, by("cli:anna"))
    for what in (("--request", open_), ("--number", made.NUMBER.e164)):
        done = await ccari.ccari(*place, *what)
        assert (done.code, done.err) == (0, "")


async def test_a_right_that_was_pressed_during_a_rotation_loses_what_comes_after_it(
    ccari: Service, store: Store, shelf: Shelf, tmp_path: Path
) -> None:
    """The call was gated under the earlier secret, and goes on."""
    keys = SecretStore(tmp_path / "keys")
    under_way = await shelf.call(replace(made.call(), keyed=keys.digests("acme", made.NUMBER)))
    assert (await ccari.ccari("keys", "rotate")).code == 0
    await store.calls.register_right(under_way, made.exercise(Right.ACCESS), ())
    recording = await shelf.put(
        await shelf.call(replace(made.call(), keyed=keys.digests("acme", made.NUMBER))), limit=OVER
    )
    reach = partial(store.key_versions.extend, await store.key_versions.vouch(keys))
    await keeper_of(store, reach).round()
    await shelf.round()
    assert await shelf.fate(recording) is None


@pytest.mark.parametrize("right", [Right.ACCESS, Right.ERASURE])
async def test_an_open_request_loses_what_comes_after_a_rotation(
    ccari: Service, store: Store, shelf: Shelf, tmp_path: Path, right: Right
) -> None:
    keys = SecretStore(tmp_path / "keys")
    reference, another = [
        await store.requests.add(
            "acme", letter(right, level=Level.L2, number=each.e164), keys.digests("acme", each)
        )
        for each in made.numbers(2)
    ]  # fmt: skip
    assert (await ccari.ccari("keys", "rotate")).code == 0
    call = await shelf.call(replace(made.call(), keyed=keys.digests("acme", made.NUMBER)))
    recording = await shelf.put(call, limit=OVER if right is Right.ACCESS else NOW + DAY)
    await store.requests.step(another, RequestState.FULFILLED, by("cli:anna"))
    await shelf.round()
    assert await shelf.fate(recording) is None
    await store.requests.step(reference, RequestState.FULFILLED, by("cli:anna"))
    await shelf.round()
    assert await shelf.fate(recording) is not None
