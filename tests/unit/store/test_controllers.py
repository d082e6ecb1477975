"""Controllers that have left: what is held of them goes, nobody else's does, and nobody is called for them again."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ccari.errors import RefusedError, StillNeededError, StoreError
from ccari.keyring.secrets import SecretStore
from ccari.policy.erasure import proof_kept
from ccari.policy.leaving import Goes, Keeps
from ccari.policy.rights import Right
from ccari.policy.seal import Kind
from ccari.policy.sentences import told
from ccari.ports.holds import HoldOn, Subject
from ccari.store import accesses, controllers
from ccari.store.controllers import OfController
from ccari.store.database import Connection, Database
from ccari.store.queries import SQL
from tests.unit.store import made, person
from tests.unit.store.kept import DAY, NOW, Shelf
from tests.unit.store.killing import KilledError, kill
from tests.unit.store.server import connected
from tests.unit.store.test_seals import sign
from tests.unit.store.waiting import until_they_wait

SECONDS = 30.0

_CONTROLLER, _, _CAMPAIGN = made.POLICY.partition("[[campaigns]]")
BETA = _CONTROLLER.replace('"acme"', '"beta"')
BETAS = "[[campaigns]]" + _CAMPAIGN.replace('"acme"', '"beta"').replace('"renewals"', '"offers"')
ACMES = f"[[campaigns]]{_CAMPAIGN}"
BOTH_CALL = _CONTROLLER + BETA + ACMES + BETAS
ACME_LEAVES = _CONTROLLER + BETA + BETAS
OTHER = made.numbers(2)[1]
WITHIN = 30.0
TABLES = ("contacts", "consents", "heard_notices", "removed_suppressions", "suppressions")
ALL = {Goes.CONTACTS: 4, Goes.CONSENTS: 4, Goes.NOTICES: 2, Goes.LIFTED: 2, Goes.SUPPRESSIONS: 2}
#: Entries in the record of accesses: for each number two bars were entered by hand, and one was lifted.
NOTED = 6
#: A lock on the policies, as held by somebody who applies one.
APPLYING = "LOCK TABLE policy_revisions IN SHARE ROW EXCLUSIVE MODE"


async def held(shelf: Shelf) -> None:
    """Data of all kinds, of two numbers, of acme; and of beta, whose secret may be a copy of acme's."""
    for number in (made.NUMBER, OTHER):
        await person.known(shelf, number)
        await shelf.database.rows(
            """INSERT INTO heard_notices (controller, digest, key_version, information_version, campaign)
               VALUES ('acme', $1, 1, 'i1', 'renewals')""",
            made.digests(number=number).newest,
        )
    for table in TABLES:
        columns = await shelf.database.rows(
            """SELECT string_agg(quote_ident(column_name), ', ') AS named FROM information_schema.columns
               WHERE table_schema = current_schema AND table_name = $1 AND column_name NOT IN ('id', 'controller')""",
            table,
        )
        named = columns[0]["named"]
        await shelf.database.rows(
            f"INSERT INTO {table} (controller, {named}) SELECT 'beta', {named} FROM {table} WHERE controller = 'acme'"  # noqa: S608
        )


async def of(shelf: Shelf, controller: str) -> dict[str, list[str]]:
    """Every row of the controller, in full."""
    found = {}
    for table in TABLES:
        rows = await shelf.database.rows(
            f"SELECT t::text AS row FROM {table} t WHERE controller = $1 ORDER BY 1",  # noqa: S608
            controller,
        )
        found[table] = [row["row"] for row in rows]
    return found


@pytest.fixture
async def leaving(shelf: Shelf) -> Shelf:
    """Both controllers' data; the policy has no campaign of acme's any more."""
    await shelf.store.policies.apply(ACME_LEAVES, "cli:anna")
    await held(shelf)
    return shelf


async def delete(shelf: Shelf, **how: Any) -> dict[Goes, int]:
    return dict((await shelf.store.controllers.delete("acme", "cli:dpo", **how)).deleted)


async def deletions(database: Database) -> list[dict[str, Any]]:
    return await database.rows("SELECT * FROM controller_deletions ORDER BY id")


async def accounts(shelf: Shelf, event: str = "controller_deleted") -> list[dict[str, Any]]:
    rows = await shelf.database.rows("SELECT fields FROM accesses WHERE event = $1", event)
    return [json.loads(row["fields"]) for row in rows]


async def test_something_of_whoever_left_stays_or_of_another_goes(leaving: Shelf) -> None:
    betas = await of(leaving, "beta")
    assert all(betas.values())
    assert await delete(leaving) == ALL
    assert not any((await of(leaving, "acme")).values())
    assert await of(leaving, "beta") == betas
    left = await leaving.store.controllers.of("acme")
    assert (left.goes, left.keeps) == ({}, {})
    (row,) = await deletions(leaving.database)
    assert (row["controller"], row["begun_by"]) == ("acme", "cli:dpo")
    assert row["begun_at"] <= row["finished_at"]
    counted = {kind.value: str(count) for kind, count in ALL.items()}
    who = {"begun_by": "cli:dpo", "who": "cli:dpo", "why": ""}
    assert await accounts(leaving) == [{"controller": "acme", "drop_proof": "no", **counted, **who}]
    # and the policy without it
    assert await leaving.store.accesses.fault() == (NOTED + 3, None)
    assert await leaving.store.seals.seal(sign, 10) == 1


async def test_what_is_held_is_not_told_or_is_told_of_the_wrong_one(leaving: Shelf) -> None:
    call = await leaving.call(made.call("beta"))
    found = await leaving.store.controllers.all()
    assert {each: {kind: amount.held for kind, amount in of.goes.items()} for each, of in found.items()} == {
        "acme": ALL, "beta": ALL,
    }  # fmt: skip
    assert (found["acme"].keeps, list(found["beta"].keeps)) == ({}, [Keeps.OPEN_CALLS])
    assert found["acme"].goes[Goes.CONSENTS].oldest == NOW - 20 * DAY
    await leaving.store.calls.close(call.id, "bridged", "", ())
    assert await leaving.store.controllers.of("nobody") == OfController()


async def refused(shelf: Shelf, *lines: str, **how: Any) -> None:
    """Refused for exactly these reasons, and nothing is changed."""
    acmes = await of(shelf, "acme")
    with pytest.raises(StillNeededError) as caught:
        await delete(shelf, **how)
    told = str(caught.value).splitlines()
    assert len(told) == len(lines), told
    assert all(each.startswith("acme: ") and line in each for each, line in zip(told, lines, strict=True)), (
        told
    )
    assert await of(shelf, "acme") == acmes
    assert await deletions(shelf.database) == []


async def test_who_is_still_called_for_loses_the_bars(leaving: Shelf) -> None:
    await leaving.store.policies.apply(BOTH_CALL, "cli:anna")
    await refused(leaving, "the campaign 'renewals' is in the policy in force")


async def _talking(shelf: Shelf) -> None:
    await shelf.call()


async def _called(shelf: Shelf) -> None:
    await person.called(shelf)


async def _recorded(shelf: Shelf) -> None:
    call = await person.called(shelf)
    await shelf.put(call)


async def _lost(shelf: Shelf) -> None:
    call = await person.called(shelf)
    await shelf.lose(call)


async def _asked(shelf: Shelf) -> None:
    await person.asked(shelf, Right.ACCESS)
    await shelf.database.rows("UPDATE forwards SET state = 'not_needed', settled_at = now(), number = NULL")


async def _answered(shelf: Shelf) -> None:
    await person.resolved(shelf, await person.asked(shelf, Right.ACCESS))
    await shelf.database.rows("UPDATE forwards SET state = 'not_needed', settled_at = now(), number = NULL")


async def _untold(shelf: Shelf) -> None:
    await person.resolved(shelf, await person.asked(shelf, Right.ACCESS))
    await shelf.database.rows(
        "UPDATE rights_requests SET digest = NULL, digests = '{}', key_version = NULL, expired_at = now()"
    )


async def _held(shelf: Shelf) -> None:
    await shelf.store.holds.place(HoldOn(subject=Subject("acme", made.digests())), "lawsuit", "cli:anna")


CALLED = "1 call has not expired: calls_days"


@pytest.mark.parametrize(
    ("keeps", "lines"),
    [
        (_talking, ["1 call is in progress"]),
        (_called, [CALLED]),
        (_recorded, ["1 recording is kept", CALLED]),
        (_lost, ["1 recording is kept", CALLED]),
        (_asked, ["1 request is open: ccari requests list --open"]),
        (_answered, ["1 closed request has not expired: requests_days"]),
        (_untold, ["1 step of a request waits to be forwarded"]),
        (_held, ["1 legal hold stands: ccari recordings holds"]),
    ],
)
async def test_what_is_deleted_is_still_needed(
    leaving: Shelf, keeps: Callable[[Shelf], Awaitable[None]], lines: list[str]
) -> None:
    await keeps(leaving)
    await refused(leaving, *lines)


@pytest.mark.parametrize("on", ["recording", "call", "request"])
async def test_a_hold_on_something_of_the_controllers_is_overlooked(leaving: Shelf, on: str) -> None:
    """Holds on a recording, a call or a request do not themselves name the controller."""
    call = await person.called(leaving)
    recording = await leaving.put(call)
    reference = await person.asked(leaving)
    for hold in {
        "recording": [HoldOn(recording_id=recording)],
        "call": [HoldOn(call_id=call.id)],
        "request": [HoldOn(reference=reference)],
    }[on]:
        await leaving.store.holds.place(hold, "lawsuit", "cli:anna")
    assert (await leaving.store.controllers.of("acme")).keeps[Keeps.HOLDS].held == 1
    assert Keeps.HOLDS not in (await leaving.store.controllers.of("beta")).keeps


async def test_another_controllers_calls_keep_what_is_to_go(leaving: Shelf) -> None:
    await leaving.call(made.call("beta"))
    await leaving.store.holds.place(HoldOn(subject=Subject("beta", made.digests())), "lawsuit", "cli:anna")
    assert await delete(leaving) == ALL


GERMAN = ACME_LEAVES.replace('country = "PL"', 'country = "DE"', 1)


async def test_a_proof_goes_that_the_law_has_kept(leaving: Shelf) -> None:
    """DE: §7a(2) UWG, five years; even if no policy has the controller any more."""
    await leaving.store.policies.apply(GERMAN, "cli:anna")
    await leaving.store.policies.apply(BETA + BETAS, "cli:anna")
    until = NOW - 20 * DAY + proof_kept(["DE"])
    await refused(leaving, f"the law has the proof of 4 consents kept until {told(until.astimezone())}")
    assert await delete(leaving, drop_proof=True) == ALL
    (row,) = await deletions(leaving.database)
    assert (row["drop_proof"], (await accounts(leaving))[0]["drop_proof"]) == (True, "yes")


async def test_a_proof_that_comes_meanwhile_goes_unasked(
    leaving: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a list of consents that was being loaded."""
    await leaving.store.policies.apply(GERMAN, "cli:anna")
    await leaving.database.rows("UPDATE consents SET given_at = given_at - interval '6 years'")
    real = controllers._batch

    async def beside(*arguments: Any) -> Any:
        if arguments[2] is Goes.CONSENTS:
            await leaving.database.rows("UPDATE consents SET given_at = given_at + interval '6 years'")
        return await real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(controllers, "_batch", beside)
        with pytest.raises(StillNeededError, match="the proof of 4 consents"):
            await delete(leaving)
    assert (await leaving.store.controllers.of("acme")).goes[Goes.CONSENTS].held == ALL[Goes.CONSENTS]
    assert await delete(leaving, drop_proof=True) == ALL


async def test_a_revision_that_cannot_be_read_hides_what_is_held_or_lets_proofs_go(leaving: Shelf) -> None:
    await leaving.database.rows(
        "INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('anna', $1, 'x')", bytes(32)
    )
    assert (await leaving.store.controllers.all())["acme"].goes.keys() == ALL.keys()
    with pytest.raises(StoreError, match="cannot be read"):
        await delete(leaving)


async def test_the_secrets_of_whoever_left_are_looked_for_at_each_question(
    leaving: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions, keys = leaving.store.key_versions, SecretStore(tmp_path / "keys")
    for controller in ("acme", "beta"):
        made.new_secret(keys, controller)
    await versions.vouch(keys)
    await delete(leaving)
    shutil.rmtree(tmp_path / "keys" / "acme")
    running = SecretStore(tmp_path / "keys")
    await versions.keep_vouching(running)
    monkeypatch.setattr(versions, "vouch", None)
    await versions.keep_vouching(running)


async def test_old_proofs_are_kept_for_ever(leaving: Shelf) -> None:
    await leaving.store.policies.apply(GERMAN, "cli:anna")
    await leaving.database.rows("UPDATE consents SET given_at = given_at - interval '6 years'")
    assert (await leaving.store.controllers.of("acme")).proofs is None
    assert await delete(leaving) == ALL


async def test_whoever_had_objected_is_called_for_the_controller_again(leaving: Shelf) -> None:
    await delete(leaving)
    for document in (BOTH_CALL, BOTH_CALL + "# again\n"):
        with pytest.raises(RefusedError, match=r"'acme' was deleted on .*: give the controller another id"):
            await leaving.store.policies.apply(document, "cli:anna")
    newest = await leaving.store.policies.newest()
    assert newest is not None
    assert await leaving.store.policies.called_again(newest.policy) == []
    # without campaigns, as for a request that comes later; and another controller's campaigns
    await leaving.store.policies.apply(ACME_LEAVES + "# later\n", "cli:anna")


async def test_a_policy_is_in_force_with_campaigns_of_whoever_is_being_deleted(
    leaving: Shelf, dsn: str
) -> None:
    """Of two at once the second finds what the first has done, whichever it is."""
    async with connected(dsn) as connection, asyncio.timeout(WITHIN):
        async with connection.transaction():
            await connection.execute(APPLYING)
            await connection.execute(
                "INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('anna', $1, $2)",
                bytes(32),
                BOTH_CALL,
            )
            deleting = asyncio.create_task(delete(leaving))
            await until_they_wait(leaving.database)
        with pytest.raises(StillNeededError, match="'renewals' is in the policy in force"):
            await deleting
        await leaving.store.policies.apply(ACME_LEAVES, "cli:anna")
        async with connection.transaction():
            await connection.execute(APPLYING)
            await connection.execute(
                "INSERT INTO controller_deletions (controller, begun_by) VALUES ('acme', 'cli:dpo')"
            )
            applying = asyncio.create_task(leaving.store.policies.apply(BOTH_CALL, "cli:anna"))
            await until_they_wait(leaving.database)
        with pytest.raises(RefusedError, match="'acme' is being deleted since"):
            await applying
    # and what was begun there is completed
    assert await delete(leaving) == ALL


STEPS = [(controllers, "_begin"), (controllers, "_batch"), (controllers, "_end"), (accesses, "add")]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("step", "at"),
    [
        (STEPS[0], 1),
        *((STEPS[1], at) for at in (1, 3, 6, 11, 14)),
        (STEPS[2], 1),
        (STEPS[3], 1),
        (STEPS[3], 2),
    ],
    ids=lambda each: each[1] if isinstance(each, tuple) else str(each),
)
async def test_who_is_killed_counts_wrongly_or_leaves_something(
    leaving: Shelf, monkeypatch: pytest.MonkeyPatch, step: tuple[object, str], at: int, *, after: bool
) -> None:
    monkeypatch.setattr(controllers, "BATCH", 1)
    betas = await of(leaving, "beta")
    with monkeypatch.context() as patch:
        kill(patch, step, after=after, at=at)
        with pytest.raises(KilledError):
            await delete(leaving)
    if await deletions(leaving.database):
        with pytest.raises(RefusedError, match=r"(is being|was) deleted"):
            await leaving.store.policies.apply(BOTH_CALL, "cli:anna")
    if step[1] == "_end" and after:
        # it was all done, and only not reported any more
        assert (await leaving.store.controllers.of("acme")).goes == {}
    else:
        assert await delete(leaving) == ALL
    (row,) = await deletions(leaving.database)
    assert json.loads(row["deleted"]) == {kind.value: count for kind, count in ALL.items()}
    assert len(await accounts(leaving)) == len(await accounts(leaving, "controller_deletion_begun")) == 1
    assert not any((await of(leaving, "acme")).values())
    assert await of(leaving, "beta") == betas


async def test_who_deletes_and_never_ends_it_is_not_in_the_sealed_record(
    leaving: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is whoever ends what another began."""
    with monkeypatch.context() as patch:
        kill(patch, (controllers, "_batch"), after=True, at=1)
        with pytest.raises(KilledError):
            await delete(leaving)
    begun = await accounts(leaving, "controller_deletion_begun")
    assert begun == [{"controller": "acme", "drop_proof": "no", "who": "cli:dpo", "why": ""}]
    ended = await leaving.store.controllers.delete("acme", "cli:other", drop_proof=True)
    assert (ended.begun_by, ended.finished_by, ended.drop_proof) == ("cli:dpo", "cli:other", True)
    (account,) = await accounts(leaving)
    assert (account["begun_by"], account["who"], account["drop_proof"]) == ("cli:dpo", "cli:other", "yes")


async def test_everything_is_counted_while_others_wait(
    leaving: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Erasures, holds and those who apply a policy wait for the locks, and have only seconds."""
    for name in ("_goes", "_keeps", "_proofs"):
        real = getattr(controllers, name)

        async def unlocked(connection: Connection, *arguments: Any, real: Any = real) -> Any:
            assert not connection.is_in_transaction()
            return await real(connection, *arguments)

        monkeypatch.setattr(controllers, name, unlocked)
    assert await delete(leaving) == ALL


@pytest.mark.parametrize("statement", ["anything_keeps", "anything_goes"])
async def test_a_whole_table_is_read_while_others_wait(leaving: Shelf, statement: str) -> None:
    """The table of holds may be, as they are few."""
    async with leaving.database.transaction() as connection:
        await connection.execute(SQL["by_indexes"])
        plan = await connection.fetch(f"EXPLAIN {SQL[statement]}", "acme")
    told = [line[0] for line in plan]
    read = {line.partition(" on ")[2].split()[0] for line in told if "Seq Scan" in line}
    assert read <= {"holds"}, told


@pytest.mark.parametrize("kind", Goes)
async def test_a_whole_table_is_read_for_each_batch(leaving: Shelf, kind: Goes) -> None:
    async with leaving.database.transaction() as connection:
        await connection.execute(SQL["by_indexes"])
        law = [DAY] if kind is Goes.CONSENTS else []
        plan = await connection.fetch(f"EXPLAIN {SQL[f'delete_{kind}']}", "acme", b"", 10, *law)
    assert not [line[0] for line in plan if "Seq Scan" in line[0]]


async def test_a_hold_or_a_right_of_the_last_moment_is_overrun(
    leaving: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A right that was pressed at another node while the database was away is registered between two batches; a hold is
    placed then, too.
    """
    monkeypatch.setattr(controllers, "BATCH", 1)
    real, taken = controllers._batch, []

    async def beside(*arguments: Any) -> Any:
        taken.append(arguments)
        if len(taken) == 3:
            await _asked(leaving)
        return await real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(controllers, "_batch", beside)
        with pytest.raises(StillNeededError, match="1 request is open"):
            await delete(leaving)
    left = await leaving.store.controllers.of("acme")
    assert left.goes[Goes.CONTACTS].held == ALL[Goes.CONTACTS] - 2
    assert left.goes[Goes.SUPPRESSIONS].held == ALL[Goes.SUPPRESSIONS]


async def test_a_bar_that_went_with_its_controller_passes_for_taken_away_by_hand(
    leaving: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A right may be registered when it was just looked whether there is any, and its bar be deleted with the others."""
    real, asked = controllers._batch, list[str]()

    async def beside(connection: Connection, controller: str, kind: Goes, *how: Any) -> Any:
        if kind is not Goes.SUPPRESSIONS or asked:
            return await real(connection, controller, kind, *how)
        asked.append(await person.asked(leaving, Right.ERASURE, made.numbers(3)[2]))
        with monkeypatch.context() as patch:
            patch.setitem(SQL, "anything_keeps", "SELECT $1 = ''")
            return await real(connection, controller, kind, *how)

    with monkeypatch.context() as patch:
        patch.setattr(controllers, "_batch", beside)
        with pytest.raises(StillNeededError, match="1 request is open"):
            await delete(leaving)
    assert not (await of(leaving, "acme"))["suppressions"]
    assert await leaving.faults(Kind.REQUEST) == []


async def test_a_hold_is_placed_on_what_is_just_going(leaving: Shelf, dsn: str) -> None:
    async with connected(dsn) as connection, asyncio.timeout(WITHIN):
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended('deletions', 0))")
            await connection.execute(
                "INSERT INTO holds (controller, digests, reason, placed_by) VALUES ('acme', $1, 'lawsuit', 'x')",
                [made.digests().newest],
            )
            deleting = asyncio.create_task(delete(leaving))
            await until_they_wait(leaving.database)
        with pytest.raises(StillNeededError, match="1 legal hold stands"):
            await deleting
    assert (await leaving.store.controllers.of("acme")).goes[Goes.CONTACTS].held == ALL[Goes.CONTACTS]


async def barred(shelf: Shelf) -> None:
    """As by an older ccari, which lets lists continue: this one refuses them."""
    await shelf.database.rows(
        """INSERT INTO suppressions (controller, digest, key_version, campaign, reason, origin, proof)
           VALUES ('acme', $1, 1, '', 'do_not_call', 'cli', '')""",
        bytes(32),
    )


async def test_what_others_enter_meanwhile_is_left(leaving: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others enter meanwhile goes too."""
    real, taken = controllers._end, []

    async def beside(*arguments: Any) -> bool:
        taken.append(arguments)
        if len(taken) == 1:
            await barred(leaving)
        return await real(*arguments)

    monkeypatch.setattr(controllers, "_end", beside)
    assert await delete(leaving) == {**ALL, Goes.SUPPRESSIONS: ALL[Goes.SUPPRESSIONS] + 1}


async def test_what_cannot_be_deleted_is_tried_for_ever(
    leaving: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that others change whenever they are to go, for example."""

    async def fails(*_: Any) -> None:
        return None

    with monkeypatch.context() as patch:
        patch.setattr(controllers, "_batch", fails)
        with pytest.raises(StoreError, match="run this again"):
            await delete(leaving)
    assert await delete(leaving) == ALL


async def test_two_who_delete_the_same_count_it_twice(
    leaving: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, begun = controllers._begin, asyncio.Barrier(2)

    async def both_begin(*whose: Any, **how: Any) -> None:
        # one that begins after the other's end deletes anew, and finds nothing
        await begin(*whose, **how)
        async with asyncio.timeout(SECONDS):
            await begun.wait()

    monkeypatch.setattr(controllers, "_begin", both_begin)
    monkeypatch.setattr(controllers, "BATCH", 1)
    assert list(await asyncio.gather(delete(leaving), delete(leaving))) == [ALL, ALL]
    assert len(await deletions(leaving.database)) == len(await accounts(leaving)) == 1


async def test_what_comes_later_cannot_be_deleted(leaving: Shelf) -> None:
    await delete(leaving)
    await barred(leaving)
    assert await delete(leaving) == {Goes.SUPPRESSIONS: 1}
    assert len(await deletions(leaving.database)) == 2


async def test_the_uses_of_a_consent_keep_it_or_another_one(leaving: Shelf) -> None:
    """The calls have expired, and identify nobody."""
    for call in (await person.called(leaving), theirs := await leaving.call(made.call("beta"))):
        await leaving.database.rows(
            "INSERT INTO consent_uses (consent_id, call_id) SELECT id, $1 FROM consents WHERE controller = $2",
            call.id,
            call.controller,
        )
    await leaving.database.rows(
        "UPDATE calls SET digest = NULL, key_version = NULL, expired_at = now() WHERE controller = 'acme'"
    )
    await leaving.database.rows("UPDATE heard_notices SET call_id = NULL")
    assert (await delete(leaving))[Goes.CONSENTS] == ALL[Goes.CONSENTS]
    used = await leaving.database.rows("SELECT DISTINCT call_id FROM consent_uses")
    assert used == [{"call_id": theirs.id}]
    assert await leaving.store.controllers.stays("acme") == {
        "calls": 1, "requests": 0, "recordings": 0, "erasures": 0, "holds": 0, "accesses": NOTED + 2,
    }  # fmt: skip


async def test_a_lifted_bar_is_deleted_by_hand_or_of_a_controller_that_stays(leaving: Shelf) -> None:
    async with leaving.database.connection() as connection:
        for controller in ("acme", "beta"):
            with pytest.raises(asyncpg.RaiseError, match="append-only"):
                await connection.execute("DELETE FROM removed_suppressions WHERE controller = $1", controller)
        await connection.execute(
            "INSERT INTO controller_deletions (controller, begun_by) VALUES ('acme', 'cli:dpo')"
        )
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await connection.execute("DELETE FROM removed_suppressions")
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await connection.execute("TRUNCATE removed_suppressions")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM controller_deletions",
        "TRUNCATE controller_deletions",
        "UPDATE controller_deletions SET deleted = '{}'",
        "UPDATE controller_deletions SET controller = 'x'",
    ],
)
async def test_the_account_of_a_deletion_is_changed(leaving: Shelf, change: str) -> None:
    await delete(leaving)
    with pytest.raises(StoreError):
        await leaving.database.execute(change)
