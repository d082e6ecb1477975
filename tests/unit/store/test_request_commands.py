"""``ccari requests``, run as a person runs it."""

import csv
import io
import json
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy import deadlines
from ccari.policy.rights import RequestState, Right
from ccari.ports.requests import Clock, Handling
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.integration.service import Service
from tests.unit.store import made
from tests.unit.store.commands import AS_WRITTEN, on, refused
from tests.unit.store.made import new_secret
from tests.unit.store.test_forwards import HANDLING, added

NUMBER = made.NUMBER
WARSAW = ZoneInfo("Europe/Warsaw")


@pytest.fixture
async def ccari(dsn: str, store: Store, tmp_path: Path) -> Service:
    """The commands on the test's database, for a controller that has its secret and a folder in which it is told."""
    first, rest = made.POLICY.split("\n[[campaigns]]", 1)
    document = f'{first}forward = {{ folder = "{tmp_path / "drop"}" }}\n\n[[campaigns]]{rest}'
    await store.policies.apply(document, "test")
    new_secret(SecretStore(tmp_path / "keys"), "acme")
    return on(dsn, tmp_path)


async def add(ccari: Service, right: str, *options: str, number: str = AS_WRITTEN) -> str:
    done = await ccari.json("requests", "add", right, number, *options)
    assert NUMBER.digits not in json.dumps(done)
    return str(done["reference"])


async def test_a_refusal_that_is_late_is_recorded_without_a_warning(ccari: Service, store: Store) -> None:
    received = datetime.now(UTC) - timedelta(days=80)
    due, extended = deadlines.due(received, "PL"), deadlines.extended(received, "PL")
    late = await added(store, received_at=received, due=due)
    clock = Clock(received + timedelta(days=9), {"acme": "PL"})
    await store.requests.step(late, RequestState.EXTENDED, Handling("cli:anna", clock, "three archives"))
    assert f"{extended} (a refusal: {due})" in await run(ccari, "list")
    assert (await ccari.json("requests", "show", late))["refuse_by"] == due.isoformat()
    told = await ccari.ccari("requests", "refuse", late, "--reason", "unfounded")
    assert (told.code, f"this was due by {due}, extended or not" in told.err) == (0, True)
    assert (await ccari.json("requests", "show", late))["refuse_by"] is None
    in_time = await ccari.ccari("requests", "refuse", await add(ccari, "access"), "--reason", "unfounded")
    assert (in_time.code, "this was due by" in in_time.err) == (0, False)


async def test_a_letter_that_refuses_a_recording_is_entered_as_if_one_had_consented(
    ccari: Service, store: Store
) -> None:
    await store.policies.apply(made.POLICY + made.AGREED, "test")
    refused(
        await ccari.ccari("requests", "add", "refuse_recording", AS_WRITTEN),
        "say which campaign: one of renewals, agreed; ",
    )
    assert await store.requests.list(None, 10) == []
    for campaign, article in (("renewals", "21(1)"), ("agreed", "7(3)")):
        reference = await add(ccari, "refuse_recording", "--campaign", campaign)
        assert (await store.requests.show(reference)).request["article"] == article


async def run(ccari: Service, *arguments: str) -> str:
    """A command that succeeds."""
    done = await ccari.ccari("requests", *arguments)
    assert done.code == 0, done.err
    return done.out


async def test_an_objection_is_closed_as_if_that_deleted_what_was_recorded(ccari: Service) -> None:
    for right, stay in (("objection", True), ("objection_marketing", False)):
        resolved = await ccari.ccari("requests", "resolve", await add(ccari, right))
        assert resolved.code == 0
        assert ("no recording was deleted by that" in resolved.err) is stay


async def test_a_request_that_is_closed_is_said_to_have_failed(ccari: Service, store: Store) -> None:
    for right, *end in (
        ("erasure", "resolve"),
        ("objection", "refuse", "--reason", "an overriding interest"),
    ):
        step, *why = end
        reference = await add(ccari, right, "--level", "L2", "--note", "identity card at the desk")
        async with store.database.outside_pool(slow_reader=True) as another, another.transaction():
            # read for what is left to do, once the request is closed
            await another.execute("LOCK TABLE removed_suppressions IN ACCESS EXCLUSIVE MODE")
            closed = await ccari.ccari("requests", step, reference, *why)
        state = (await store.requests.show(reference)).request["state"]
        assert (closed.code, state) == (1, {"resolve": "fulfilled", "refuse": "refused"}[step])
        assert closed.err.startswith(f"ccari: {reference} is {state}; its number is erased; what follows "), (
            closed.err
        )


async def test_a_request_cannot_be_worked_from_its_entry_to_its_end(ccari: Service, store: Store) -> None:
    before = datetime.now(UTC)
    reference = await add(
        ccari, "erasure", "--campaign", "renewals", "--by", "letter", "--note", "letter [7]"
    )  # fmt: skip
    received = datetime.fromisoformat((await ccari.json("requests", "show", reference))["received_at"])
    assert before <= received <= datetime.now(UTC)
    due, extended_due = deadlines.due(received, "PL"), deadlines.extended(received, "PL")
    assert reference == f"ACME-{received.astimezone(WARSAW).year}-000001"
    barred = await ccari.ccari("suppress", "check", AS_WRITTEN, "--json")
    assert [(each["reason"], each["proof"]) for each in json.loads(barred.out)] == [("erasure", reference)]
    refused(
        await ccari.ccari("requests", "resolve", reference), "is received: the person's identity is not sure"
    )
    # as people write it
    verified = await run(
        ccari, "verify", reference.lower(), "--level", "L2", "--how", "identity card at the desk"
    )
    assert verified == f"{reference} is verifying, the person's identity L2\n"
    assert await run(ccari, "start", reference) == f"{reference} is in progress, due {due}\n"
    extended = await ccari.ccari("requests", "extend", reference, "--reason", "three archives")
    assert (extended.code, extended.out) == (0, f"{reference} is extended, due {extended_due}\n")
    assert "tell the person" in extended.err
    resolved = await ccari.ccari("requests", "resolve", reference, "--note", "all deleted")
    assert (resolved.code, resolved.out) == (0, f"{reference} is fulfilled; its number is erased\n")
    assert resolved.err == (
        "no erasure was carried out on it: only its recordings are deleted; for the rest enter a new request, verify it, "
        "then: ccari subject erase NUMBER --request REF --yes\n"
    )
    refused(
        await ccari.ccari("requests", "start", reference), f"{reference} is fulfilled: the request is closed"
    )
    shown = await ccari.json("requests", "show", reference)
    assert [each["reason"] for each in shown["history"]] == [
        "letter [7]", "identity card at the desk", "", "three archives", "all deleted",
    ]  # fmt: skip
    assert all(each["who"].startswith("cli:") for each in shown["history"])
    assert shown["number"] is None
    text = await run(ccari, "show", reference)
    assert "letter [7]" in text


async def test_a_withdrawal_is_said_to_stop_a_recording_that_it_did_not_or_not_one_that_it_did(
    ccari: Service, store: Store
) -> None:
    for reference, basis, mode, stops, stored in (
        ("ACME-2026-000001", None, "", False, "keep_proof_only"),
        ("ACME-2026-000002", "contract", "notice", False, "keep_proof_only"),
        ("ACME-2026-000003", "consent", "opt_in", True, "keep_proof_only"),
        # nothing of it is deleted automatically, so a person has to see to it
        ("ACME-2026-000004", "legitimate_interest", "opt_in", True, "erase_or_restrict"),
    ):
        call = made.call()
        await store.calls.open(call, made.question(call))
        if basis is not None:
            await store.calls.commit_heard(call.id, "v1", "i1", ())
            tag = replace(made.tag(call), legal_basis=basis, mode=mode)
            await store.recordings.tag(tag, made.journal("recording_agreed"))
        await store.calls.register_right(call, made.exercise(Right.WITHDRAW_CONSENT), ())
        shown = await ccari.json("requests", "show", reference)
        assert shown["effect"]["stops_recording"] is stops
        assert shown["effect"]["stored_recordings"] == stored


async def test_show_leaves_out_what_an_authority_asks(ccari: Service, store: Store) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    exercise = made.exercise()
    await store.calls.register_right(call, exercise, ())
    shown = await ccari.json("requests", "show", "ACME-2026-000001")
    assert shown["number"] == NUMBER.masked
    told = {name: shown[name] for name in (
        "right", "article", "controller", "campaign", "number_from", "channel", "call_id", "key", "notice_version",
        "level", "due", "received_local",
    )}  # fmt: skip
    assert told == {
        "right": "erasure", "article": "17", "controller": "acme", "campaign": "renewals", "number_from": "dialled",
        "channel": "key", "call_id": str(call.id), "key": "7", "notice_version": "v1", "level": "L1",
        "due": "2026-12-25", "received_local": "2026-11-25 11:00:00 Europe/Warsaw",
    }  # fmt: skip
    assert datetime.fromisoformat(shown["received_at"]) == made.NOW
    assert shown["effect"] == {
        "suppression": "erasure", "stops_recording": True, "stored_recordings": "decide_per_basis",
        "identity_to_fulfil": "L2", "refusable": True,
    }  # fmt: skip
    assert [each["proof"] for each in shown["suppressions"]] == ["ACME-2026-000001"]
    assert [(each["seq"], each["state"]) for each in shown["forwards"]] == [(1, "waiting")]
    text = await run(ccari, "show", "acme-2026-000001")
    assert NUMBER.masked in text
    assert NUMBER.e164 not in text
    assert {"stops_recording    yes", "refusable          yes"} <= {*text.splitlines()}
    for line in (
        "received_at        2026-11-25 10:00:00 UTC",
        "received_local     2026-11-25 11:00:00 Europe/Warsaw",
    ):
        assert line in text.splitlines()
    assert NUMBER.e164 in await run(ccari, "show", "ACME-2026-000001", "--number")
    refused(
        await ccari.ccari("requests", "show", "ACME-2026-000002"), "there is no request 'ACME-2026-000002'"
    )


async def test_an_hour_in_which_the_request_may_have_come_is_named_that_there_were_two_of(
    ccari: Service, store: Store
) -> None:
    for received, local in (
        ("2025-10-26T02:30+02:00", "2025-10-26 02:30:00 CEST Europe/Warsaw"),
        ("2025-10-26T02:30+01:00", "2025-10-26 02:30:00 CET Europe/Warsaw"),
        # of a wall-clock time that occurs twice, the first: no answer is late because of that
        ("2025-10-26T02:30", "2025-10-26 02:30:00 CEST Europe/Warsaw"),
    ):
        entered = await ccari.json("requests", "add", "access", AS_WRITTEN, "--received", received)
        shown = await ccari.json("requests", "show", entered["reference"])
        assert (shown["received_local"], shown["due"]) == (local, "2025-11-26")


async def test_a_request_is_entered_that_cannot_be(ccari: Service, database: Database) -> None:
    attempts = [
        (("--received", "2999-01-01"), 2, "it is in the future"),
        (("--received", "0001-01-01"), 2, "its year must be from 1900"),
        (("--received", "2018-05-24"), 2, "before the GDPR"),
        (("--received", "yesterday"), 2, "it must be a date such as"),
        (("--by", "key"), 2, "it must be one of 'letter'"),
        (("--campaign", "nonsense"), 1, "'acme' has no campaign 'nonsense'"),
        (("--controller", "nobody"), 1, "there is no controller 'nobody'"),
    ]
    for options, code, words in attempts:
        done = await ccari.ccari("requests", "add", "access", AS_WRITTEN, *options)
        assert (done.code, done.out) == (code, ""), options
        assert words in " ".join(done.err.replace("│", " ").split()), options
        assert "Traceback" not in done.err
    assert await database.rows("SELECT * FROM rights_requests") == []


async def test_a_day_is_counted_from_another_midnight_than_the_controllers(
    ccari: Service, database: Database
) -> None:
    """A letter dated only by day came some time that day in Warsaw; one of today has come by now; a moment is exact."""
    today = datetime.now(WARSAW).date()
    for when in ("2026-01-31", today.isoformat(), "2026-05-15T10:00", "2026-05-15T10:00:00+00:00"):
        await add(ccari, "access", "--received", when)
    rows = await database.rows("SELECT received_at, due FROM rights_requests ORDER BY registered_at")
    day, now, local, moment = (row["received_at"] for row in rows)
    assert day == datetime(2026, 1, 31, 23, 59, 59, tzinfo=WARSAW)
    assert now <= datetime.now(UTC)
    assert now.astimezone(WARSAW).date() == today
    assert local == datetime(2026, 5, 15, 10, tzinfo=WARSAW)
    assert moment == datetime(2026, 5, 15, 10, tzinfo=UTC)
    assert [rows[0]["due"], rows[2]["due"]] == [date(2026, 3, 2), date(2026, 6, 15)]


async def test_a_list_is_not_narrowed_or_shows_a_number(ccari: Service, store: Store) -> None:
    today = datetime.now(WARSAW).date()
    fresh, late, closed = [
        await added(store, right=right, due=today + timedelta(days=days))
        for right, days in ((Right.ACCESS, 20), (Right.ERASURE, -2), (Right.OBJECTION_MARKETING, -9))
    ]
    await store.requests.step(closed, RequestState.FULFILLED, HANDLING)

    async def listed(*options: str) -> list[str]:
        return [each["reference"] for each in await ccari.json("requests", "list", *options)]

    assert await listed("--overdue") == [late]
    assert await listed("--due-within", "20") == [late, fresh]
    assert await listed("--state", "fulfilled", "--state", "received") == [late, fresh, closed]
    assert await listed("--state", "fulfilled", "--state", "received", "--limit", "2") == [late, fresh]
    assert await listed("--open", "--right", "access", "--controller", "acme") == [fresh]
    year, serial = closed.split("-")[1:]
    assert (
        await listed("--reference", f"{year}{int(serial)}") == await listed("--reference", closed) == [closed]
    )
    wrong = await ccari.ccari("requests", "list", "--reference", "600100100")
    assert (wrong.code, "must be a reference" in wrong.err, "600100100" in wrong.err) == (2, True, False)
    text = await run(ccari, "list", "--open")
    assert NUMBER.masked in text
    assert NUMBER.digits not in text.replace(" ", "")
    lines = {line.split()[0]: line.split()[-2:] for line in text.splitlines()}
    # midnight may have passed since
    passed = (datetime.now(WARSAW).date() - today).days
    assert (lines[late], lines[fresh][-1]) in [
        (["overdue", str(2 + days)], str(20 - days)) for days in range(passed + 1)
    ]
    assert closed not in lines


async def test_an_export_is_cut_short_or_shows_a_number(ccari: Service, store: Store, tmp_path: Path) -> None:
    midnight = datetime(2026, 2, 1, tzinfo=WARSAW)
    old = await added(store, received_at=midnight - timedelta(seconds=1), note='with "quotes", and\nlines')
    new = await added(store, received_at=midnight)
    text = await run(ccari, "export", "--controller", "acme")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["reference"] for row in rows] == [old, new]
    assert {row["number"] for row in rows} == {NUMBER.masked}
    # the day begins where the controller is, and if there is only one it need not be named
    for whose in (["--controller", "acme"], []):
        since: list[dict[str, Any]] = json.loads(
            await run(ccari, "export", *whose, "--since", "2026-02-01", "--format", "json")
        )
        assert [each["reference"] for each in since] == [new]
    everything = json.loads(await run(ccari, "export", "--format", "json"))
    assert everything[0]["history"][0]["reason"] == 'with "quotes", and\nlines'
    # as in the request's own row, and as it is shown
    assert {each["level"] for told in everything for each in told["history"]} <= {"L0", "L1", "L2"}
    out = tmp_path / "register.csv"
    assert await run(ccari, "export", "--out", str(out)) == f"2 requests are in {out}\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text("utf-8").splitlines() == text.splitlines()
    refused(
        await ccari.ccari("requests", "export", "--out", str(tmp_path / "gone" / "x.csv")),
        "x.csv: No such file or directory",
    )


@pytest.mark.parametrize("others", [("DE",), ("PT", "DE"), ("FI", "IS")], ids="-".join)
async def test_where_there_are_controllers_in_several_countries_the_first_hours_of_a_day_are_left_out(
    ccari: Service, store: Store, others: Sequence[str]
) -> None:
    controllers = "".join(
        f'[[controllers]]\nid = "of-{each.lower()}"\nname = "N"\ncountry = "{each}"\ndpo = "d@x.example"\n\n' for each in others
    )  # fmt: skip
    await store.policies.apply(controllers + made.POLICY, "test")
    midnight = datetime(2026, 2, 1, tzinfo=WARSAW)
    await added(store, received_at=midnight - timedelta(hours=2))
    new = await added(store, received_at=midnight)
    since = json.loads(await run(ccari, "export", "--since", "2026-02-01", "--format", "json"))
    assert [each["reference"] for each in since] == [new]


async def test_a_slip_of_the_pen_is_exported_as_an_empty_register(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    await added(store)
    out = tmp_path / "register.csv"
    refused(
        await ccari.ccari("requests", "export", "--controller", "acm", "--out", str(out)),
        "there is no controller 'acm', only acme",
    )
    assert not out.exists()
    assert await database.rows("SELECT FROM accesses WHERE event = 'requests_exported'") == []


async def test_what_is_stuck_is_not_seen_or_not_tried_again(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    reference = await added(store)
    failed = await ccari.ccari("requests", "forward")
    assert failed.code == 1
    assert "folder: cannot write in" in failed.out
    assert failed.err == "ccari: 1 of 1 could not be forwarded: see ccari requests forwards\n"
    (waiting,) = await ccari.json("requests", "forwards")
    assert (waiting["reference"], waiting["state"], waiting["tries"]) == (reference, "waiting", 1)
    refused(
        await ccari.ccari("requests", "forwards", "--retry", reference),
        f"no message about {reference!r} was given up or waits for more than two minutes: see ccari requests forwards",
    )
    await database.rows(
        "UPDATE forwards SET first_try_at = first_try_at - interval '3 days', next_try_at = now() RETURNING 1"
    )
    assert [
        each["state"] for each in json.loads((await ccari.ccari("requests", "forward", "--json")).out)
    ] == ["given_up"]
    (tmp_path / "drop").mkdir()
    assert await run(ccari, "forward") == "there is nothing to forward\n"
    (again,) = await ccari.json("requests", "forwards", "--retry", reference.lower())
    assert (again["state"], again["tries"]) == ("waiting", 0)
    (delivered,) = await ccari.json("requests", "forward")
    assert (delivered["state"], delivered["ways"]) == ("delivered", ["folder"])
    told = json.loads((tmp_path / "drop" / f"{reference}-1.json").read_bytes())
    assert (told["number"], told["level"]) == (NUMBER.e164, "L2")


async def test_after_days_in_which_a_controller_was_away_each_of_its_requests_has_to_be_named(
    ccari: Service, store: Store, database: Database
) -> None:
    references = [await added(store) for _ in range(3)]
    await database.rows(
        "UPDATE forwards SET state = 'given_up', settled_at = now(), tries = 20, first_try_at = now() - interval '3 days' RETURNING 1"
    )
    again = await ccari.json("requests", "forwards", "--retry", "acme")
    assert sorted((each["reference"], each["state"], each["tries"]) for each in again) == [
        (each, "waiting", 0) for each in references
    ]  # fmt: skip
    refused(
        await ccari.ccari("requests", "forwards", "--retry", "acme"),
        "no message to 'acme' was given up or waits for more than two minutes: see ccari requests forwards",
    )


async def test_who_tries_again_to_tell_of_a_closed_request_is_not_told_that_its_number_is_gone(
    ccari: Service, store: Store, database: Database
) -> None:
    reference = await added(store)
    await run(ccari, "resolve", reference)
    await database.rows(
        "UPDATE forwards SET state = 'given_up', settled_at = now(), number = NULL RETURNING 1"
    )
    again = await ccari.ccari("requests", "forwards", "--retry", reference)
    assert (again.code, again.err) == (
        0, f"{reference} is closed and its number erased: the controller is sent the request without the number; tell the controller yourself who it is\n",
    )  # fmt: skip


async def test_that_a_controller_was_told_in_another_way_cannot_be_put_on_record(
    ccari: Service, store: Store, database: Database
) -> None:
    """Otherwise the message stays given up, the alert stays on, and the request never expires."""
    reference = await added(store)
    told = ("requests", "forwards", "--told", reference.lower())
    assert (await ccari.ccari(*told)).code == 2
    assert (await ccari.ccari("requests", "forwards", "--how", "by telephone")).code == 2
    nothing = f"no message about {reference!r} was given up: see ccari requests forwards"
    refused(await ccari.ccari(*told, "--how", "by telephone"), nothing)
    await database.rows("UPDATE forwards SET state = 'given_up', settled_at = now() RETURNING 1")
    (settled,) = await ccari.json(*told, "--how", "by telephone, 24 November")
    assert (settled["seq"], settled["state"]) == (1, "delivered")
    assert await database.rows("SELECT FROM forwards WHERE number IS NOT NULL") == []
    record = await store.requests.show(reference)
    assert (record.fault, record.request["state"]) == (None, "received")
    assert [each["reason"] for each in record.history[1:]] == [
        "its controller was told in another way: by telephone, 24 November"
    ]
    # and that is no step of which the controller is to be told
    assert len(await database.rows("SELECT FROM forwards")) == 1
    refused(await ccari.ccari(*told, "--how", "by telephone"), nothing)


async def test_a_message_that_a_controller_was_told_of_shows_why_it_could_not_be_delivered(
    ccari: Service, store: Store, database: Database
) -> None:
    reference = await added(store)
    await database.rows(
        "UPDATE forwards SET state = 'given_up', settled_at = now(), fault = 'HTTP 503' RETURNING 1"
    )
    (settled,) = await ccari.json("requests", "forwards", "--told", reference, "--how", "by telephone")
    assert (settled["state"], settled["fault"]) == ("delivered", "")
    assert [each["fault"] for each in await store.forwards.of(reference, ["acme"])] == [""]


async def test_the_webhooks_secret_is_printed_or_made_twice(ccari: Service, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "acme" / "webhook.key"
    first = await run(ccari, "webhook-secret", "--controller", "acme")
    secret = path.read_text()
    again = await run(ccari, "webhook-secret")
    assert path.read_text() == secret
    assert (first.split(",")[0], again.split(",")[0]) == ("acme: made", "acme: existed already")
    assert secret.strip() not in first + again


async def test_a_command_needs_a_policy_to_show_nothing(dsn: str, database: Database, tmp_path: Path) -> None:
    await database.rows("ALTER TABLE policy_revisions DISABLE TRIGGER append_only")
    await database.rows("DELETE FROM policy_revisions")
    ccari = on(dsn, tmp_path)
    for command in ("list", "export", "forwards", "forward"):
        await run(ccari, command)
    refused(
        await ccari.ccari("requests", "add", "access", AS_WRITTEN),
        "no policy has been applied: ccari policy apply",
    )


@pytest.mark.parametrize("command", [("requests", "list"), ("suppress", "list"), ("recordings", "list")])
async def test_a_slip_in_a_controllers_name_passes_for_an_empty_list(
    ccari: Service, command: tuple[str, str]
) -> None:
    done = await ccari.ccari(*command, "--controller", "acne")
    assert (done.code, done.out) == (1, "")
    assert "there is no controller 'acne', only" in done.err
