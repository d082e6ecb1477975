"""``ccari policy`` and ``ccari gate``, run as a person runs them."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ccari.cli.context import NO_POLICY
from ccari.cli.policies import read_policy
from ccari.errors import CcariError
from ccari.forward.secret import WebhookSecrets
from ccari.keyring.journal_key import JournalKey
from ccari.keyring.secrets import SecretStore
from ccari.policy.blocks import WHY
from ccari.policy.gate import Block
from ccari.policy.presets import PRESETS
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.database import Database
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from tests.integration.service import Service
from tests.unit.store import made
from tests.unit.store.made import new_secret

#: Everything that can be missing around a policy is missing around this one.
DEMANDING = """\
[[controllers]]
id = "acme"
name = "ACME Sp. z o.o."
country = "PL"
dpo = "iod@acme.example"
forward = { url = "https://acme.example/hook" }

[[registers]]
id = "robinson"
name = "Lista Robinsonów"
max_age_days = 30

[[campaigns]]
id = "offers"
controller = "acme"
purpose = "nowa oferta"
legal_basis = "consent"
marketing = true
data_source = "formularz na stronie ACME"
registers = ["robinson"]
dial = "PJSIP/{number}@trunk"
recording = { mode = "off" }
"""
#: Its sounds come with ccari.
SILENT = DEMANDING + "notice = { prompts = [] }\n"


@pytest.fixture
def ccari(empty: str, tmp_path: Path) -> Service:
    """The commands on a database in which nothing was ever done."""
    return Service(
        {"CCARI_DATABASE__URL": empty, "CCARI_DATA_DIR": str(tmp_path / "data")},
        tmp_path / "log",
        tmp_path / "err",
    )


@pytest.fixture
async def own(empty: str) -> AsyncIterator[Store]:
    async with open_database(empty) as database:
        yield Store(empty, database)


def written(tmp_path: Path, text: str, name: str = "policy.toml") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


def lines(text: str, file: Path) -> list[str]:
    """What is reported of a file, without who reports it."""
    before = f"ccari: {file}: "
    assert all(each.startswith(before) for each in text.splitlines()), text
    return [each.removeprefix(before) for each in text.splitlines()]


async def test_a_file_cannot_be_checked_without_a_database_or_a_doubt_fails_it(tmp_path: Path) -> None:
    nowhere = Service(
        {"CCARI_DATABASE__URL": "postgresql://127.0.0.1:1/none", "CCARI_DATA_DIR": "/proc/none"},
        tmp_path / "log", tmp_path / "err",
    )  # fmt: skip
    sound = written(tmp_path, DEMANDING)
    wrong = written(tmp_path, DEMANDING.replace('"consent"', '"because"') + "unknown = 1\n", "wrong.toml")
    only = ("policy", "check", "--file-only")
    checked, told, refused, refused_json = await asyncio.gather(
        nowhere.ccari(*only, str(sound)), nowhere.ccari(*only, "--json", str(sound)),
        nowhere.ccari(*only, str(wrong)), nowhere.ccari(*only, "--json", str(wrong)),
    )  # fmt: skip
    assert (checked.code, checked.out) == (0, f"{sound} is valid: 1 controller, 1 campaign\n")
    doubts = [each.removeprefix("warning: ") for each in checked.err.splitlines()]
    assert any("withdraw_consent" in each for each in doubts)
    assert (told.code, told.err) == (0, "")
    assert json.loads(told.out) == {
        "file": str(sound), "sound": True, "faults": [], "blocks": [], "doubts": doubts
    }  # fmt: skip
    assert (refused.code, refused.out) == (1, "")
    assert [each.partition(": must be")[0] for each in lines(refused.err, wrong)] == [
        "line 17: campaigns[0].legal_basis",
        "line 23: campaigns[0].unknown: is not a known key; known are "
        + refused.err.partition("known are ")[2].strip(),
    ]
    assert (refused_json.code, refused_json.err) == (1, "")
    faults = json.loads(refused_json.out)["faults"]
    assert [(each["line"], each["key"]) for each in faults] == [
        (17, "campaigns[0].legal_basis"), (23, "campaigns[0].unknown")
    ]  # fmt: skip
    assert json.loads(refused_json.out)["sound"] is False


async def test_a_language_without_prompts_passes_where_only_the_file_is_checked(
    ccari: Service, tmp_path: Path
) -> None:
    text = DEMANDING.replace("data_source =", 'languages = ["en", "yy"]\ndata_source =')
    other = text.partition("[[campaigns]]")[2].replace('"offers"', '"others"')
    other = other.replace('languages = ["en", "yy"]', 'language = "xx"')
    file = written(tmp_path, f"{text}\n[[campaigns]]\n{other}")
    only, told, whole = await asyncio.gather(
        ccari.ccari("policy", "check", "--file-only", str(file)),
        ccari.ccari("policy", "check", "--file-only", "--json", str(file)),
        ccari.ccari("policy", "check", "--json", str(file)),
    )  # fmt: skip
    blocks = json.loads(told.out)["blocks"]
    assert [each.partition(": it has")[0].rpartition(": ")[2] for each in blocks] == [
        "no language 'yy'", "no language 'xx'"
    ]  # fmt: skip
    assert [each.partition(": ")[0] for each in blocks] == ["campaign 'offers'", "campaign 'others'"]
    # the whole check names a campaign's first fault, which of the other campaign is a sound
    assert blocks[1] in json.loads(whole.out)["blocks"]
    assert (told.code, only.code, only.out) == (1, 1, "")
    refused = [each for each in only.err.splitlines() if not each.startswith("warning: ")]
    assert lines("\n".join(refused), file) == blocks


def test_it_is_not_said_where_a_file_is_in_another_encoding_or_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    for text, line in ((SILENT.encode("utf-16"), 1), (b"# first\nname = 'ska\xbf'\n", 2)):
        file.write_bytes(text)
        with pytest.raises(CcariError) as told:
            read_policy(file)
        assert str(told.value) == f"{file}: line {line}: is not UTF-8: save the file as UTF-8"


async def test_what_would_block_every_call_is_found_by_the_first_of_them(
    ccari: Service, tmp_path: Path
) -> None:
    file = written(tmp_path, DEMANDING)
    mute = written(
        tmp_path, DEMANDING.replace("data_source =", 'language = "xx"\ndata_source ='), "mute.toml"
    )
    done, unspoken = await asyncio.gather(
        ccari.ccari("policy", "check", str(file)), ccari.ccari("policy", "check", "--json", str(mute))
    )
    assert (done.code, done.out) == (1, "")
    told = [each for each in done.err.splitlines() if not each.startswith("warning: ")]
    blocks = lines("\n".join(told), file)
    assert len(blocks) == 7
    secret, webhook, evidence, journal, sound, register, consent = blocks
    assert secret.startswith("controller 'acme': 'acme' has no suppression secret in ")
    assert secret.endswith("ccari keys init")
    assert webhook == (
        "controller 'acme': its requests cannot be signed: 'acme' has no webhook secret: "
        "ccari requests webhook-secret --controller acme"
    )
    assert evidence == (
        f"every campaign: there is no evidence key in {tmp_path / 'data/keys'}: restore it from the backup, "
        "or if there has never been one run: ccari keys init"
    )
    assert journal.startswith(
        f"every campaign: there is no {tmp_path / 'data/keys/journal.key'}: restore it from"
    )
    assert sound.startswith("campaign 'offers': pl/offers/identity: no such sound in ")
    assert sound.endswith(f": ccari sounds build --policy {file}")
    # which no build mends
    (language,) = [each for each in json.loads(unspoken.out)["blocks"] if "'xx'" in each]
    assert "no language 'xx': it has " in language
    assert language.endswith(": give the campaign one of these, or add yours there")
    assert "ccari sounds build" not in language
    assert register == (
        "campaign 'offers': the register 'robinson' has never been loaded: ccari registers import robinson FILE"
    )
    assert consent == (
        "campaign 'offers': no number of 'acme' has consented to 'marketing' by phone: ccari consents import FILE"
    )


async def test_what_has_been_seen_to_still_fails_the_check_or_what_has_lapsed_passes(
    ccari: Service, own: Store, tmp_path: Path
) -> None:
    file = written(tmp_path, SILENT)
    secrets = SecretStore(tmp_path / "data/keys")
    new_secret(secrets, "acme")
    SigningKeys(tmp_path / "data/keys").create()
    JournalKey(tmp_path / "data/keys").create()
    WebhookSecrets(tmp_path / "data/keys").create("acme")
    now = datetime.now(UTC)
    consents: list[dict[str, Any]] = [
        {"purpose": "news"}, {"channel": "automatic_calls"}, {"controller": "other"}, {"withdrawn_at": now},
        {"valid_until": now}, {"given_at": now + timedelta(days=1)},
    ]  # fmt: skip
    for place, changes in enumerate(consents):
        await consent(own.database, place, **changes)
    await loaded(own.database, now - timedelta(days=31))
    new_secret(secrets, "robinson", "register")
    checked = await ccari.ccari("policy", "check", "--json", str(file))
    blocks = json.loads(checked.out)["blocks"]
    assert checked.code == 1
    assert [each.partition(": ")[2].partition(": ")[0] for each in blocks] == [
        f"the copy of the register 'robinson' is dated {now - timedelta(days=31):%Y-%m-%d %H:%M} UTC, and may be at most 30 days old",
        "no number of 'acme' has consented to 'marketing' by phone",
    ]

    await consent(own.database, 99)
    await loaded(own.database, now - timedelta(days=30) + timedelta(hours=1))
    checked = await ccari.ccari("policy", "check", str(file))
    assert (checked.code, checked.out) == (0, f"{file} is valid: 1 controller, 1 campaign\n")

    (tmp_path / "data/keys/registers/robinson").rename(tmp_path / "away")
    checked = await ccari.ccari("policy", "check", "--json", str(file))
    (block,) = json.loads(checked.out)["blocks"]
    assert "the secret of the register 'robinson' is not in" in block


async def loaded(database: Database, as_of: datetime) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO register_loads (register, as_of, loaded_by, entries, sha256) VALUES ('robinson', $1, 'x', 0, $2)",
            as_of, bytes(32),
        )  # fmt: skip


async def consent(database: Database, place: int, **changes: Any) -> None:
    row: dict[str, Any] = {
        "controller": "acme", "digest": place.to_bytes(32, "big"), "key_version": 1, "purpose": "marketing",
        "channel": "phone", "given_at": datetime(2026, 1, 1, tzinfo=UTC), "proof": "x", "origin": "test",
    } | changes  # fmt: skip
    places = ", ".join(f"${each}" for each in range(1, len(row) + 1))
    async with database.connection() as connection:
        await connection.execute(f"INSERT INTO consents ({', '.join(row)}) VALUES ({places})", *row.values())  # noqa: S608 - ours


async def test_a_revision_can_change_or_nobody_knows_who_applied_it(ccari: Service, tmp_path: Path) -> None:
    first = written(tmp_path, made.POLICY)
    second = tmp_path / "second.toml"
    # as an editor on another system writes it
    second.write_bytes(
        b"\xef\xbb\xbf" + made.POLICY.replace("odnowienie", "przedłużenie").replace("\n", "\r\n").encode()
    )
    applied = [await ccari.ccari("policy", "apply", str(each)) for each in (first, second, second)]
    assert [each.code for each in applied] == [0, 0, 0]
    numbers = [each.out.splitlines()[0] for each in applied]
    assert numbers == [f"revision {number} is in force: 1 controller, 1 campaign" for number in (1, 2, 2)]
    hashes = [sha256(each.read_bytes()).hexdigest() for each in (second, first)]
    assert applied[1].out.splitlines()[2] == f"sha256 {hashes[0]}"
    assert "calls stay blocked: controller 'acme': 'acme' has no suppression secret" in applied[0].err

    listed, newest, older, older_json, none = await asyncio.gather(
        ccari.json("policy", "list"), ccari.ccari("policy", "show"), ccari.ccari("policy", "show", "1"),
        ccari.json("policy", "show", "1"), ccari.ccari("policy", "show", "3"),
    )  # fmt: skip
    assert [(each["revision"], each["sha256"]) for each in listed] == [(2, hashes[0]), (1, hashes[1])]
    by = listed[0]["applied_by"]
    assert by
    assert applied[0].out.splitlines()[1].startswith(f"applied by {by} at ")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(listed[0]["applied_at"])) < timedelta(hours=1)
    assert "przedłużenie umowy" in newest.out
    assert "odnowienie umowy" in older.out
    assert older.out == f"# revision 1, applied by {by}\n{made.POLICY}"
    assert (older_json["revision"], older_json["sha256"]) == (1, hashes[1])
    assert older_json["campaigns"][0]["purpose"] == "odnowienie umowy"
    assert (none.code, none.out, none.err) == (1, "", "ccari: there is no revision 3: ccari policy list\n")


async def test_a_policy_that_is_in_force_is_said_to_have_failed(
    ccari: Service, own: Store, tmp_path: Path
) -> None:
    """The operator would believe that calls still go by the one before."""
    async with own.database.outside_pool(slow_reader=True) as another, another.transaction():
        # read for what the policy lacks, once it is applied
        await another.execute("LOCK TABLE key_checks IN ACCESS EXCLUSIVE MODE")
        applied = await ccari.ccari("policy", "apply", str(written(tmp_path, made.POLICY)))
    assert (applied.code, [each["revision"] for each in await own.policies.revisions()]) == (1, [1])
    assert applied.err.startswith("ccari: revision 1 is in force: 1 controller, 1 campaign; what follows "), (
        applied.err
    )


async def test_a_record_of_processing_is_of_another_revision_or_controller_or_readable_by_others_or_overwritten(
    ccari: Service, tmp_path: Path
) -> None:
    none = await ccari.ccari("policy", "record")
    assert (none.code, none.out, none.err) == (1, "", f"ccari: {NO_POLICY}\n")
    other = made.POLICY.replace("odnowienie umowy", "przedłużenie umowy")
    for number, document in enumerate((made.POLICY, other)):
        (tmp_path / f"{number}.toml").write_text(document, encoding="utf-8")
        await ccari.ccari("policy", "apply", str(tmp_path / f"{number}.toml"))
    out = tmp_path / "record.html"
    newest, first, written, unknown, nobody, both = await asyncio.gather(
        ccari.json("policy", "record"), ccari.ccari("policy", "record", "1"),
        ccari.ccari("policy", "record", "--processor", "--language", "en", "--out", str(out)),
        ccari.ccari("policy", "record", "3"), ccari.ccari("policy", "record", "--controller", "beta"),
        ccari.ccari("policy", "record", "--processor", "--controller", "acme"),
    )  # fmt: skip
    assert newest["revision"]["number"] == 2
    assert newest["activities"][0]["purpose"] == "przedłużenie umowy"
    assert "encrypted" in newest["measures"]
    assert "time_stamped" not in newest["measures"]
    assert "Cel: odnowienie umowy" in first.out
    assert written.out == f"the record of processing of revision 2 is in {out}\n"
    assert "Article\u00a030(2)\u00a0GDPR" in out.read_text("utf-8")
    assert out.stat().st_mode & 0o777 == 0o600
    out.write_text("completed by hand", encoding="utf-8")
    again = await ccari.ccari("policy", "record", "--out", str(out))
    assert out.read_text("utf-8") == "completed by hand"
    assert (again.code, again.out) == (1, "")
    assert "already exists, and no record of processing is overwritten" in again.err
    assert (unknown.code, unknown.err) == (1, "ccari: there is no revision 3: ccari policy list\n")
    assert (nobody.code, nobody.err) == (1, "ccari: there is no controller 'beta', only acme\n")
    assert both.code == 2


async def test_the_information_for_people_is_of_another_revision_or_form_or_said_to_be_complete(
    ccari: Service, tmp_path: Path
) -> None:
    other = made.POLICY.replace("odnowienie umowy", "przedłużenie umowy")
    for number, document in enumerate((made.POLICY, other)):
        (tmp_path / f"{number}.toml").write_text(document, encoding="utf-8")
        await ccari.ccari("policy", "apply", str(tmp_path / f"{number}.toml"))
    out = tmp_path / "information.html"
    newest, first, written, nobody, french, one, none = await asyncio.gather(
        ccari.json("policy", "information"), ccari.ccari("policy", "information", "1", "--format", "markdown"),
        ccari.ccari("policy", "information", "--language", "uk", "--out", str(out)),
        ccari.ccari("policy", "information", "--controller", "beta"), ccari.ccari("policy", "information", "--language", "fr"),
        ccari.json("policy", "information", "--campaign", "renewals"), ccari.ccari("policy", "information", "--campaign", "lottery"),
    )  # fmt: skip
    assert newest["revision"]["number"] == 2
    assert newest["processing"][0]["purpose"] == "przedłużenie umowy"
    assert {"missing", "articles", "setting"} <= newest["gaps"][0].keys()
    assert first.out.splitlines()[2].startswith("# Jak wykorzystujemy")
    assert "### Rozmowy telefoniczne: odnowienie umowy" in first.out
    assert (
        written.out == f"the information for the people of 'acme', of revision 2, is in {out}: complete it\n"
    )
    assert '<html lang="uk">' in out.read_text("utf-8")
    out.write_text("completed by hand", encoding="utf-8")
    again, folder, full, absent = await asyncio.gather(
        ccari.ccari("policy", "information", "--out", str(out)), ccari.ccari("policy", "information", "--out", str(tmp_path)),
        ccari.ccari("policy", "information", "--out", "/dev/full"), ccari.ccari("policy", "information", "9"),
    )  # fmt: skip
    assert out.read_text("utf-8") == "completed by hand"
    for refused in (again, folder, full):
        assert (refused.code, refused.out) == (1, "")
        assert "already exists, and no information for people is overwritten" in refused.err
    assert (absent.code, absent.out) == (1, "")
    assert "9" in absent.err
    assert (nobody.code, nobody.err) == (1, "ccari: there is no controller 'beta', only acme\n")
    assert french.code == 2
    assert one["campaign"] == "renewals"
    assert (none.code, none.out) == (1, "")
    assert none.err.startswith("ccari: there is no campaign 'lottery'")


async def test_the_same_policy_applied_by_two_at_once_is_two_revisions(own: Store) -> None:
    done = await asyncio.gather(*(own.policies.apply(made.POLICY, f"person {each}") for each in range(8)))
    assert set(done) == {1}
    assert len(await own.policies.revisions()) == 1


async def test_a_preset_is_listed_without_its_source(ccari: Service) -> None:
    listed, table = await asyncio.gather(ccari.json("policy", "presets"), ccari.ccari("policy", "presets"))
    assert {each["country"]: each["source"] for each in listed} == {
        country: preset.source for country, preset in PRESETS.items()
    }
    france = next(each for each in listed if each["country"] == "FR")
    assert (france["calls"], france["per_days"], france["pause_days"], france["consent"]) == (4, 30, 60, True)
    assert [(each["from"], each["to"], each["holidays"]) for each in france["hours"]] == [
        ("10:00:00", "13:00:00", False), ("14:00:00", "20:00:00", False),
    ]  # fmt: skip
    assert all(country in table.out for country in PRESETS)
    assert "mon-fri 10:00-13:00; mon-fri 14:00-20:00" in table.out
    assert "mon-fri 09:00-20:00; sat 10:00-19:00" in table.out


async def test_a_verdict_of_the_gate_leaves_a_person_to_guess_why(ccari: Service, tmp_path: Path) -> None:
    for arguments in (("policy", "apply", str(written(tmp_path, SILENT))), ("keys", "init")):
        done = await ccari.ccari(*arguments)
        assert done.code == 0, done.err
    asked = {
        Block.REGISTER_STALE: ("+48600100001", "offers"),
        Block.UNKNOWN_CAMPAIGN: ("+48600100001", "none"),
        Block.NUMBER_PREMIUM: ("+48700100001", "offers"),
    }
    told = await asyncio.gather(
        *(ccari.ccari("gate", number, "--campaign", campaign) for number, campaign in asked.values())
    )
    for block, done in zip(asked, told, strict=True):
        assert (done.code, done.out, done.err) == (1, f"block {block}\n", f"ccari: {WHY[block]}\n")
    done = await ccari.ccari("gate", "600 100 001", "--campaign", "offers", "--json")
    assert done.err == ""
    assert json.loads(done.out) == {
        "verdict": "block", "reason": "register_stale", "why": WHY[Block.REGISTER_STALE], "number": "+48•••••0001",
        "campaign": "offers", "controller": "acme", "legal_basis": "consent",
    }  # fmt: skip


async def test_the_gate_allows_what_the_service_would_block_for_want_of_a_sound(
    ccari: Service, tmp_path: Path
) -> None:
    calls = made.POLICY.replace('mode = "notice"', 'mode = "off"')
    spoken = written(tmp_path, calls)
    silent = written(
        tmp_path,
        calls.replace("[campaigns.recording]", "notice = { prompts = [] }\n[campaigns.recording]"),
        "silent.toml",
    )
    verdicts = []
    for file in (spoken, silent):
        for arguments in (("policy", "apply", str(file)), ("keys", "init")):
            assert (await ccari.ccari(*arguments)).code == 0
        done = await ccari.ccari("gate", "600 100 001", "--campaign", "renewals")
        verdicts.append((done.code, done.out, done.err))
    assert verdicts == [
        (1, "block prompts_missing\n", f"ccari: {WHY[Block.PROMPTS_MISSING]}\n"),
        (0, "allow\n", ""),
    ]
