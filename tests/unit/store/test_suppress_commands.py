"""``ccari suppress``, ``registers`` and ``keys``, run as a person runs them."""

import asyncio
import json
import os
import pty
import re
import stat
import tempfile
from dataclasses import replace
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from ccari.keyring.secrets import SecretStore
from ccari.policy.numbers import Number
from ccari.policy.rights import Right
from ccari.store.database import Database
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from ccari.store.policies import Policies
from tests.integration.service import Service, command, parent
from tests.unit.store import made
from tests.unit.store.commands import list_refused, unseen
from tests.unit.store.made import new_secret
from tests.unit.store.test_requests import letter

REGISTERED = (
    made.POLICY.replace('dial = "', 'registers = ["robinson"]\ndial = "')
    + """
[[controllers]]
id = "other"
name = "Other GmbH"
country = "DE"
dpo = "dsb@other.example"
[[registers]]
id = "robinson"
name = "Lista Robinsonów"
"""
)
FIRST, SECOND, THIRD = "600100001", "600100002", "600100003"
ACME = ("--controller", "acme")


@pytest.fixture
async def ccari(dsn: str, store: Store, tmp_path: Path) -> Service:
    await store.policies.apply(REGISTERED, "test")
    for controller in ("acme", "other"):
        new_secret(SecretStore(tmp_path / "keys"), controller)
    return Service(
        {"CCARI_DATABASE__URL": dsn, "CCARI_DATA_DIR": str(tmp_path)}, tmp_path / "log", tmp_path / "err",
        store=store,
    )  # fmt: skip


def written(folder: Path, text: str, name: str = "list.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def texts(folder: Path, pattern: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob(pattern)}


async def bars(database: Database) -> list[dict[str, Any]]:
    return await database.rows(
        "SELECT controller, digest, key_version, campaign, reason, origin, proof, entered_at, expires_at"
        " FROM suppressions ORDER BY controller, digest, campaign, reason"
    )


async def test_a_list_that_nobody_reads_to_its_end_ends_in_a_traceback(
    ccari: Service, tmp_path: Path
) -> None:
    numbers = [f"6001{each:05}" for each in range(300)]
    done = await ccari.ccari("suppress", "import", written(tmp_path, "\n".join(numbers)), *ACME)
    assert done.code == 0, done.err
    await entered(ccari)
    full = "ccari: cannot write the output: No space left on device\n"
    for listed in (
        ("suppress", "export", *ACME), ("suppress", "list", "--limit", "0", "--json"), ("requests", "export"),
        ("requests", "export", "--format", "json"),
    ):  # fmt: skip
        assert await into_a_closed_pipe(ccari, *listed) == (1, ""), listed
        assert await onto_a_full_disk(ccari, *listed) == (1, full), listed


async def test_the_first_of_a_list_pass_for_all_of_it(ccari: Service) -> None:
    """An authority that asks what a number was called about would get a hundred calls, not knowing of more."""
    for right in ("objection_marketing", "objection", "restriction"):
        done = await ccari.ccari("requests", "add", right, FIRST, *ACME)
        assert done.code == 0, done.err
        assert (await ccari.ccari("suppress", "check", FIRST, *ACME)).code == 1
    lists = ("suppress", "list"), ("requests", "list"), ("requests", "find", FIRST, *ACME), ("audit", "list")
    for listed, json_ in product(lists, ((), ("--json",))):
        cut = await ccari.ccari(*listed, "--limit", "2", *json_)
        told = "these are the first 2, and there may be more: see --limit\n"
        assert (cut.code, cut.err) == (0, told), listed
        whole = await ccari.ccari(*listed, "--limit", "9", *json_)
        assert (whole.code, whole.err) == (0, ""), listed


async def entered(ccari: Service) -> None:
    """More requests than are listed at a time."""
    assert ccari.store is not None
    for each in range(40):
        number = Number(f"+486001{each:05}")
        exercise = replace(letter(Right.ACCESS, note="of a test " * 20), number=number.e164)
        await ccari.store.requests.add("acme", exercise, made.digests(number=number))


@pytest.mark.parametrize("json_", [(), ("--json",)], ids=["line", "json"])
@pytest.mark.parametrize(
    ("words", "done"),
    [
        (("requests", "add", "access", FIRST, *ACME), r"ACME-\d{4}-000001 was entered"),
        (("token", "create", "--role", "agent", "--agent", "anna", "--name", "crm"),
         "the token 'crm' was made, but nobody has seen it: revoke it"),
        (("suppress", "add", FIRST, *ACME), r"\+48•+0001 is now barred for acme: do_not_call"),
        (("recordings", "hold", "--number", FIRST, *ACME, "--reason", "lawsuit"),
         "hold 1 keeps 0 stored recordings, and those that are still to come"),
        (("consents", "withdraw", FIRST, *ACME, "--proof", "letter"),
         r"\+48•+0001 for acme: consents withdrawn: 0; calls based on them are barred"),
    ],
    ids=["request", "token", "bar", "hold", "withdrawal"],
)  # fmt: skip
async def test_what_was_done_is_called_failed_where_its_line_cannot_be_printed(
    ccari: Service, words: tuple[str, ...], done: str, json_: tuple[str, ...]
) -> None:
    code, said = await onto_a_full_disk(ccari, *words, *json_)
    assert code == 1
    assert re.fullmatch(f"ccari: {done}; the output could not be printed: No space left on device\n", said), (
        said
    )


@pytest.mark.parametrize(
    ("words", "done"),
    [
        (("rotate", *ACME), "acme: version 2 is used from now on; back it up"),
        (("rotate", "--evidence"), r"evidence: signed with key [0-9a-f]{16} from now on, version 2; back it up"),
        (("rotate", "--recordings", "--recipient", str(x25519.Identity.generate().to_public())),
         r"recordings: recipients from the next recording on, in \S+: age1\w+"),
    ],
    ids=["secret", "evidence", "recipients"],
)  # fmt: skip
async def test_whoever_is_told_that_a_rotation_failed_rotates_once_more(
    ccari: Service, words: tuple[str, ...], done: str
) -> None:
    assert (await ccari.ccari("keys", "init")).code == 0
    code, said = await onto_a_full_disk(ccari, "keys", *words)
    assert code == 1
    assert re.fullmatch(f"ccari: {done}; the output could not be printed: No space left on device\n", said), (
        said
    )


async def test_what_was_done_is_not_told_where_nobody_reads_its_line(ccari: Service) -> None:
    code, said = await into_a_closed_pipe(ccari, "requests", "add", "access", FIRST, *ACME)
    assert code == 1
    assert re.fullmatch(
        r"ccari: ACME-\d{4}-000001 was entered; the output could not be printed: Broken pipe\n", said
    )


async def into_a_closed_pipe(ccari: Service, *arguments: str) -> tuple[int, str]:
    reader, writer = os.pipe()
    os.close(reader)
    return await said_beside(ccari, writer, *arguments)


async def onto_a_full_disk(ccari: Service, *arguments: str) -> tuple[int, str]:
    return await said_beside(ccari, os.open("/dev/full", os.O_WRONLY), *arguments)


async def said_beside(ccari: Service, out: int, *arguments: str) -> tuple[int, str]:
    """Exit status, and what was said on standard error. ``out`` is a descriptor, and closed at the end."""
    with os.fdopen(out, "wb"), tempfile.TemporaryFile() as err:
        process = await parent().start(arguments, {**os.environ, **ccari.environment}, out, err.fileno())
        try:
            status = await process.wait()
        finally:
            process.leave()
        err.seek(0)
        return status, err.read().decode()


async def test_nobody_is_told_that_a_list_may_bar_others_than_was_meant(
    ccari: Service, tmp_path: Path
) -> None:
    """The same digits are a Polish mobile from which a spreadsheet took the plus, and a number in Germany."""
    file = written(tmp_path, "+48600100011\n48600100011\n015123456789\n15123456789\n")
    done = unseen(await ccari.ccari("suppress", "import", file, "--controller", "other"))
    assert (done.code, done.out) == (0, "4 lines: 3 accepted, 1 already known, 0 invalid\n")
    assert done.err == (
        "ccari: 2 numbers, the first in line 2, may have been read as somebody else's: without a first 0 it is one of the list's "
        "country, and with a + one of another: if a spreadsheet has dropped the +, import the column as text\n"
    )


async def test_a_bad_list_is_half_taken_or_its_faults_are_not_told(ccari: Service, tmp_path: Path) -> None:
    file = written(
        tmp_path, f"number;reason;proof\n{FIRST};;a\n12;erasure;\n{SECOND};spam;b\n{SECOND};erasure;\n"
    )
    done = unseen(await ccari.ccari("suppress", "import", file, *ACME))
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        "line 3: number: no country has such a number",
        "line 4: reason: it must be one of objection_marketing, objection, withdraw_consent, restriction, erasure, do_not_call",
        "ccari: nothing was changed: 2 of 4 lines are invalid: correct the file, or import the rest with --keep-going",
    ]
    assert await ccari.json("suppress", "list") == []
    done = unseen(
        await ccari.ccari("suppress", "import", file, *ACME, "--keep-going", "--proof", "p", "--json")
    )
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert [told[each] for each in ("taken", "lines", "accepted", "duplicate", "invalid")] == [
        True,
        4,
        2,
        0,
        2,
    ]
    assert told["faults"][0] == {"line": 3, "column": "number", "why": "no country has such a number"}
    listed = await ccari.json("suppress", "list", "--limit", "0")
    assert sorted((row["reason"], row["proof"]) for row in listed) == [("do_not_call", "a"), ("erasure", "p")]
    list_refused(
        await ccari.ccari("suppress", "import", str(tmp_path / "none"), *ACME), "cannot read", "No such file"
    )
    list_refused(
        await ccari.ccari("suppress", "import", file),
        "say which controller: one of acme, other",
    )
    list_refused(
        await ccari.ccari("suppress", "import", file, *ACME, "--campaign", "x"), "has no campaign 'x'"
    )


async def test_what_was_exported_bars_otherwise_elsewhere(
    ccari: Service, store: Store, empty: str, tmp_path: Path
) -> None:
    """Into an empty database with the same keys."""
    secrets = SecretStore(tmp_path / "keys")
    rows = [
        "number,reason,campaign,proof,since,until",
        f'{FIRST},erasure,,"letter of 1 May,\nsays ""no""; =1+1 \'ż\'",2026-01-02T03:04:05.678901+00:00,',
        f"{FIRST},objection,renewals,,2026-01-03,2099-01-01",
        f"{SECOND},withdraw_consent,,x,2026-01-04,",
    ]
    file = written(tmp_path, "\n".join(rows))
    assert (await ccari.ccari("suppress", "import", file, *ACME)).code == 0
    assert (await ccari.ccari("suppress", "add", FIRST, "--controller", "other")).code == 0
    new_secret(secrets, "acme")
    assert (await ccari.ccari("suppress", "add", THIRD, *ACME)).code == 0
    expected = [row for row in await bars(store.database) if row["controller"] == "acme"]
    assert [row["key_version"] for row in expected].count(2) == 1
    assert len(expected) == 4

    export = tmp_path / "export.csv"
    assert unseen(await ccari.ccari("suppress", "export", *ACME, "--out", str(export))).code == 0
    assert (await ccari.ccari("suppress", "export", *ACME)).out == export.read_text()
    async with open_database(empty) as database:
        await Policies(database).apply(REGISTERED, "test")
        into = {"CCARI_DATABASE__URL": empty}
        done = await ccari.ccari("suppress", "import", str(export), *ACME, environment=into)
        assert (done.code, done.out) == (0, "4 lines: 4 accepted, 0 already known, 0 invalid\n")
        assert await bars(database) == expected
        done = await ccari.ccari("suppress", "check", FIRST, *ACME, environment=into)
        assert (done.code, "renewals" in done.out) == (1, True)

        done = await ccari.ccari("suppress", "import", str(export), "--controller", "other", environment=into)
        assert done.code == 1
        assert "line 2: controller: it is not 'other', whom this list is for" in done.err
        secrets.retire("acme", 1)
        done = await ccari.ccari("suppress", "import", str(export), *ACME, environment=into)
        assert done.code == 1
        assert "key_version: this version of the secret is missing here: restore the keys first" in done.err


async def test_an_export_that_fails_leaves_half_a_file(ccari: Service, tmp_path: Path) -> None:
    list_refused(
        await ccari.ccari("suppress", "export", *ACME, "--out", str(tmp_path / "no" / "x")), "cannot write"
    )
    for other in ("/dev/null", str(tmp_path)):
        list_refused(
            await ccari.ccari("suppress", "export", *ACME, "--out", other),
            "cannot write",
            "not a regular file",
        )
    done = unseen(await ccari.ccari("suppress", "export", *ACME, "--out", str(tmp_path / "new.csv")))
    assert (done.code, stat.S_IMODE((tmp_path / "new.csv").stat().st_mode)) == (0, 0o600)
    out = Path(written(tmp_path, "of yesterday", "out.csv"))
    done = await ccari.ccari(
        "suppress",
        "export",
        *ACME,
        "--out",
        str(out),
        environment={"CCARI_DATABASE__URL": "postgresql:///no?host=/no"},
    )
    list_refused(done, "cannot be reached")
    assert texts(tmp_path, "*out*") == {"out.csv": "of yesterday"}


async def test_a_bar_is_added_shown_or_lifted_otherwise_than_asked(ccari: Service, store: Store) -> None:
    add = ("suppress", "add", FIRST, *ACME, "--reason", "objection", "--campaign", "renewals")
    done = unseen(await ccari.ccari(*add, "--until", "2099-12-31"))
    assert done.out == "+48•••••0001 is now barred for renewals: objection\n"
    done = await ccari.ccari(*add, "--until", "2020-01-01")
    assert (done.code, "it is in the past" in done.err) == (2, True)
    done = unseen(await ccari.ccari("suppress", "check", FIRST, *ACME, "--json"))
    (shown,) = json.loads(done.out)
    assert done.code == 1
    assert (shown["scope"], shown["campaign"], shown["reason"]) == ("campaign", "renewals", "objection")
    assert (shown["expires_at"], shown["stands"]) == ("2099-12-31T23:00:00+00:00", True)

    assert (await ccari.ccari("suppress", "remove", FIRST, *ACME)).code == 2
    assert (await ccari.ccari("suppress", "remove", FIRST, *ACME, "--why", " ")).code == 2
    done = await ccari.ccari("suppress", "remove", FIRST, *ACME, "--why", "x", "--reason", "erasure")
    assert (done.code, done.out) == (1, "there is no such suppression\n")
    done = unseen(await ccari.ccari("suppress", "remove", FIRST, *ACME, "--why", "a mistake", "--json"))
    assert (done.code, [row["reason"] for row in json.loads(done.out)]) == (0, ["objection"])
    done = await ccari.ccari("suppress", "check", FIRST, *ACME)
    assert (done.code, done.out) == (0, "not barred\n")
    (kept,) = await store.database.rows("SELECT why, removed_by FROM removed_suppressions")
    assert kept["why"] == "a mistake"
    assert kept["removed_by"].startswith("cli:")


async def test_who_lifts_bars_by_a_slip_is_not_told_that_an_erasure_stays(ccari: Service) -> None:
    assert (await ccari.ccari("suppress", "add", FIRST, *ACME, "--reason", "erasure")).code == 0
    done = unseen(await ccari.ccari("suppress", "remove", FIRST, *ACME, "--why", "asked to be called again"))
    assert done.code == 1
    assert "to lift one for restriction or erasure, name it by --reason" in done.out + done.err
    assert (await ccari.ccari("suppress", "check", FIRST, *ACME)).code == 1
    done = unseen(
        await ccari.ccari("suppress", "remove", FIRST, *ACME, "--why", "told", "--reason", "erasure")
    )
    assert done.code == 0


async def test_all_bars_are_asked_for_and_held_whole(ccari: Service) -> None:
    done = await ccari.ccari("suppress", "list", "--limit", "0")
    assert (done.code, "--json" in done.err) == (2, True)


@pytest.mark.parametrize("options", [(), ("--json",), ("--json", "--limit", "0")], ids=" ".join)
async def test_a_mistyped_controller_is_said_to_have_barred_nobody(
    ccari: Service, options: tuple[str, ...]
) -> None:
    list_refused(
        await ccari.ccari("suppress", "list", "--controller", "amce", *options),
        "there is no controller 'amce', only acme, other",
    )
    done = await ccari.ccari("suppress", "list", "--controller", "other", *options)
    assert (done.code, done.out) == (0, "[]\n" if options else "there are no suppressions\n")


async def test_a_policy_without_registers_is_said_to_have_one_that_is_called_none(
    ccari: Service, store: Store, tmp_path: Path
) -> None:
    await store.policies.apply(made.POLICY, "test")
    done = await ccari.ccari("registers", "import", "robinson", written(tmp_path, f"{FIRST}\n"))
    list_refused(done, "the policy declares no register 'robinson', and no other: add [[registers]] to it")


async def test_a_register_is_taken_for_fresh_or_heeded_by_those_who_need_not(
    ccari: Service, tmp_path: Path
) -> None:
    done = await ccari.ccari("registers", "list", "--json")
    (register,) = json.loads(done.out)
    assert (done.code, register["stale"], register["as_of"], register["max_age_days"]) == (1, True, None, 31)
    file = written(tmp_path, f"{FIRST}\n{SECOND}\n")
    list_refused(
        await ccari.ccari("registers", "import", "no", file), "declares no register 'no', only robinson"
    )
    done = unseen(await ccari.ccari("registers", "import", "robinson", file, "--as-of", "2026-01-01"))
    assert (done.code, done.out) == (0, "2 lines: 2 accepted, 0 already known, 0 invalid\n")
    done = await ccari.ccari("registers", "list", "--json")
    (register,) = json.loads(done.out)
    assert (done.code, register["stale"], register["entries"]) == (1, True, 2)
    assert register["age_days"] > 31

    assert (await ccari.ccari("registers", "import", "robinson", file, "--update")).code == 0
    done = await ccari.ccari("registers", "list")
    assert (done.code, "Lista Robinsonów" in done.out) == (0, True)
    done = unseen(await ccari.ccari("suppress", "check", FIRST, *ACME, "--json"))
    assert (done.code, [(row["scope"], row["reason"]) for row in json.loads(done.out)]) == (
        1,
        [("register", "robinson")],
    )
    assert (await ccari.ccari("suppress", "check", f"+48{FIRST}", "--controller", "other")).code == 0
    assert (await ccari.ccari("suppress", "check", THIRD, *ACME)).code == 0
    list_refused(
        await ccari.ccari("registers", "import", "robinson", written(tmp_path, "")),
        "the file has 0 numbers",
        "--shrunk",
    )


async def test_a_copy_of_a_day_is_said_to_be_of_the_day_before(ccari: Service, tmp_path: Path) -> None:
    """The day began at 23:00 UTC."""
    file, policy = written(tmp_path, f"{FIRST}\n"), written(tmp_path, REGISTERED, "policy.toml")
    load = ("registers", "import", "robinson", file, "--as-of")
    assert (await ccari.ccari(*load, "2026-01-02")).code == 0
    list_refused(
        await ccari.ccari(*load, "2026-01-01"), "is dated 2026-01-01 23:00 UTC, and this one is older"
    )
    assert "is dated 2026-01-01 23:00 UTC, and may be" in (await ccari.ccari("policy", "check", policy)).err


async def test_a_copy_that_stops_every_call_by_its_date_in_the_future_is_called_fresh(
    ccari: Service, store: Store, tmp_path: Path
) -> None:
    file = written(tmp_path, f"{FIRST}\n")
    assert (await ccari.ccari("registers", "import", "robinson", file)).code == 0
    await store.database.rows("UPDATE register_loads SET as_of = now() + interval '300 days' RETURNING 1")
    done = await ccari.ccari("registers", "list", "--json")
    (register,) = json.loads(done.out)
    assert (done.code, register["stale"]) == (1, True)
    assert (await ccari.ccari("registers", "import", "robinson", file)).code == 0
    done = await ccari.ccari("registers", "list", "--json")
    (register,) = json.loads(done.out)
    assert (done.code, register["stale"]) == (0, False)


async def test_a_secret_is_retired_under_what_hangs_on_it(
    ccari: Service, store: Store, tmp_path: Path
) -> None:
    await ccari.ccari("suppress", "add", FIRST, *ACME)
    await ccari.ccari("registers", "import", "robinson", written(tmp_path, SECOND))
    assert "version 2" in (await ccari.ccari("keys", "rotate", *ACME)).out
    rows = await ccari.json("keys", "list")
    assert [
        (row["controller"], row["register"], row["version"], row["suppressions"], row["listings"])
        for row in rows
    ] == [
        ("acme", None, 1, 1, 0),
        ("acme", None, 2, 0, 0),
        ("other", None, 1, 0, 0),
        (None, "robinson", 1, 0, 1),
    ]
    list_refused(
        await ccari.ccari("keys", "retire", *ACME, "--version", "1"),
        "version 1 of 'acme' is needed for 1 suppression: 1 suppression would stop working",
    )
    assert (await ccari.ccari("suppress", "check", FIRST, *ACME)).code == 1
    done = await ccari.ccari("keys", "retire", *ACME, "--version", "1", "--yes")
    assert (done.code, done.out) == (0, "acme: version 1 is out of use; 1 suppression no longer works\n")
    assert (await ccari.ccari("suppress", "check", FIRST, *ACME)).code == 0
    list_refused(
        await ccari.ccari("keys", "retire", *ACME, "--version", "2", "--yes"), "has no version 2 to retire"
    )
    assert len([row async for rows in store.suppressions.newest("acme", None) for row in rows]) == 1


async def test_a_secret_is_retired_under_the_count_of_attempts_and_what_was_heard(
    ccari: Service, store: Store, database: Database, tmp_path: Path
) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await database.rows(
        "INSERT INTO heard_notices (controller, digest, key_version, information_version, campaign, call_id)"
        " VALUES ('acme', $1, 1, 'v1', 'renewals', $2)", call.digests.newest, call.id,
    )  # fmt: skip
    new_secret(SecretStore(tmp_path / "keys"), "acme")
    rows = await ccari.json("keys", "list")
    assert [(row["calls"], row["notices"]) for row in rows if row["controller"] == "acme"] == [(1, 1), (0, 0)]
    list_refused(
        await ccari.ccari("keys", "retire", *ACME, "--version", "1"),
        "version 1 of 'acme' is needed for 1 call, 1 notice", "call attempts would be counted from zero",
    )  # fmt: skip


async def test_a_secret_is_retired_under_lifted_suppressions_that_a_person_is_to_be_told_of(
    ccari: Service, tmp_path: Path
) -> None:
    await ccari.ccari("suppress", "add", FIRST, *ACME)
    await ccari.ccari("suppress", "remove", FIRST, *ACME, "--why", "entered by mistake")
    new_secret(SecretStore(tmp_path / "keys"), "acme")
    rows = await ccari.json("keys", "list")
    counted = [(row["suppressions"], row["lifted"]) for row in rows if row["controller"] == "acme"]
    assert counted == [(0, 1), (0, 0)]
    done = await ccari.ccari("keys", "retire", *ACME, "--version", "1")
    list_refused(done, "version 1 of 'acme' is needed for 1 lifted suppression: 0 suppressions")


async def test_a_secret_is_retired_under_requests_that_are_found_by_their_digest_only(
    ccari: Service, store: Store, tmp_path: Path
) -> None:
    """A closed request no longer has a number from which its digest under the next secret could be made."""
    await ccari.ccari("requests", "add", "objection_marketing", FIRST, *ACME)
    (request,) = await ccari.json("requests", "list")
    done = await ccari.ccari("requests", "resolve", request["reference"])
    assert done.code == 0, done
    await ccari.ccari("suppress", "remove", FIRST, *ACME, "--why", "entered by mistake")
    new_secret(SecretStore(tmp_path / "keys"), "acme")
    list_refused(
        await ccari.ccari("keys", "retire", *ACME, "--version", "1"),
        "version 1 of 'acme' is needed for 1 lifted suppression, 1 request: 0 suppressions would stop working", "no request",
    )  # fmt: skip
    done = await ccari.ccari("requests", "find", FIRST, *ACME)
    assert "objection_marketing" in done.out, done


async def test_a_register_copied_from_an_old_file_is_taken_for_fresh(ccari: Service, tmp_path: Path) -> None:
    file = written(tmp_path, f"{FIRST}\n12\n")
    os.utime(file, (1767268800, 1767268800))  # 2026-01-01 12:00 UTC
    done = unseen(await ccari.ccari("registers", "import", "robinson", file, "--keep-going"))
    assert (done.code, done.out) == (0, "2 lines: 1 accepted, 0 already known, 1 invalid\n")
    assert done.err.splitlines()[-1].startswith(
        "numbers that are missing from the file were kept in the register"
    )
    (register,) = json.loads((await ccari.ccari("registers", "list", "--json")).out)
    assert register["as_of"].startswith("2026-01-01")
    list_refused(
        await ccari.ccari("registers", "import", "robinson", written(tmp_path, ""), "--update"),
        "the file contains no numbers", "--as-of",
    )  # fmt: skip
    list_refused(await ccari.ccari("registers", "import", "robinson", str(tmp_path / "no")), "cannot read")


@pytest.mark.parametrize(
    ("as_of", "since"),
    [("2026-01-01", "2026-01-01T23:59:59+01:00"), ("2026-01-01T08:00", "2026-01-01T08:00:00+01:00")],
    ids=["a day", "a moment"],
)
async def test_a_consent_of_the_day_of_a_copy_goes_before_the_register(
    ccari: Service, tmp_path: Path, as_of: str, since: str
) -> None:
    file = written(tmp_path, f"{FIRST}\n")
    assert (await ccari.ccari("registers", "import", "robinson", file, "--as-of", as_of)).code == 0
    (register,) = json.loads((await ccari.ccari("registers", "list", "--json")).out)
    (listed,) = json.loads((await ccari.ccari("suppress", "check", FIRST, *ACME, "--json")).out)
    told = [datetime.fromisoformat(each) for each in (register["as_of"], listed["entered_at"])]
    copied = as_of if "T" in as_of else f"{as_of}T00:00"
    assert told == [datetime.fromisoformat(f"{copied}:00+01:00"), datetime.fromisoformat(since)]


async def test_a_person_sees_no_bar_while_a_list_is_read(ccari: Service, tmp_path: Path) -> None:
    """On a terminal; into a pipe there is none, see the other tests."""
    file = written(tmp_path, "".join(f"{600000000 + each}\n" for each in range(5000)))
    theirs, ours = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *command("suppress", "import", file, *ACME), env={**os.environ, **ccari.environment, "TERM": "xterm"},
        cwd="/", stdout=asyncio.subprocess.PIPE, stderr=ours,
    )  # fmt: skip
    os.close(ours)
    out, _ = await process.communicate()
    seen = b""
    while piece := read_piece(theirs):
        seen += piece
    os.close(theirs)
    assert out.decode().startswith("5000 lines: ")
    assert re.search(rb"reading .*%", seen), seen
    assert b"600000" not in seen


def read_piece(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # Linux signals the end of a terminal that nobody holds by EIO
