"""``ccari subject``, run as a person runs it."""

import hashlib
import json
import re
import stat
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pyrage
import pytest

from ccari.cli import subject
from ccari.keyring.secrets import SecretStore
from ccari.office import languages
from ccari.policy.rights import Level, RequestState, Right
from ccari.policy.suppression import Reason
from ccari.ports.accesses import Access, Looked, WantedAccesses, whose_number
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.keying import Digests, Sought
from ccari.store.database import Database
from ccari.web.console.words import CATALOGUES
from tests.integration.service import Service
from tests.unit.recordings.disks import mounted
from tests.unit.store import listed, made, person
from tests.unit.store.commands import AS_WRITTEN, on, refused
from tests.unit.store.expiring import expire_unseen
from tests.unit.store.forging import NO_FIELDS, forge
from tests.unit.store.kept import Shelf
from tests.unit.store.made import new_secret
from tests.unit.store.test_access_limits import LIMIT, look
from tests.unit.store.test_replaying import Node
from tests.unit.store.test_requests import by

BETA = '\n[[controllers]]\nid = "beta"\nname = "Beta GmbH"\ncountry = "DE"\ndpo = "dsb@beta.example"\n'
ROBINSON = '\n[[registers]]\nid = "robinson"\nname = "Lista Robinsonów"\n'
SPOKEN = b"fLaC what was said"


@pytest.fixture
def ccari(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The commands on the test's database; the secret of the controller is that of the tests' digests."""
    secrets = SecretStore(tmp_path / "keys")
    for controller in ("acme", "beta"):
        new_secret(secrets, controller)
        (tmp_path / "keys" / controller / "suppression-1.key").write_text(
            controller.encode().ljust(32, b".").hex()
        )
    return on(dsn, tmp_path)


@pytest.fixture
def identity(tmp_path: Path) -> pyrage.x25519.Identity:
    made_ = pyrage.x25519.Identity.generate()
    file = tmp_path / "age.key"
    file.touch(mode=0o600)
    file.write_text(f"# made for a test\n{made_}\n")
    return made_


async def export(ccari: Service, reference: str, out: Path, *options: str) -> dict[str, Any]:
    done = await ccari.ccari(
        "subject",
        "export",
        AS_WRITTEN,
        "--request",
        reference.lower(),
        "--out",
        str(out),
        "--json",
        "--language",
        "en",
        *options,
    )
    assert done.code == 0, done.err
    told: dict[str, Any] = json.loads(done.out)
    return told


def opened(out: Path) -> tuple[dict[str, Any], str, dict[str, bytes]]:
    """The data, the page, and the audio of an export."""
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        content = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(content.pop("data.json")), content.pop("index.html").decode(), content


def files_of(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if ".zip" in each.name]


async def spoken(shelf: Shelf, identity: pyrage.x25519.Identity, **changes: Any) -> str:
    """A recording that can be opened; its id."""
    recording = await shelf.put(await person.called(shelf), **changes)
    await say(shelf, recording, identity, SPOKEN)
    digest = hashlib.sha256(SPOKEN).digest()
    await shelf.database.rows("UPDATE recordings SET sha256 = $1 WHERE id = $2", digest, recording)
    return str(recording)


async def say(shelf: Shelf, recording: UUID | str, identity: pyrage.x25519.Identity, what: bytes) -> None:
    """Let its file say something to whoever opens it with the identity, whatever its row says."""
    (row,) = await shelf.database.rows("SELECT file FROM recordings WHERE id = $1", recording)
    (shelf.folder / row["file"]).write_bytes(pyrage.encrypt(what, [identity.to_public()]))


async def test_a_complaint_is_answered_with_less_than_is_known(ccari: Service, shelf: Shelf) -> None:
    call = await person.called(shelf)
    await person.known(shelf)
    await person.used(shelf, call)
    await person.called(shelf, made.numbers(2)[1])
    reference = await person.asked(shelf, Right.ACCESS)
    of = ("--controller", "acme", "--why", "complaint 9")
    done = await ccari.ccari("subject", "find", AS_WRITTEN, *of, "--json")
    assert done.code == 0, done.err
    (acme,) = json.loads(done.out)
    assert acme["barred"]
    assert [each["reason"] for each in acme["bars"]] == ["do_not_call"]
    assert sorted(each["source"] for each in acme["sources"]) == ["fair", "web"]
    uses = {each["purpose"]: [use["call"] for use in each["uses"]] for each in acme["consents"]}
    assert uses == {"marketing": [str(call.id)], "renewals": []}
    assert [each["reference"] for each in acme["requests"]] == [reference]
    assert [each["id"] for each in acme["calls"]] == [str(call.id)]
    table = await ccari.ccari("subject", "find", AS_WRITTEN, *of, "--limit", "1")
    for each in ("## acme", "do_not_call", "fair", "USED FOR", reference, str(call.id)):
        assert each in table.out
    assert made.NUMBER.digits[2:] not in done.out + table.out
    (look, _) = await shelf.store.accesses.list(9, WantedAccesses(looked=Looked.NUMBER_CHECKED))
    assert (look["what"]["in"], look["why"]) == ("everything", "complaint 9")
    nobody = await ccari.ccari("subject", "find", "+48 600 999 888", *of)
    assert (nobody.code, "there are no calls with this number" in nobody.out) == (1, True)


async def test_access_leaves_out_what_article_15_lists(
    ccari: Service, shelf: Shelf, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    recording = await spoken(shelf, identity)
    await person.known(shelf, words="form <b>12</b>")
    await person.called(shelf, made.numbers(2)[1])
    reference = await person.asked(shelf, Right.ACCESS)
    out = tmp_path / "jan.zip"
    told = await export(ccari, reference, out, "--identity", str(tmp_path / "age.key"))
    assert (told["calls"], told["recordings"], told["left_out"]) == (1, 1, {})
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    data, page, audio = opened(out)
    assert audio == {f"recordings/{recording}.flac": SPOKEN}
    assert data["number"] == made.NUMBER.e164
    assert data["controller"]["dpo"] == "iod@acme.example"
    (call,) = data["calls"]
    assert (call["purpose"], call["data_source"]) == ("odnowienie umowy", "umowa zawarta z ACME")
    assert call["legal_basis_iri"].endswith("#A6-1-b")
    assert {"purpose": "odnowienie umowy", "legal_basis": "contract"} in data["purposes"]
    assert [each["event"] for each in call["events"]] == ["call_gated", "notice_heard", "call_ended"]
    assert "anna" not in json.dumps(data)
    # it means nothing to a person
    assert all("digest" not in (each["fields"] or {}) for each in call["events"])
    assert data["recordings"][0]["audio"] == f"recordings/{recording}.flac"
    assert {name: len(data[name]) for name in ("heard", "contacts", "consents", "suppressions", "requests")} == {
        "heard": 1, "contacts": 2, "consents": 2, "suppressions": 2, "requests": 1,
    }  # fmt: skip
    assert data["requests"][0]["due"] == "2026-12-28"
    assert {each["as"] for each in data["recipients"]} == {"controller", "processor (Art 28)"}
    assert "90" in json.dumps(data["retention"])
    assert {each["article"] for each in data["rights"]} >= {
        "16",
        "17",
        "18",
        "20",
        "21(1)",
        "7(3), 17, 21(1)",
        "77",
    }
    # what was written when a bar was lifted, like everything else that was written
    assert sorted(each["why"] for each in data["suppressions"]) == ["", "form <b>12</b>"]
    assert page.count("form &lt;b&gt;12&lt;/b&gt;") == 2 + 2 + 2 + 1


async def test_a_bar_on_one_campaign_is_told_as_if_it_barred_all_calls(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    for campaign in "renewals", "of former days":
        await shelf.store.suppressions.add(
            "acme", made.digests(), Reason.WITHDRAW_CONSENT, "cli", "form 12", campaign=campaign
        )
    reference = await person.asked(shelf, Right.ACCESS)
    out = tmp_path / "jan.zip"
    await export(ccari, reference, out, "--language", "en")
    data, page, _ = opened(out)
    told = {each["campaign"]: each["purpose"] for each in data["suppressions"]}
    assert told == {"renewals": "odnowienie umowy", "of former days": None}
    for purpose in "odnowienie umowy", "of former days":
        assert f"only calls for this purpose: {purpose}" in page


@pytest.mark.parametrize(("options", "language"), [((), "pl"), (("--language", "de"), "de")])
async def test_a_letter_is_answered_in_another_language_than_the_campaigns_or_the_one_that_is_chosen(
    ccari: Service, shelf: Shelf, tmp_path: Path, options: tuple[str, ...], language: str
) -> None:
    await person.called(shelf)
    out = tmp_path / "jan.zip"
    reference = await person.asked(shelf, Right.ACCESS)
    done = await ccari.ccari(
        "subject", "export", AS_WRITTEN, "--request", reference, "--out", str(out), *options
    )
    assert done.code == 0, done.err
    _, page, _ = opened(out)
    assert f'<html lang="{language}">' in page


@pytest.mark.parametrize("right", [Right.ACCESS, Right.PORTABILITY])
async def test_an_export_names_who_entered_something(
    ccari: Service, shelf: Shelf, tmp_path: Path, right: Right
) -> None:
    """But the person is to know by which way it came (Art 15(1)(g), 15(4))."""
    sourced = listed.contact()[0], Sought(made.digests())
    await shelf.store.contacts.load(
        made.QUESTION, lambda _: None, listed.batches(sourced), origin="import:helena", keep_going=False
    )
    await shelf.store.consents.load(
        "acme", {}, listed.batches(listed.agreed()), origin="import:token:helena", keep_going=False
    )
    for origin, reason in (
        ("cli:helena", Reason.DO_NOT_CALL),
        ("token:helena", Reason.OBJECTION),
        ("call", Reason.OBJECTION_MARKETING),
        # as a list of bars may have it
        ("Helena of sales", Reason.RESTRICTION),
    ):
        await shelf.store.suppressions.add("acme", made.digests(), reason, origin, "")
    await shelf.store.suppressions.remove(
        "acme", made.digests(), "cli:helena", "slip", reason=Reason.OBJECTION
    )
    reference = await person.asked(shelf, right)
    await export(ccari, reference, tmp_path / "out.zip")
    data, page, _ = opened(tmp_path / "out.zip")
    assert "helena" not in (json.dumps(data) + page).lower()
    told = {
        name: [each["origin"] for each in data.get(name, [])]
        for name in ("contacts", "consents", "suppressions")
    }
    bars = ["cli", "token", "call", "import"] if right is Right.ACCESS else []
    assert told == {"contacts": ["import"], "consents": ["import"], "suppressions": bars}


async def test_a_person_is_not_told_when_their_data_were_looked_at_and_what_for(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    call = await person.called(shelf)
    other = await person.called(shelf, made.numbers(2)[1])
    recording = await shelf.put(call)
    reference = await person.asked(shelf, Right.ACCESS)
    looks: tuple[tuple[Looked, dict[str, str], str], ...] = (
        (Looked.NUMBER_CHECKED, whose_number("acme", made.digests()), "letter 7"),
        (Looked.CALL_SHOWN, {"call": str(call.id)}, ""),
        (Looked.RECORDING_PLAYED, {"recording": str(recording)}, "complaint"),
        (Looked.REQUEST_SHOWN, {"request": reference}, ""),
        (Looked.EVIDENCE_EXPORTED, {"of": str(call.id)}, ""),
        (Looked.CALL_SHOWN, {"call": str(other.id)}, "somebody else"),
        (Looked.NUMBER_CHECKED, whose_number("acme", made.digests(number=made.numbers(2)[1])), "another"),
        (Looked.BARS_EXPORTED, {"controller": "acme"}, ""),
    )
    for looked, target, why in looks:
        await shelf.store.accesses.note(Access(looked, "token:helena", target, why))
    out = tmp_path / "jan.zip"
    await export(ccari, reference, out)
    data, page, _ = opened(out)
    told = [(each["access"], each["why"]) for each in data["accesses"]]
    # what the export itself left comes last, if it was there already
    assert told[:5] == [(looked.value, why) for looked, _, why in looks[:5]]
    assert {each for each, _ in told[5:]} <= {Looked.SUBJECT_EXPORTED.value}
    assert all(set(each) == {"at", "access", "why"} for each in data["accesses"])
    assert "helena" not in json.dumps(data) + page
    assert "a recording was listened to" in page


async def test_a_person_is_not_told_that_looks_at_them_have_expired(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    await look(shelf)
    await expire_unseen(shelf.store, LIMIT)
    reference = await person.asked(shelf, Right.ACCESS)
    await export(ccari, reference, tmp_path / "jan.zip")
    data, page, _ = opened(tmp_path / "jan.zip")
    before = await shelf.store.accesses.expired_before()
    assert before is not None
    assert datetime.fromisoformat(data["accesses_expired_before"]) == before
    assert {"what": "accesses", "days": 1096} in data["retention"]
    assert "number_checked" not in {each["access"] for each in data["accesses"]}
    assert page.count("We no longer keep the looks from before this moment") == 1


def recipient(name: str) -> str:
    return f'dpo = "iod@acme.example"\n[[controllers.recipients]]\nname = "{name}"\ndata = "calls"\ncountry = "PL"\n'


async def test_a_person_is_told_of_recipients_of_today_only_or_of_those_of_another_controller(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    beta = BETA.replace(
        'dsb@beta.example"',
        'dsb@beta.example"\n[[controllers.recipients]]\nname = "Beta CRM"\ndata = "calls"\ncountry = "PL"',
    )
    for name in "Never called under", "The former centre", "The centre":
        text = made.POLICY.replace('dpo = "iod@acme.example"\n', recipient(name))
        assert text != made.POLICY
        revision = await shelf.store.policies.apply(text + beta, "test")
        if name == "The former centre":
            call = await person.called(shelf)
            await shelf.database.rows("UPDATE calls SET revision = $2 WHERE id = $1", call.id, revision)
    reference = await person.asked(shelf, Right.ACCESS)
    await export(ccari, reference, tmp_path / "jan.zip")
    data, page, _ = opened(tmp_path / "jan.zip")
    assert [each["who"] for each in data["recipients"] if each["as"] == "recipient"] == [
        "The centre", "The former centre"
    ]  # fmt: skip
    assert "<li>The centre (PL): calls</li>\n<li>The former centre (PL): calls</li>" in page
    assert "Beta CRM" not in page


async def test_a_person_is_not_told_of_the_registers_that_list_them_or_of_those_of_others(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    others = '\n[[registers]]\nid = "others"\nname = "Others"\n'
    await shelf.store.policies.apply(
        made.POLICY.replace('dial = "', 'registers = ["robinson"]\ndial = "') + ROBINSON + others, "test"
    )
    reference = await person.asked(shelf, Right.ACCESS)
    await export(ccari, reference, tmp_path / "before.zip")
    data, page, _ = opened(tmp_path / "before.zip")
    assert (data["registers"], "No register that we use lists your number." in page) == ([], True)

    copy = tmp_path / "copy.csv"
    for register, until in (("robinson", "2026-02-01T12:00:00Z"), ("others", "")):
        copy.write_text(
            f"number,since,until\n{made.NUMBER.e164},2026-01-02T12:00:00Z,{until}\n{made.numbers(2)[1].e164},,\n"
        )
        done = await ccari.ccari("registers", "import", register, str(copy), "--country", "PL")
        assert done.code == 0, done.err
    await export(ccari, reference, tmp_path / "after.zip")
    data, page, _ = opened(tmp_path / "after.zip")
    # one that has ended is kept until the next copy
    assert data["registers"] == [{
        "register": "robinson", "name": "Lista Robinsonów", "listed_at": "2026-01-02T12:00:00+00:00",
        "expires_at": "2026-02-01T12:00:00+00:00",
    }]  # fmt: skip
    assert (
        "<td>Lista Robinsonów</td><td>2\u00a0January\u00a02026 13:00:00</td><td>1\u00a0February\u00a02026 13:00:00</td>"
        in page
    )


async def test_a_person_is_told_that_a_register_does_not_list_them_whose_secret_is_on_another_node(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    await shelf.store.policies.apply(
        made.POLICY.replace('dial = "', 'registers = ["robinson"]\ndial = "') + ROBINSON, "test"
    )
    copy, secret = tmp_path / "copy.csv", tmp_path / "keys/registers"
    copy.write_text(f"number\n{made.NUMBER.e164}\n")
    assert (await ccari.ccari("registers", "import", "robinson", str(copy))).code == 0
    secret.rename(tmp_path / "elsewhere")
    reference, out = await person.asked(shelf, Right.ACCESS), tmp_path / "out.zip"
    export = ("subject", "export", AS_WRITTEN, "--request", reference, "--out", str(out))
    for words in (export, ("suppress", "check", AS_WRITTEN)):
        refused(await ccari.ccari(*words), "it cannot be looked up here who is in the register 'robinson'")
    assert not out.exists()
    (tmp_path / "elsewhere").rename(secret)
    assert (await ccari.ccari(*export)).code == 0
    assert (await ccari.ccari("suppress", "check", AS_WRITTEN)).code == 1


@pytest.mark.parametrize("on_", ["recording", "its call", "another call", "number", "request"])
async def test_a_person_is_not_told_that_data_are_held_for_claims_or_a_date_that_is_untrue(
    ccari: Service, shelf: Shelf, tmp_path: Path, on_: str
) -> None:
    call, bare = await person.called(shelf), await person.called(shelf)
    recording, reference = await shelf.put(call), await person.asked(shelf, Right.ACCESS)
    others = await person.called(shelf, made.numbers(2)[1])
    await shelf.store.holds.place(HoldOn(recording_id=await shelf.put(others)), "lawsuit", "cli:anna")
    things = {
        "recording": HoldOn(recording_id=recording), "its call": HoldOn(call_id=call.id),
        "another call": HoldOn(call_id=bare.id), "number": HoldOn(subject=Subject("acme", made.digests())),
        "request": HoldOn(reference=reference),
    }  # fmt: skip
    (row,) = await shelf.database.rows("SELECT delete_at FROM recordings WHERE id = $1", recording)
    until = row["delete_at"].astimezone(ZoneInfo("Europe/Warsaw"))
    dated = f"<td>{languages.numeric_day('en', until)} {until:%H:%M:%S}</td>"

    async def told(out: Path) -> tuple[bool, bool, bool, bool]:
        await export(ccari, reference, out)
        data, page, _ = opened(out)
        (recorded,) = data["recordings"]
        assert "lawsuit" not in json.dumps(data) + page
        return (
            data["kept_for_claims"],
            recorded["kept_for_claims"],
            dated in page,
            "for as long as legal claims need it" in page,
        )

    assert await told(tmp_path / "before.zip") == (False, False, True, False)
    hold = await shelf.store.holds.place(things[on_], "lawsuit", "cli:anna")
    reached = on_ != "another call"
    assert await told(tmp_path / "held.zip") == (True, reached, not reached, reached)
    await shelf.store.holds.release(hold["id"], "settled", "cli:anna")
    assert await told(tmp_path / "after.zip") == (False, False, True, False)


async def test_a_person_is_not_told_that_their_request_was_passed_on_by_telephone(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    erasure, access = await person.asked(shelf), await person.asked(shelf, Right.ACCESS)
    await shelf.database.rows(
        "UPDATE forwards SET state = 'given_up', settled_at = now() WHERE reference = $1", erasure
    )
    assert await shelf.store.forwards.told(erasure, "cli:helena", "by telephone") == [1]
    out = tmp_path / "jan.zip"
    await export(ccari, access, out)
    data, page, _ = opened(out)
    assert [each["reference"] for each in data["passed_on"]] == [erasure]
    assert re.search(rf"Your requests were passed on to the controller: {erasure} \(\d+\u00a0", page)
    assert {"requests passed on"} < {each["what"] for each in data["recipients"]}


async def test_a_right_that_waits_on_this_node_is_not_in_the_export_and_nobody_says_so(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    reference, out = await person.asked(shelf, Right.ACCESS), tmp_path / "out.zip"
    node = Node(shelf.database, tmp_path)
    await node.press(await node.under_way())
    done = await ccari.ccari("subject", "export", AS_WRITTEN, "--request", reference, "--out", str(out))
    refused(done, "rights that they pressed wait on this node (1)")
    assert not out.exists()
    assert (await ccari.ccari("requests", "replay")).code == 0
    await export(ccari, reference, out)
    assert len(opened(out)[0]["requests"]) == 2


async def test_an_export_goes_unnoticed(ccari: Service, shelf: Shelf, tmp_path: Path) -> None:
    reference = await person.asked(shelf, Right.ACCESS)
    told = await export(ccari, reference, tmp_path / "out.zip")
    shown = await shelf.store.requests.show(reference)
    assert shown.fault is None
    last = shown.history[-1]
    assert last["state"] == "in_progress"
    assert last["reason"] == f"exported: 0 calls, 0 recordings; sha256 {told['sha256']}"


async def test_a_recording_that_nobody_can_open_here_is_left_out_in_silence(
    ccari: Service, shelf: Shelf, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    recording = await spoken(shelf, identity)
    await shelf.database.rows("UPDATE rights_requests SET language = 'pl'")
    reference = await person.asked(shelf, Right.ACCESS)
    await shelf.database.rows("UPDATE rights_requests SET language = 'pl'")
    out = tmp_path / "out.zip"
    done = await ccari.ccari("subject", "export", AS_WRITTEN, "--request", reference, "--out", str(out))
    assert done.code == 0, done.err
    assert f"without the audio of recording {recording}: " in done.err
    assert "is encrypted: add --identity KEYFILE" in done.err
    data, page, audio = opened(out)
    assert (audio, data["recordings"][0]["audio"], data["recordings"][0]["state"]) == ({}, None, "stored")
    assert "Tego nagrania nie ma w tym pliku" in page
    assert 'lang="pl"' in page


async def test_somebody_elses_talk_is_given_out_as_a_persons_own(
    ccari: Service, shelf: Shelf, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    """The age format shows who can open a file, not who made it."""
    first, second = await spoken(shelf, identity), await spoken(shelf, identity)
    await say(shelf, first, identity, b"fLaC what somebody else said")
    reference, key = await person.asked(shelf, Right.ACCESS), str(tmp_path / "age.key")
    told = await export(ccari, reference, tmp_path / "one.zip", "--identity", key)
    assert list(told["left_out"]) == [first]
    assert told["left_out"][first].endswith(
        f"{first}.flac.age is not what was recorded: its audio was changed"
    )
    data, _, audio = opened(tmp_path / "one.zip")
    assert audio == {f"recordings/{second}.flac": SPOKEN}
    named = {each["id"]: each["audio"] for each in data["recordings"]}
    assert named == {first: None, second: f"recordings/{second}.flac"}
    # and if that is so with all of them, the key is not what is wrong
    await say(shelf, second, identity, b"fLaC what somebody else said")
    told = await export(ccari, reference, tmp_path / "none.zip", "--identity", key)
    assert (set(told["left_out"]), opened(tmp_path / "none.zip")[2]) == ({first, second}, {})


async def test_portability_gives_what_article_20_does_not_cover(
    ccari: Service, shelf: Shelf, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    agreed = await spoken(shelf, identity, basis="consent")
    await spoken(shelf, identity)
    await person.called(shelf, basis="legitimate_interest")
    await person.known(shelf)
    reference = await person.asked(shelf, Right.PORTABILITY)
    out = tmp_path / "out.zip"
    await export(ccari, reference, out, "--identity", str(tmp_path / "age.key"))
    data, page, audio = opened(out)
    assert list(audio) == [f"recordings/{agreed}.flac"]
    assert [each["id"] for each in data["recordings"]] == [agreed]
    assert {each["legal_basis"] for each in data["calls"]} == {"contract"}
    assert len(data["heard"]) == len(data["calls"]) == 2
    assert not {"suppressions", "requests", "recipients", "rights"} & data.keys()
    assert "Bars on calling you" not in page


async def test_what_lies_under_an_older_secret_is_left_out(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    await person.called(shelf)
    new_secret(SecretStore(tmp_path / "keys"), "acme")
    done = await ccari.ccari(
        "requests", "add", "access", AS_WRITTEN, "--level", "L2", "--note", "letter", "--json"
    )  # fmt: skip
    out = tmp_path / "out.zip"
    assert (await export(ccari, json.loads(done.out)["reference"], out))["calls"] == 1


@pytest.mark.parametrize(
    ("right", "level", "number", "options", "words"),
    [
        (Right.ERASURE, Level.L2, AS_WRITTEN, (), "does not allow this: it asks for something else (erasure)"),
        (Right.ACCESS, Level.L1, AS_WRITTEN, (), "identity is not sure enough: it must be L2, see ccari requests verify"),
        (Right.ACCESS, Level.L2, "600 100 002", (), "it was made for another number"),
        (Right.ACCESS, Level.L2, "+48 600 100 001", ("--controller", "beta"), "it was made to another controller"),
        (Right.ACCESS, Level.L2, AS_WRITTEN, ("--controller", "gamma"), "there is no controller 'gamma'"),
        (Right.ACCESS, Level.L2, "12", (), "this number cannot be called"),
        (Right.ACCESS, Level.L2, AS_WRITTEN, ("--identity", "nowhere"), "there is no file nowhere"),
    ],
)  # fmt: skip
async def test_data_are_given_out_on_what_is_no_ground(
    ccari: Service, shelf: Shelf, tmp_path: Path, right: Right, level: Level, number: str, options: tuple[str, ...], words: str
) -> None:  # fmt: skip
    await shelf.store.policies.apply(made.POLICY + BETA, "test")
    reference = await person.asked(shelf, right, level=level)
    out = tmp_path / "out.zip"
    done = await ccari.ccari("subject", "export", number, "--request", reference, "--out", str(out), *options)
    refused(done, words)
    assert files_of(tmp_path) == []
    assert len((await shelf.store.requests.show(reference)).history) == 1


async def test_a_closed_request_or_none_gives_data_out(ccari: Service, shelf: Shelf, tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "out.zip"))
    reference = await person.asked(shelf, Right.ACCESS)
    await person.resolved(shelf, reference)
    done = await ccari.ccari("subject", "export", AS_WRITTEN, "--request", reference, *out)
    refused(done, f"{reference} does not allow this: it is closed: enter a new one")
    done = await ccari.ccari("subject", "export", AS_WRITTEN, "--request", "ACME-2026-999999", *out)
    refused(done, "there is no request 'ACME-2026-999999': see ccari requests list")


async def test_a_file_is_written_over_or_left_half_written(
    ccari: Service, shelf: Shelf, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    await spoken(shelf, pyrage.x25519.Identity.generate())
    reference = await person.asked(shelf, Right.ACCESS)
    taken, open_ = tmp_path / "taken.zip", tmp_path / "open.key"
    taken.write_text("precious")
    open_.touch(mode=0o644)
    base = ("subject", "export", AS_WRITTEN, "--request", reference, "--out")
    refused(await ccari.ccari(*base, str(taken)), "already exists, and no export is overwritten")
    assert taken.read_text() == "precious"
    refused(await ccari.ccari(*base, str(tmp_path / "no" / "x.zip")), "there is no folder")
    refused(
        await ccari.ccari(*base, str(tmp_path / "x.zip"), "--identity", str(open_)), "can be read by others"
    )
    wrong = ("--identity", str(tmp_path / "age.key"))
    refused(
        await ccari.ccari(*base, str(tmp_path / "x.zip"), *wrong),
        "was encrypted to somebody else, or is damaged",
    )
    assert files_of(tmp_path) == ["taken.zip"]
    assert len((await shelf.store.requests.show(reference)).history) == 1


async def test_a_row_that_was_tampered_with_gives_out_another_file(
    ccari: Service, shelf: Shelf, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    await spoken(shelf, identity)
    shelf.folder.with_name("precious.flac").write_bytes(b"precious")
    await shelf.database.rows("UPDATE recordings SET file = 'acme/../../precious.flac'")
    reference, out = await person.asked(shelf, Right.ACCESS), tmp_path / "out.zip"
    told = await export(ccari, reference, out)
    assert list(told["left_out"].values()) == ["its file is not below the recordings folder"]
    assert opened(out)[2] == {}


async def test_a_field_that_was_tampered_with_keeps_a_person_from_their_data(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    for edit in NO_FIELDS.values():
        call = await person.called(shelf)
        change = "UPDATE call_event_fields SET fields = $1 WHERE call_id = $2"
        await forge(shelf.database, change, edit, call.id)
    out = tmp_path / "out.zip"
    told = await export(ccari, await person.asked(shelf, Right.ACCESS), out)
    assert told["calls"] == len(opened(out)[0]["calls"]) == len(NO_FIELDS)


async def test_an_erasure_is_carried_out_unasked_or_not_shown(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    call = await person.called(shelf)
    recording, bound = (
        await shelf.put(call),
        await shelf.put(await person.called(shelf), basis="legal_obligation"),
    )
    reference = await person.asked(shelf)
    base = ("subject", "erase", AS_WRITTEN, "--request", reference.lower())
    done = await ccari.ccari(*base)
    assert done.code == 0, done.err
    assert "recording" in done.out
    assert "17(3)(b)" in done.out
    assert done.err == "nothing has been erased yet: add --yes to erase it; this cannot be undone\n"
    assert await shelf.fate(recording) is None
    shown = await ccari.json(*base)
    assert {each["what"]: each["count"] for each in shown["goes"]}["recording"] == 1
    report = tmp_path / "report.json"
    done = await ccari.ccari(*base, "--yes", "--report", str(report))
    assert done.code == 0, done.err
    assert f"then: ccari requests resolve {reference}" in done.err
    assert json.loads(report.read_text())["erased"]["recording"] == 1
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert [await shelf.fate(each) for each in (recording, bound)] == [f"erasure {reference}", None]
    done = await ccari.ccari(*base, "--yes")
    assert done.code == 0
    # and what stays is not kept from whoever asks again
    assert done.out.startswith("nothing is left to erase\n")
    assert "17(3)(b)" in done.out
    refused(await ccari.ccari(*base, "--yes", "--report", str(report)), "no report is overwritten")
    resolved = await ccari.ccari("requests", "resolve", reference)
    assert (resolved.code, resolved.err) == (0, "")


async def test_a_german_controller_loses_the_proof_of_a_consent_that_was_not_used_yet(
    ccari: Service, shelf: Shelf
) -> None:
    await shelf.store.policies.apply(made.POLICY.replace('country = "PL"', 'country = "DE"'), "test")
    await person.known(shelf)
    reference = await person.asked(shelf)
    base = ("subject", "erase", made.NUMBER.e164, "--request", reference)
    for options, told in (((), "proof of a consent kept for years"), (("--drop-proof",), "")):
        done = await ccari.ccari(*base, *options)
        assert done.code == 0, done.err
        assert ("proof of a consent kept for years" in done.out) is bool(told)


async def test_a_report_that_cannot_be_written_is_found_out_when_all_is_erased(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    recording = await shelf.put(await person.called(shelf))
    reference = await person.asked(shelf)
    base = ("subject", "erase", AS_WRITTEN, "--request", reference, "--yes", "--report")
    refused(await ccari.ccari(*base, str(tmp_path / "no" / "x.json")), "there is no folder")
    # where not even root may write
    refused(await ccari.ccari(*base, "/proc/report.json"), "cannot write /proc/report.json: No such file")
    assert await shelf.fate(recording) is None


async def test_a_report_that_was_not_written_can_never_be_had(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    recording = await shelf.put(await person.called(shelf))
    reference = await person.asked(shelf)
    base = ("subject", "erase", AS_WRITTEN, "--request", reference, "--yes", "--report")
    report = tmp_path / "small" / "report.json"
    with mounted(report.parent, "size=4k"):
        # there is room for the draft's name, but for no word in it
        (report.parent / "full").write_bytes(bytes(4096))
        done = await ccari.ccari(*base, str(report))
    assert done.code == 1
    assert "recording" in done.out
    assert done.err.splitlines()[-1] == (
        f"ccari: everything is erased, but the report could not be written: cannot write {report}: No space left on device: "
        "run the command again to write it"
    )
    assert await shelf.fate(recording) == f"erasure {reference}"
    done = await ccari.ccari(*base, str(report))
    assert (done.code, done.out) == (0, "nothing is left to erase\n")
    assert done.err == f"the report of what was erased before is in {report}\n"
    assert json.loads(report.read_text())["erased"]["recording"] == 1
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


async def test_an_erasure_that_goes_on_after_its_request_was_closed_is_told_to_close_it(
    ccari: Service, shelf: Shelf
) -> None:
    await shelf.put(await person.called(shelf))
    held = await shelf.put(await person.called(shelf))
    hold = await shelf.store.holds.place(HoldOn(recording_id=held), "lawsuit", "cli:anna")
    reference = await person.asked(shelf)
    base = ("subject", "erase", AS_WRITTEN, "--request", reference, "--yes")
    assert (await ccari.ccari(*base)).code == 0
    await person.resolved(shelf, reference)
    await shelf.store.holds.release(hold["id"], "settled", "cli:anna")
    done = await ccari.ccari(*base)
    assert (done.code, "recording" in done.out) == (0, True)
    assert "requests resolve" not in done.err
    assert "tell the person" in done.err


async def test_a_call_whose_recording_could_not_be_removed_is_said_to_be_erased(
    ccari: Service, shelf: Shelf
) -> None:
    call = await person.called(shelf)
    recording = await shelf.put(call)
    await person.called(shelf)
    file = shelf.folder / (await shelf.row(recording))["file"]
    file.unlink()
    file.mkdir()
    base = ("subject", "erase", AS_WRITTEN, "--request", await person.asked(shelf), "--yes")
    done = await ccari.ccari(*base)
    refused(done, "1 recording could not be removed")
    assert "all but these and their calls is erased" in done.err
    left = await shelf.database.rows("SELECT id FROM calls WHERE digest IS NOT NULL")
    assert [row["id"] for row in left] == [call.id]
    file.rmdir()
    assert (await ccari.ccari(*base)).code == 0
    assert await shelf.database.rows("SELECT id FROM calls WHERE digest IS NOT NULL") == []


async def test_an_erasure_that_is_not_complete_is_closed_as_if_there_were_none(
    ccari: Service, shelf: Shelf
) -> None:
    reference = await person.asked(shelf)
    await shelf.database.rows(
        "INSERT INTO erasures (reference, controller, begun_by) SELECT reference, controller, 'cli:dpo' FROM rights_requests"
    )
    for step in ("refuse", "withdraw"):
        refused(await ccari.ccari("requests", step, reference, "--reason", "a claim"), "complete it first")
    done = await ccari.ccari("requests", "resolve", reference)
    assert done.code == 0
    assert "is not complete" in done.err
    assert f"ccari subject erase NUMBER --request {reference} --yes" in done.err
    assert "enter a new request" not in done.err


def test_a_report_overwrites_what_came_while_the_data_were_erased(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("another's")
    fault = subject._write(report, {"reference": "ACME-2026-000001"})
    assert fault is not None
    assert "no report is overwritten" in fault
    assert report.read_text() == "another's"


async def test_what_must_stay_whole_is_erased_or_refused_without_the_reason(
    ccari: Service, shelf: Shelf
) -> None:
    recording = await shelf.put(await person.called(shelf))
    await shelf.store.holds.place(HoldOn(subject=Subject("acme", made.digests())), "lawsuit", "cli:anna")
    reference = await person.asked(shelf)
    for options in ((), ("--yes",)):
        done = await ccari.ccari("subject", "erase", AS_WRITTEN, "--request", reference, *options)
        refused(done, f"nothing is erased for {reference}: legal hold 1 (lawsuit) (Art 17(3)(e))")
    assert await shelf.fate(recording) is None


async def test_the_bar_that_an_erasure_enters_is_told_as_one_of_a_list(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    await person.called(shelf)
    erasure = await person.asked(shelf)
    lifted = await shelf.store.suppressions.remove(
        "acme", made.digests(), "cli:anna", "a mistake", reason=Reason.ERASURE
    )
    assert lifted
    assert (await ccari.ccari("subject", "erase", AS_WRITTEN, "--request", erasure, "--yes")).code == 0
    out = tmp_path / "jan.zip"
    await export(ccari, await person.asked(shelf, Right.ACCESS), out)
    data, _, _ = opened(out)
    (bar,) = (each for each in data["suppressions"] if each["removed_at"] is None)
    assert (bar["reason"], bar["origin"], bar["proof"]) == ("erasure", "erasure", erasure)
    for language, words in (("en", "erasure of the data"), ("pl", "usunięcie danych")):
        assert CATALOGUES[language].origin("erasure") == words


async def test_the_person_is_told_of_an_erasure_that_was_refused_or_found_nothing(
    ccari: Service, shelf: Shelf
) -> None:
    await shelf.put(await person.called(shelf))
    hold = await shelf.store.holds.place(
        HoldOn(subject=Subject("acme", made.digests())), "lawsuit", "cli:anna"
    )
    reference = await person.asked(shelf)
    erase = ("subject", "erase", AS_WRITTEN, "--request", reference, "--yes")

    async def on_record() -> list[str]:
        return [each["access"] for each in await shelf.store.accesses.list(9, WantedAccesses(of=reference))]

    assert (await ccari.ccari(*erase)).code == 1
    assert await on_record() == [Looked.SUBJECT_LOOKED_UP]
    await shelf.store.holds.release(hold["id"], "it is over", "cli:anna")
    for _ in range(2):
        done = await ccari.ccari(*erase)
        assert done.code == 0, done.err
    assert await on_record() == [Looked.SUBJECT_LOOKED_UP, Looked.SUBJECT_ERASED, Looked.SUBJECT_LOOKED_UP]


async def test_a_right_that_waits_on_the_disk_brings_back_what_was_erased(
    ccari: Service, shelf: Shelf, database: Database, tmp_path: Path
) -> None:
    """Also one that was put aside; what nobody can read, and what others pressed, is in nobody's way."""
    node = Node(database, tmp_path)
    others = replace(made.call(), keyed=Digests(b"o" * 32, 1, (b"o" * 32,)))
    await node.press(others)
    recording, reference = await shelf.put(await person.called(shelf)), await person.asked(shelf)
    await node.press(made.call())
    for name in node.journal.names():
        node.journal.put_aside(name)
    (node.journal.aside / "x.right.torn").write_bytes(b"ccari")
    erase = ("subject", "erase", AS_WRITTEN, "--request", reference, "--yes")
    refused(await ccari.ccari(*erase), "rights that they pressed wait on this node (1)")
    assert await shelf.fate(recording) is None
    for name in node.journal.put_by():
        if "torn" not in name and node.journal.read(name, node.journal.aside).call.id != others.id:
            (node.journal.aside / name).unlink()
    done = await ccari.ccari(*erase)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("right", "level", "number", "words"),
    [
        (Right.ACCESS, Level.L2, AS_WRITTEN, "it asks for something else (access)"),
        (Right.ERASURE, Level.L0, AS_WRITTEN, "the person's identity is not sure enough"),
        (Right.ERASURE, Level.L2, "600 100 002", "it was made for another number"),
    ],
)
async def test_data_are_erased_on_what_is_no_ground(
    ccari: Service, shelf: Shelf, right: Right, level: Level, number: str, words: str
) -> None:
    recording = await shelf.put(await person.called(shelf))
    reference = await person.asked(shelf, right, level=level)
    refused(await ccari.ccari("subject", "erase", number, "--request", reference, "--yes"), words)
    assert await shelf.fate(recording) is None


async def test_a_closed_erasure_erases(ccari: Service, shelf: Shelf) -> None:
    """Nor does one that was granted, but never carried out: for recordings, housekeeping does that."""
    recording = await shelf.put(await person.called(shelf), limit=person.now() + timedelta(days=9))
    for state in (RequestState.FULFILLED, RequestState.REFUSED):
        reference = await person.asked(shelf)
        await shelf.store.requests.step(reference, state, by("cli:anna", "unfounded"))
        done = await ccari.ccari("subject", "erase", AS_WRITTEN, "--request", reference, "--yes")
        refused(done, "it is closed: enter a new one")
    assert await shelf.fate(recording) is None
