"""After an erasure no table, no dump, no file of the data directory and no journal holds the number.

On a server of its own, so that its whole data directory can be read.
"""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from ccari.config import Settings
from ccari.keyring.secrets import SecretStore
from ccari.policy.chain import fault, start
from ccari.policy.numbers import Number
from ccari.policy.rights import EFFECTS, Level, RequestState, Right
from ccari.ports.holds import HoldOn, Subject
from ccari.recordings.housekeeping import purging
from ccari.store import traces
from ccari.store.database import Database
from ccari.store.opened import open_store
from tests.folders import open_folder
from tests.integration.service import Service
from tests.postgres import on_it, programmes
from tests.unit.store import made, person
from tests.unit.store.kept import Shelf
from tests.unit.store.made import new_secret
from tests.unit.store.server import connected
from tests.unit.store.test_requests import by, letter
from tests.unit.store.test_seals import sign

NUMBER = Number("+48601987654")
BYSTANDER = Number("+48601987655")
SPELLINGS = ["601987654", "601 987 654", "601-987-654", "(601) 98 76 54", "601–987, 654"]
MASKED = NUMBER.masked[-9:]
#: Kept on purpose: the digest bars the number, and shows whose the requests were and whose data somebody looked at.
KEPT_DIGESTS = {
    "suppressions.digest", "removed_suppressions.digest", "rights_requests.digest", "rights_requests.digests", "holds.digests", "request_event_details.asserted",
    "accesses.fields",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prepared(quick: Path) -> AsyncIterator[Path]:
    """A data directory whose server has ended: making one takes longer than copying it."""
    with open_folder("erased", quick) as data_dir:
        secrets = SecretStore(data_dir / "keys")
        new_secret(secrets, "acme")
        (data_dir / "keys" / "acme" / "suppression-1.key").write_text(b"acme".ljust(32, b".").hex())
        async with on_it(open_store(Settings(data_dir=data_dir))) as store:
            await store.policies.apply(made.POLICY, "test")
        yield data_dir


@pytest_asyncio.fixture
async def shelf(prepared: Path, quick: Path) -> AsyncIterator[Shelf]:
    with open_folder("erased", quick) as data_dir:
        copying = await asyncio.create_subprocess_exec("cp", "-a", f"{prepared}/.", data_dir)
        assert await copying.wait() == 0
        async with on_it(open_store(Settings(data_dir=data_dir))) as store:
            yield Shelf(store, store.database, data_dir / "recordings")


async def fill(shelf: Shelf, number: Number, words: str) -> str:
    """A row of the person in every table that can have one; the reference of their erasure."""
    store, digests = shelf.store, made.digests(number=number)
    calls = [await person.called(shelf, number) for _ in range(3)]
    await person.known(shelf, number, words=words)
    await person.used(shelf, calls[0], "renewals")
    purged, _ = await shelf.put(calls[0]), await shelf.put(calls[1])
    await shelf.keeper().delete([purged], purging(person.now(), words))
    for right in Right:
        pressed = await shelf.call(made.call(number=number))
        exercise = replace(made.exercise(right), number=number.e164, note=words)
        reference = await store.calls.register_right(pressed, exercise, made.journal("key_pressed", key="7"))
        await store.calls.close(pressed.id, "bridged", "", made.journal("call_ended"))
        if EFFECTS[right].state is RequestState.RECEIVED:
            await store.requests.step(reference, RequestState.WITHDRAWN, by("cli:anna", words))
    held = await store.holds.place(HoldOn(subject=Subject("acme", digests)), "lawsuit", "cli:anna")
    await store.holds.release(held["id"], "settled", "cli:anna")
    await shelf.database.rows(
        """INSERT INTO http_repeats (key, asked, status, kind, body)
           VALUES (sha256(convert_to($1, 'UTF8')), sha256('asked'), 201, 'application/json', convert_to($1, 'UTF8'))""",
        json.dumps({"number": number.masked}, ensure_ascii=False),
    )
    exercise = replace(letter(Right.ERASURE, level=Level.L2, note=words), number=number.e164)
    return await store.requests.add("acme", exercise, digests)


async def columns(dsn: str) -> dict[str, str]:
    """All that is kept in each column that could hold a text, as text; bytes in hex. By ``table.column``."""
    async with connected(dsn) as connection:
        found = await connection.fetch(
            """SELECT table_name AS "table", column_name AS "column" FROM information_schema.columns
               JOIN information_schema.tables USING (table_schema, table_name)
               WHERE table_schema = 'ccari' AND table_type = 'BASE TABLE'
                 AND data_type IN ('text', 'jsonb', 'bytea', 'ARRAY', 'character varying', 'json', 'uuid')"""
        )
        return {
            f"{each['table']}.{each['column']}": str(
                await connection.fetchval(
                    f"""SELECT string_agg("{each["column"]}"::text, E'\\n') FROM "{each["table"]}" """  # noqa: S608 - ours
                )
            )
            for each in found
        }


def holding(kept: Mapping[str, str], *spellings: str) -> set[str]:
    as_hex = [each.encode().hex() for each in spellings]
    return {name for name, text in kept.items() if any(each in text for each in (*spellings, *as_hex))}


def dumped(shelf: Shelf) -> str:
    """What pg_dump from the server's own package prints."""
    binary = programmes() / "pg_dump"
    done = subprocess.run([binary, shelf.store.dsn], check=True, capture_output=True)
    return done.stdout.decode()


def files_holding(folder: Path, *spellings: str) -> list[str]:
    wanted = re.compile(b"|".join(re.escape(each.encode()) for each in spellings))
    return sorted(
        str(each.relative_to(folder))
        for each in folder.rglob("*")
        if each.is_file() and wanted.search(each.read_bytes())
    )


def run(shelf: Shelf) -> Service:
    data_dir = shelf.folder.parent
    return Service({"CCARI_DATA_DIR": str(data_dir)}, data_dir / "log", data_dir / "err")


# two of them: test_erasure.py sees that the database finds each in a text
@pytest.mark.parametrize("spelling", [SPELLINGS[0], SPELLINGS[-1]])
async def test_the_number_is_somewhere_after_an_erasure(shelf: Shelf, spelling: str) -> None:
    words = f"nagranie {spelling}.wav"
    reference, other = await fill(shelf, NUMBER, words), await fill(shelf, BYSTANDER, "form 12")
    # the planner takes samples of what is in the columns
    await shelf.database.rows("ANALYZE")
    before, digest = await columns(shelf.store.dsn), made.digests(number=NUMBER).newest.hex()
    # otherwise a search that finds nothing afterwards would be no proof
    assert holding(before, spelling) >= {
        "consents.proof", "contacts.proof", "suppressions.proof", "removed_suppressions.proof", "removed_suppressions.why",
        "request_event_details.reason", "recordings.deletion_ref", "call_event_fields.fields",
    }  # fmt: skip
    assert holding(before, NUMBER.digits) >= {"rights_requests.number", "forwards.number"}
    assert holding(before, MASKED) >= {"calls.number_masked", "http_repeats.body"}
    assert spelling in dumped(shelf)
    data_dir = shelf.folder.parent
    assert files_holding(data_dir, spelling)

    done = await run(shelf).ccari("subject", "erase", NUMBER.e164, "--request", reference, "--yes", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["traces"]["left"] == {}
    assert {each["what"] for each in report["kept"]} == {"consent"}
    await person.resolved(shelf, reference)

    after = await columns(shelf.store.dsn)
    everywhere = [*SPELLINGS, NUMBER.digits, MASKED]
    assert holding(after, *everywhere) == set()
    assert holding(after, digest) <= KEPT_DIGESTS | {"consents.digest"}
    assert not [each for each in everywhere if each in dumped(shelf)]
    assert files_holding(data_dir, *SPELLINGS, NUMBER.digits) == []
    assert not [each for each in everywhere if each in done.out + done.err]
    # everything of another person is there
    assert holding(after, BYSTANDER.digits) == {"rights_requests.number", "forwards.number"}
    assert (await shelf.store.requests.show(other)).request["number"] == BYSTANDER.e164


@pytest.mark.parametrize("written", ["proof of a contact", "reason of a purge"])
async def test_the_number_is_left_in_a_file_where_all_else_that_people_wrote_is_without_it(
    shelf: Shelf, tmp_path: Path, written: str
) -> None:
    words, line = "nagranie 601987654.wav", "{},fair,2026-01-15,contract,{}\n"
    others = [line.format(number.e164, f"form {n}") for n, number in enumerate(made.numbers(50))]
    if written == "proof of a contact":
        # it is the last of its page: what lies beside a row that goes is moved to its place
        for last in ((), (line.format(NUMBER.e164, words),)):
            (tmp_path / "list.csv").write_text(
                "".join(["number,source,obtained,basis,proof\n", *others, *last])
            )
            done = await run(shelf).ccari("contacts", "import", str(tmp_path / "list.csv"))
            assert done.code == 0, done.err
    else:
        for whose, why in ((BYSTANDER, "wrong person"), (NUMBER, words)):
            recording = await shelf.put(await person.called(shelf, whose))
            await shelf.keeper().delete([recording], purging(person.now(), why))
    await shelf.database.rows("ANALYZE")
    reference = await person.asked(shelf, number=NUMBER)
    data_dir = shelf.folder.parent
    await shelf.database.rows("CHECKPOINT")
    assert any("/base/" in each for each in files_holding(data_dir, words))

    done = await run(shelf).ccari("subject", "erase", NUMBER.e164, "--request", reference, "--yes", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["traces"]["left"] == {}
    assert files_holding(data_dir, *SPELLINGS, NUMBER.digits) == []


async def test_an_erasure_breaks_the_evidence_of_calls_or_requests(shelf: Shelf) -> None:
    """Their seals from before hold, and what was erased shows as erased."""
    reference = await fill(shelf, NUMBER, "letter 7")
    calls = [row["id"] for row in await shelf.database.rows("SELECT id FROM calls")]
    references = [
        row["reference"] for row in await shelf.database.rows("SELECT reference FROM rights_requests")
    ]
    await shelf.store.seals.seal(sign, 1000)
    before = {each: await shelf.store.seals.of_call(each) for each in calls}
    done = await run(shelf).ccari("subject", "erase", NUMBER.e164, "--request", reference, "--yes")
    assert done.code == 0, done.err
    await shelf.store.seals.seal(sign, 1000)
    for each in calls:
        assert (await shelf.store.records.show_call(each)).fault is None
        account = await shelf.store.seals.of_call(each)
        assert len(account.seals) == len(before[each].seals) + 1
        sealed = before[each].journal
        assert [(one.event, one.link) for one in account.journal[: len(sealed)]] == [
            (one.event, one.link) for one in sealed
        ]
        assert {one.event for one in account.journal if one.fields is not None} <= {
            "recording_deleted", "personal_data_erased",
        }  # fmt: skip
        last = account.journal[-1]
        assert fault(start(each), account.journal, count=last.seq, last=last.link) is None
    for each in references:
        assert (await shelf.store.requests.show(each)).fault is None


async def test_traces_are_passed_over_where_they_could_not_be_cleared(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody reads the requests in a long transaction: the erasure is done, and says what is left."""
    reference = await fill(shelf, NUMBER, "letter 7")
    async with connected(shelf.store.dsn) as reader, reader.transaction():
        await reader.execute("LOCK TABLE ccari.rights_requests IN ACCESS SHARE MODE")
        done = await run(shelf).ccari("subject", "erase", NUMBER.e164, "--request", reference, "--yes")
    assert done.code == 0, done.err
    assert "traces may be left in rights_requests: canceling statement due to lock timeout" in done.err
    assert holding(await columns(shelf.store.dsn), NUMBER.digits) == set()


async def test_a_log_that_we_may_not_clear_passes_for_a_clear_one(database: Database) -> None:
    """Such as on a server of the operator's own."""
    async with database.outside_pool() as connection:
        await connection.execute("CREATE ROLE clerk")
        try:
            await connection.execute("SET ROLE clerk")
            assert "permission denied" in str(await traces._clear_log(connection))
        finally:
            await connection.execute("RESET ROLE")
            await connection.execute("DROP ROLE clerk")


async def test_the_log_of_the_service_tells_the_number(shelf: Shelf) -> None:
    reference = await fill(shelf, NUMBER, "letter 7")
    done = await run(shelf).ccari("subject", "erase", "601 987 655", "--request", reference, "--yes")
    assert done.code == 1
    assert not [each for each in (*SPELLINGS, "987 655") if each in done.out + done.err]
    server_log = shelf.folder.parent / "postgresql" / "server.log"
    assert not [each for each in SPELLINGS if each in await asyncio.to_thread(server_log.read_text)]
