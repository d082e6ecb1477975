"""``ccari contacts`` and ``ccari consents``, run as a person runs them."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy.numbers import Number
from ccari.policy.suppression import Reason
from ccari.store.opened import Store
from tests.integration.service import Service
from tests.unit.store import made
from tests.unit.store.commands import list_refused, on, unseen
from tests.unit.store.made import new_secret

#: Besides the policy's campaign, one that calls people who have agreed to it, from lists that say where they come from.
OFFERS = """
[[campaigns]]
id = "offers"
controller = "acme"
purpose = "nowa oferta"
legal_basis = "consent"
marketing = true
dial = "PJSIP/{number}@trunk"
[campaigns.recording]
mode = "off"
"""
FIRST, SECOND, THIRD, FOURTH = ("600100001", "600100002", "600100003", "600100004")


@pytest.fixture
async def ccari(dsn: str, store: Store, tmp_path: Path) -> Service:
    await store.policies.apply(made.POLICY + OFFERS, "test")
    new_secret(SecretStore(tmp_path / "keys"), "acme")
    return on(dsn, tmp_path)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(text: str, name: str = "list.csv") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


async def bar(store: Store, tmp_path: Path, number: str, reason: Reason) -> None:
    digests = SecretStore(tmp_path / "keys").digests("acme", Number(f"+48{number}"))
    await store.suppressions.add("acme", digests, reason, "test", "")


async def test_a_plain_list_needs_a_csv_although_the_options_say_all(
    ccari: Service, written: Any, store: Store, tmp_path: Path
) -> None:
    await bar(store, tmp_path, SECOND, Reason.ERASURE)
    file = written(f"{FIRST}\n# a comment\n{SECOND}\n{FIRST}\n")
    options = (
        "--source", "fair in Poznań", "--obtained", "2026-01-31", "--basis", "contract", "--valid-until", "2099-12-31",
    )  # fmt: skip
    done = unseen(await ccari.ccari("contacts", "import", file, *options))
    assert (done.code, done.err) == (0, "")
    assert done.out == "3 lines: 1 accepted, 1 already known, 0 invalid, 1 suppressed_erasure\n"
    (row,) = await ccari.json("contacts", "show", FIRST)
    assert {**row, "entered_at": "", "origin": row["origin"].partition(":")[0]} == {
        "source": "fair in Poznań", "obtained_on": "2026-01-31", "legal_basis": "contract", "proof": "",
        "valid_until": "2099-12-31T23:00:00+00:00", "origin": "import", "entered_at": "",
    }  # fmt: skip
    shown = unseen(await ccari.ccari("contacts", "show", SECOND))
    assert (shown.code, shown.out) == (1, "the number is not a contact of this controller\n")
    list_refused(
        await ccari.ccari("contacts", "import", file, *options[:4]), "line 1", "the columns number, basis"
    )


async def test_a_bad_file_changes_something_or_is_not_told_line_by_line(
    ccari: Service, written: Any, store: Store
) -> None:
    file = written(
        "number;source;obtained;basis\n"
        f"{FIRST};fair;2026-01-31;contract\n{SECOND};fair;31.01.2026;contract\n{THIRD};;2026-01-31;contract\n"
        "12;fair;2026-01-31;contract\n"
    )
    done = await ccari.ccari("contacts", "import", file)
    list_refused(done, "nothing was changed: 3 of 4 lines are invalid", "--keep-going")
    assert done.err.splitlines()[:-1] == [
        "line 3: obtained: it must be a date such as 2026-12-31",
        "line 4: source: it is empty",
        "line 5: number: no country has such a number",
    ]
    told = json.loads(unseen(await ccari.ccari("contacts", "import", file, "--json")).out)
    assert (told["taken"], told["accepted"], [each["line"] for each in told["faults"]]) == (
        False,
        0,
        [3, 4, 5],
    )
    assert await store.database.rows("SELECT FROM contacts") == []
    told = await ccari.json("contacts", "import", file, "--keep-going")
    assert (told["lines"], told["accepted"], told["invalid"], told["barred"]) == (4, 1, 3, {})
    assert len(await store.database.rows("SELECT FROM contacts")) == 1


async def test_a_campaigns_list_takes_in_somebody_who_has_objected_to_it(
    ccari: Service, written: Any, store: Store, tmp_path: Path
) -> None:
    await bar(store, tmp_path, FIRST, Reason.OBJECTION_MARKETING)
    file = written(f"{FIRST}\n{SECOND}\n")
    options = ("--source", "fair", "--obtained", "2026-01-31", "--basis", "consent")
    told = await ccari.json("contacts", "import", file, *options, "--campaign", "offers")
    assert (told["lines"], told["accepted"], told["barred"]) == (2, 1, {"suppressed_objection_marketing": 1})
    told = await ccari.json("contacts", "import", file, *options)
    assert (told["accepted"], told["duplicate"], told["barred"]) == (1, 1, {})
    list_refused(
        await ccari.ccari("contacts", "import", file, *options, "--campaign", "ofers"),
        "there is no campaign 'ofers', only renewals, offers",
    )
    list_refused(
        await ccari.ccari("contacts", "import", file, *options, "--campaign", "offers", "--controller", "x"),
        "the campaign 'offers' is 'acme''s, not 'x'",
    )
    list_refused(
        await ccari.ccari("contacts", "import", str(tmp_path / "none"), *options), "cannot read", "none"
    )


async def consented(ccari: Service, written: Any, *numbers: str) -> None:
    rows = "".join(f"{each},marketing,phone,2026-01-31,form 12\n" for each in numbers)
    file = written(f"number,purpose,channel,given,proof\n{rows}", "consents.csv")
    told = await ccari.json("consents", "import", file)
    assert (told["taken"], told["accepted"]) == (True, len(numbers))


async def test_a_scrubbed_list_has_another_row_or_an_uncallable_one(
    ccari: Service, written: Any, store: Store, tmp_path: Path
) -> None:
    await consented(ccari, written, FIRST, SECOND, FOURTH)
    sourced = written(f"{FIRST}\n{SECOND}\n{THIRD}\n", "sourced.csv")
    await ccari.json(
        "contacts", "import", sourced, "--source", "fair", "--obtained", "2026-01-31", "--basis", "consent"
    )
    await bar(store, tmp_path, SECOND, Reason.ERASURE)
    header, kept = "Klient;NUMBER;Uwagi\n", f'"Nowak; Anna";{FIRST};"dwa\nwiersze"\n'
    rest = "".join(f"x;{each};\n" for each in (SECOND, THIRD, FOURTH, "12"))
    file = written(header + kept + rest + kept.replace("600 ", "600"))
    done = await ccari.ccari("contacts", "scrub", file, "--campaign", "offers")
    assert (done.code, done.out) == (0, header + kept * 2)
    *faults, report = done.err.splitlines()
    assert faults == ["line 7: number: no country has such a number"]
    assert report.startswith("6 lines: 2 may be called, 1 invalid, ")
    assert sorted(report.split(", ")[2:]) == ["1 no_consent", "1 no_source", "1 suppressed_erasure"]
    assert "60010000" not in done.err
    out = tmp_path / "out.csv"
    told = json.loads(
        unseen(
            await ccari.ccari("contacts", "scrub", file, "--campaign", "offers", "--out", str(out), "--json")
        ).out
    )
    assert out.read_text() == header + kept * 2
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert told == {
        "lines": 6, "kept": 2, "invalid": 1, "doubtful": 0, "first_doubtful": None,
        "left_out": {"no_consent": 1, "no_source": 1, "suppressed_erasure": 1}, "unchecked": [],
        "faults": [{"line": 7, "column": "number", "why": "no country has such a number"}],
    }  # fmt: skip
    # over itself, and again
    for _ in range(2):
        await ccari.json("contacts", "scrub", str(out), "--campaign", "offers", "--out", str(out))
    assert out.read_text() == header + kept * 2


async def test_who_objected_is_left_in_a_second_column_of_a_scrubbed_list_without_a_word(
    ccari: Service, written: Any, store: Store, tmp_path: Path
) -> None:
    await bar(store, tmp_path, SECOND, Reason.ERASURE)
    rows = f"number;alt_phone;since\n{FIRST};600 100 002;2026-01-31\n{THIRD};;2026-01-31\n"
    file = written(rows)
    done = await ccari.ccari("contacts", "scrub", file, "--campaign", "renewals")
    assert (done.code, done.out) == (0, rows)
    assert done.err == (
        "ccari: 'alt_phone': there seem to be telephone numbers here too, which were not checked: only those in 'number' were. "
        "Give each number a row of its own, and scrub again\n2 lines: 2 may be called, 0 invalid\n"
    )
    # a program reads the report from there
    done = await ccari.ccari("contacts", "scrub", file, "--campaign", "renewals", "--json")
    assert json.loads(done.err)["unchecked"] == ["alt_phone"]


def drafts(folder: Path) -> list[Path]:
    return list(folder.glob("*.draft"))


async def test_a_scrub_that_fails_leaves_a_list_that_looks_whole(
    ccari: Service, written: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("of yesterday")
    file = written(f"{FIRST}\n")
    (tmp_path / "keys/acme/suppression-1.key").unlink()
    scrub = ("contacts", "scrub", file, "--campaign", "renewals", "--out")
    list_refused(await ccari.ccari(*scrub, str(out)), "has no suppression secret")
    assert (out.read_text(), drafts(tmp_path)) == ("of yesterday", [])
    list_refused(await ccari.ccari(*scrub, str(tmp_path / "no" / "out.csv")), "cannot write", "No such file")
    for other in ("/dev/null", str(tmp_path)):
        list_refused(await ccari.ccari(*scrub, other), f"cannot write {other}", "not a regular file")


async def test_a_consent_is_withdrawn_and_comes_back_with_the_next_list(ccari: Service, written: Any) -> None:
    await consented(ccari, written, FIRST)
    done = unseen(
        await ccari.ccari("consents", "withdraw", FIRST, "--purpose", "marketing", "--proof", "letter 7")
    )
    assert (done.code, done.err) == (0, "")
    assert done.out == "+48•••••0001 for acme: consents withdrawn: 1; calls based on them are barred\n"
    told = await ccari.json("consents", "import", written(
        "Number,purpose,channel,given,proof\n"
        f"+48{FIRST},marketing,phone,2026-01-31,form 12\n{FIRST},marketing,phone,2026-02-28T12:30,form 13\n"
    ))  # fmt: skip
    assert (told["lines"], told["accepted"], told["duplicate"]) == (2, 1, 1)
    rows = await ccari.json("consents", "show", FIRST)
    assert [(row["given_at"], row["state"], row["uses"]) for row in rows] == [
        ("2026-01-30T23:00:00+00:00", "withdrawn", []), ("2026-02-28T11:30:00+00:00", "withdrawn", []),
    ]  # fmt: skip
    shown = unseen(await ccari.ccari("consents", "show", FIRST))
    assert (shown.code, "no consent was used for a call" in shown.out) == (0, True)
    blocked = unseen(await ccari.ccari("gate", FIRST, "--campaign", "offers"))
    assert blocked.code == 1
    assert "suppressed_campaign_withdraw_consent" in blocked.out
    list_refused(
        await ccari.ccari("consents", "withdraw", FIRST, "--purpose", "markteing", "--proof", "letter 7"),
        "no consent to that purpose", "marketing, renewals", "leave out --purpose",
    )  # fmt: skip
    none = unseen(await ccari.ccari("consents", "show", SECOND))
    assert (none.code, none.out) == (1, "there is no consent\n")


async def test_a_consent_that_was_erased_is_left_out_without_a_word(
    ccari: Service, written: Any, store: Store, tmp_path: Path
) -> None:
    await bar(store, tmp_path, FIRST, Reason.ERASURE)
    rows = "".join(f"{each},marketing,phone,2026-01-31,form 12\n" for each in (FIRST, SECOND))
    file = written(f"number,purpose,channel,given,proof\n{rows}")
    done = unseen(await ccari.ccari("consents", "import", file))
    assert (done.code, done.out) == (
        0, "2 lines: 1 accepted, 0 already known, 0 invalid, 1 suppressed_erasure\n",
    )  # fmt: skip
    told = await ccari.json("consents", "import", file)
    assert (told["lines"], told["duplicate"], told["barred"]) == (2, 1, {"suppressed_erasure": 1})


async def test_a_consent_of_tomorrow_is_taken_or_one_without_proof(
    ccari: Service, written: Any, store: Store
) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date()
    header = "number,purpose,channel,given,proof,withdrawn,valid_until\n"
    file = written(
        f"{header}{FIRST},marketing,phone,{tomorrow},form 12,,\n{SECOND},marketing,phone,2026-01-31,,,\n"
        f"{THIRD},marketing,phone,2026-01-31,form 12,2026-01-30,\n"
    )
    done = await ccari.ccari("consents", "import", file)
    list_refused(done, "nothing was changed: 3 of 3 lines are invalid")
    assert done.err.splitlines()[:-1] == [
        "line 2: given: it is in the future",
        "line 3: proof: it is empty",
        "line 4: withdrawn: it is before the consent was given",
    ]
    assert await store.database.rows("SELECT FROM consents") == []
    list_refused(
        await ccari.ccari("consents", "import", written(f"{FIRST}\n")),
        "the file must be a CSV with the columns",
    )
    list_refused(
        await ccari.ccari("consents", "import", written("number,purpose\n")),
        "the column 'channel' is missing",
    )


async def test_a_purpose_that_is_misspelt_is_taken_without_a_word(ccari: Service, written: Any) -> None:
    row = "phone,2026-01-31,form 12"
    file = written(
        f"number,purpose,channel,given,proof\n{FIRST},marketing,{row}\n{FIRST},markteing,{row}\n{SECOND},renewals,{row}\n"
    )
    done = await ccari.ccari("consents", "import", file)
    assert (done.code, done.out) == (0, "3 lines: 3 accepted, 0 already known, 0 invalid\n")
    assert done.err == "warning: no campaign asks for a consent to 'markteing'\n"
