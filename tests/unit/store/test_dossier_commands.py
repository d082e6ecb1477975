"""``ccari subject dossier``, run as a person runs it who has to answer an authority, on a real database and with real keys."""

import json
import stat
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy.rights import Level, Right
from ccari.policy.suppression import Reason
from ccari.ports.accesses import Access, Looked, WantedAccesses, whose_number
from ccari.ports.calls import OpenedCall
from ccari.ports.keying import Digests
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.database import Database
from tests.integration.service import Done, Service
from tests.unit.recordings.disks import mounted
from tests.unit.recordings.packing import files_of, zipped
from tests.unit.store import made, person
from tests.unit.store.commands import AS_WRITTEN, on, refused, unseen
from tests.unit.store.forging import forge
from tests.unit.store.kept import Shelf
from tests.unit.store.made import new_secret
from tests.unit.store.test_evidence_commands import NOWHERE
from tests.unit.store.test_replaying import Node

OF_ACME = ("--controller", "acme", "--why", "letter 7")


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    made_there = SigningKeys(tmp_path / "keys")
    made_there.create()
    return made_there


@pytest.fixture
def ccari(dsn: str, tmp_path: Path, keys: SigningKeys) -> Service:
    """The commands on the test's database; the secrets are those of the tests' digests."""
    secrets = SecretStore(tmp_path / "keys")
    for controller in ("acme", "other"):
        new_secret(secrets, controller)
        (tmp_path / "keys" / controller / "suppression-1.key").write_text(made.key(controller).in_hex)
    return on(dsn, tmp_path)


async def over(shelf: Shelf, controller: str = "acme") -> OpenedCall:
    """A call that is over, whose journal says what its row says."""
    call = await shelf.call(made.call(controller))
    told = [*made.journal("call_gated", **call.asserted), *made.journal("call_ended", outcome="failed")]
    await shelf.store.calls.close(call.id, "failed", "", told)
    return call


async def dossier(ccari: Service, out: Path, *options: str) -> Done:
    return unseen(
        await ccari.ccari("subject", "dossier", AS_WRITTEN, "--out", str(out), *(options or OF_ACME))
    )


def opened(out: Path) -> dict[str, Any]:
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return {name: json.loads(each) if name.endswith(".json") else each for name, each in files.items()}


async def looks(shelf: Shelf) -> list[tuple[str, str, str]]:
    """Who looked at somebody: what was done, at whom, and why, the oldest first."""
    rows = (await shelf.store.accesses.list(100, WantedAccesses()))[::-1]
    return [
        (each["access"], each["what"].get("digest", ""), each["why"])
        for each in rows
        if each["who"] != "test"
    ]


async def test_what_an_authority_asks_is_not_in_the_dossier_or_is_not_proven(
    ccari: Service, shelf: Shelf, keys: SigningKeys, tmp_path: Path
) -> None:
    call, another = await over(shelf), await over(shelf)
    await person.known(shelf)
    await person.used(shelf, call)
    reference = await person.asked(shelf, Right.OBJECTION)
    await shelf.store.accesses.note(
        Access(Looked.CALL_SHOWN, "token:helena", {"call": str(call.id)}, "a colleague asked")
    )
    found = await ccari.json("subject", "find", AS_WRITTEN, *OF_ACME)
    out = tmp_path / "letter-7.zip"
    done = await dossier(ccari, out)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"the evidence of 3 calls and requests is in {out}\n")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    files = opened(out)
    assert files["known.json"] == found
    assert [each["reason"] for each in found[0]["lifted"]] == ["objection"]
    assert {name for name in files if name.endswith(".zip")} == {
        f"calls/{call.id}.zip", f"calls/{another.id}.zip", f"requests/{reference}.zip"
    }  # fmt: skip
    shown = await ccari.json("requests", "show", reference)
    assert files[f"requests/{reference}.json"] == shown
    assert (shown["due"], [each["state"] for each in shown["history"]]) == ("2026-12-28", ["received"])
    told = [
        (each["who"].partition(":")[0], each["access"], each["why"])
        for each in files["accesses.json"]["accesses"]
    ]
    # this dossier, the look before it, and whoever looked at a call of theirs; then what was decided about the number
    assert told[:3] == [
        ("cli", "dossier_exported", "letter 7"), ("cli", "number_checked", "letter 7"), ("token", "call_shown", "a colleague asked"),
    ]  # fmt: skip
    assert {each for _, each, _ in told[3:]} == {"number_barred", "bars_lifted"}
    about = files["dossier.json"]
    assert (about["number"], about["why"], about["controller"]["dpo"]) == (
        made.NUMBER.e164,
        "letter 7",
        "iod@acme.example",
    )
    assert made.NUMBER.digits not in json.dumps(
        {**files, "dossier.json": ""}, default=lambda content: content.decode("latin-1")
    )
    # with the key that was handed over, and nothing else
    (public := tmp_path / "theirs.pem").write_bytes(keys.newest().public_pem)
    elsewhere = {**NOWHERE, "CCARI_DATA_DIR": str(tmp_path / "elsewhere")}
    verdict = await ccari.ccari("evidence", "verify", str(out), "--key", str(public), environment=elsewhere)
    assert verdict.code == 0, verdict.err
    assert "dossier of acme: no fault was found" in verdict.out
    assert "evidence of 2 calls and 1 request" in verdict.out
    for each in (f"call {call.id}", f"call {another.id}", f"request {reference}"):
        assert f"{each}: no fault was found" in verdict.out
    told = json.loads((await ccari.succeeds("evidence", "verify", str(out), "--json")).out)
    assert (told["kind"], told["controller"], told["left_out"]) == ("dossier", "acme", {})
    assert [each["id"] for each in told["packs"]] == [str(another.id), str(call.id), reference]


async def test_a_pack_in_a_dossier_is_another_than_the_one_that_is_exported(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    call = await over(shelf)
    await dossier(ccari, tmp_path / "dossier.zip")
    await ccari.succeeds("evidence", "export", str(call.id), "--out", str(tmp_path / "call.zip"))
    inside, alone = (
        files_of(opened(tmp_path / "dossier.zip")[f"calls/{call.id}.zip"]),
        files_of((tmp_path / "call.zip").read_bytes()),
    )
    assert set(inside) == set(alone)
    # those say when they were made
    assert {name for name in alone if inside[name] != alone[name]} <= {"vcon.json", "README.txt"}


@pytest.mark.parametrize("change", ["known.json", "accesses.json", "calls", "more", "truncated"])
async def test_a_forged_dossier_is_taken_for_a_true_one(
    ccari: Service, shelf: Shelf, tmp_path: Path, change: str
) -> None:
    call, out = await over(shelf), tmp_path / "dossier.zip"
    await dossier(ccari, out)
    files, pack = files_of(out.read_bytes()), f"calls/{call.id}.zip"
    match change:
        case "calls":
            files.pop(pack)
        case "more":
            files["calls/x\x1b[2K.zip"] = files[pack]
        case _:
            files[change] = b"[]"
    out.write_bytes(out.read_bytes()[:-40] if change == "truncated" else zipped(files))
    done = await ccari.ccari("evidence", "verify", str(out))
    fault = {
        "calls": f"{pack} is missing from the dossier", "more": r"calls/x\x1b[2K.zip is not part of the signed dossier",
        "truncated": "it is not a ZIP file, or it is damaged",
    }.get(change, f"{change} was changed")  # fmt: skip
    refused(done, f"{out} failed verification: {fault}")


async def test_a_call_without_evidence_is_kept_quiet_or_keeps_the_rest_from_the_authority(
    ccari: Service, shelf: Shelf, database: Database, tmp_path: Path
) -> None:
    whole, forged, on_the_line = await over(shelf), await over(shelf), await shelf.call()
    await forge(database, "UPDATE calls SET legal_basis = 'consent' WHERE id = $1", forged.id)
    done = await dossier(ccari, tmp_path / "dossier.zip", *OF_ACME, "--json")
    left_out = json.loads(done.out)["left_out"]
    assert done.code == 0
    assert left_out[str(on_the_line.id)] == f"the call {on_the_line.id} is not over yet"
    assert left_out[str(forged.id)].startswith(
        f"call {forged.id} is no longer valid evidence: the legal_basis of the call is consent"
    )
    assert done.err.count("without the evidence of ") == len(left_out) == 2
    files = opened(tmp_path / "dossier.zip")
    assert files["dossier.json"]["left_out"] == left_out
    assert f"calls/{whole.id}.zip" in files
    said = (await ccari.succeeds("evidence", "verify", str(tmp_path / "dossier.zip"))).out
    for each, why in left_out.items():
        assert f"without the evidence of {each}: {why}" in said


async def test_an_authority_finds_out_first_that_a_notice_is_missing(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    call = await shelf.call()
    told = {"notice_version": "v1", "language": "pl", "prompts": "identity", "sounds": "00" * 32}
    await shelf.store.calls.commit_heard(
        call.id,
        "v1",
        "i1",
        [*made.journal("call_gated", **call.asserted), *made.journal("notice_heard", **told)],
    )
    await shelf.store.calls.close(call.id, "bridged", "", made.journal("call_ended", outcome="bridged"))
    done = await dossier(ccari, tmp_path / "dossier.zip")
    assert (done.code, done.err) == (
        0, f"without audio or words of the notice that was heard in {call.id}: see ccari evidence verify\n"
    )  # fmt: skip
    said = (await ccari.succeeds("evidence", "verify", str(tmp_path / "dossier.zip"))).out
    assert "without the audio of identity" in said


async def test_another_controllers_data_are_in_a_dossier(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    await shelf.store.policies.apply(made.POLICY + made.OTHER, "test")
    await over(shelf)
    theirs = await over(shelf, "other")
    await shelf.store.suppressions.add("other", made.digests("other"), Reason.OBJECTION, "cli", "their form")
    await shelf.store.accesses.note(
        Access(Looked.NUMBER_CHECKED, "token:theirs", whose_number("other", made.digests("other")))
    )
    out = tmp_path / "dossier.zip"
    refused(await dossier(ccari, out, "--why", "letter 7"), "say which controller: one of acme, other")
    assert (await dossier(ccari, out)).code == 0
    files = opened(out)
    assert f"calls/{theirs.id}.zip" not in files
    assert "their form" not in json.dumps(files["known.json"])
    assert "theirs" not in json.dumps(files["accesses.json"])


async def test_somebody_looks_unseen_or_a_number_that_nobody_knows_has_a_dossier(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    out = tmp_path / "dossier.zip"
    refused(await dossier(ccari, out), "acme knows nothing of this number")
    entered = ("dossier_exported", made.digests().newest.hex(), "letter 7")
    assert await looks(shelf) == [entered]
    await over(shelf)
    for options in (("--controller", "acme"), ("--controller", "acme", "--why", " ")):
        done = await dossier(ccari, out, *options)
        assert (done.code, "--why" in done.err) == (2, True)
    out.write_text("an older one")
    refused(await dossier(ccari, out), f"{out} already exists, and no dossier is overwritten")
    refused(await dossier(ccari, tmp_path / "no" / "x.zip"), "there is no folder")
    assert (out.read_text(), await looks(shelf)) == ("an older one", [entered])
    # what cannot be entered is not looked at
    await forge(shelf.database, "DELETE FROM access_chain")
    out.unlink()
    refused(await dossier(ccari, out), "the row that ends the record of accesses is missing")
    assert not out.exists()


async def test_a_right_that_waits_on_this_node_is_not_in_the_dossier_and_nobody_says_so(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    await over(shelf)
    node = Node(shelf.database, tmp_path)
    await node.press(await node.under_way())
    refused(await dossier(ccari, tmp_path / "dossier.zip"), "1 right that they pressed waits on this node")
    assert (await ccari.ccari("requests", "replay")).code == 0
    assert (await dossier(ccari, tmp_path / "dossier.zip")).code == 0


async def test_a_full_disk_leaves_half_a_dossier(ccari: Service, shelf: Shelf, tmp_path: Path) -> None:
    for _ in range(4):
        await over(shelf)
    with mounted(tmp_path / "small", "size=16k"):
        out = tmp_path / "small" / "dossier.zip"
        refused(await dossier(ccari, out), f"cannot write {out}: No space left on device")
        assert list(out.parent.iterdir()) == []


async def test_a_missing_key_leaves_a_dossier_that_nobody_signed(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    await over(shelf)
    for each in (tmp_path / "keys").glob("evidence-*"):
        each.unlink()
    refused(await dossier(ccari, tmp_path / "dossier.zip"), "there is no evidence key")
    assert not (tmp_path / "dossier.zip").exists()


async def test_a_request_whose_first_secret_is_retired_is_taken_for_another_persons(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    older, today = made.digests("a former secret").newest, made.digests().newest
    exercise = replace(made.exercise(Right.ACCESS), level=Level.L2)
    reference = await shelf.store.requests.add("acme", exercise, Digests(older, 1, (older, today)))
    await over(shelf)
    assert (await dossier(ccari, tmp_path / "dossier.zip")).code == 0
    said = (await ccari.succeeds("evidence", "verify", str(tmp_path / "dossier.zip"))).out
    assert f"request {reference}: no fault was found" in said
