"""``ccari subject dossier``, run as a person runs it who has to answer an authority, on a real database and with real keys."""

import asyncio
import hashlib
import json
import shlex
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ccari.cli.subject_dossier import _matter
from ccari.errors import StoreError
from ccari.keyring.secrets import SecretStore
from ccari.office.claimants import Claimant
from ccari.policy.declaration import read
from ccari.policy.rights import Level, Right
from ccari.policy.suppression import Reason
from ccari.ports.accesses import Access, Looked, WantedAccesses, whose_number
from ccari.ports.calls import OpenedCall
from ccari.ports.keying import Digests
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.database import Database
from ccari.store.requests import Requests
from tests.integration.service import Done, Service
from tests.unit.recordings.disks import mounted
from tests.unit.recordings.packing import files_of, zipped
from tests.unit.store import made, person
from tests.unit.store.commands import AS_WRITTEN, on, refused, unseen
from tests.unit.store.forging import forge
from tests.unit.store.kept import Shelf
from tests.unit.store.made import new_secret
from tests.unit.store.test_evidence_commands import NOWHERE
from tests.unit.store.test_evidence_commands import keys as keys  # noqa: PLC0414 - a fixture is found by its name here
from tests.unit.store.test_replaying import Node

OF_ACME = ("--controller", "acme", "--why", "letter 7")


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
    # it was written, and is not to be handed over unread
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("ccari: 1 call or request has no valid evidence")
    assert left_out[str(on_the_line.id)] == {
        "reason": f"the call {on_the_line.id} is not over yet",
        "unfit": False,
    }
    assert left_out[str(forged.id)]["unfit"] is True
    assert left_out[str(forged.id)]["reason"].startswith(
        f"call {forged.id} is no longer valid evidence: the legal_basis of the call is consent"
    )
    assert done.err.count("without the evidence of ") == len(left_out) == 2
    files = opened(tmp_path / "dossier.zip")
    assert files["dossier.json"]["left_out"] == left_out
    assert f"calls/{whole.id}.zip" in files
    said = (await ccari.succeeds("evidence", "verify", str(tmp_path / "dossier.zip"))).out
    assert "dossier of acme: is as it was signed; 2 calls and requests are without evidence\n" in said
    assert "dossier of acme: no fault" not in said
    assert (
        f"without the evidence of {on_the_line.id}, not over yet: {left_out[str(on_the_line.id)]['reason']}"
        in said
    )
    assert f"without the evidence of {forged.id}, not valid: {left_out[str(forged.id)]['reason']}" in said


async def test_only_a_call_that_is_not_over_makes_the_command_fail(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    await over(shelf)
    on_the_line = await shelf.call()
    done = await dossier(ccari, tmp_path / "dossier.zip")
    assert done.code == 0
    assert done.err.startswith(f"without the evidence of {on_the_line.id}, not over yet: ")
    said = (await ccari.succeeds("evidence", "verify", str(tmp_path / "dossier.zip"))).out
    assert "dossier of acme: is as it was signed; 1 call or request is without evidence\n" in said


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("seals SET signature = '\\x00'", "seals.json: "),
        ("seals SET sealed_at = 'infinity'", "seals.json: "),
        ("seals SET root = sha256('x')", "seals.json: "),
        ("sealed SET leaf = 9", ""),
    ],
)
async def test_one_damaged_seal_makes_the_whole_dossier_unverifiable(
    ccari: Service, shelf: Shelf, database: Database, tmp_path: Path, change: str, where: str
) -> None:
    damaged = await over(shelf)
    await ccari.succeeds("evidence", "seal")
    await forge(database, f"UPDATE {change}")
    whole, out = await over(shelf), tmp_path / "dossier.zip"
    done = await dossier(ccari, out)
    assert (done.code, done.out.startswith("the evidence of 1 call or request is in ")) == (1, True)
    assert f"without the evidence of {damaged.id}, not valid: {where}seal 1 " in done.err
    told = json.loads((await ccari.succeeds("evidence", "verify", str(out), "--json")).out)
    assert [each["id"] for each in told["packs"]] == [str(whole.id)]
    assert told["left_out"][str(damaged.id)]["unfit"] is True
    assert told["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()


async def test_a_call_whose_end_was_taken_out_of_its_row_is_said_to_be_on_the_line(
    ccari: Service, shelf: Shelf, database: Database, tmp_path: Path
) -> None:
    reopened = await over(shelf)
    no_end = "UPDATE calls SET ended_at = NULL, outcome = NULL, reason = NULL WHERE id = $1"
    await forge(database, no_end, reopened.id)
    done = await dossier(ccari, tmp_path / "dossier.zip")
    reason = f"call {reopened.id} is no longer valid evidence: "
    assert (done.code, f"without the evidence of {reopened.id}, not valid: {reason}" in done.err) == (1, True)


async def test_one_missing_public_key_keeps_the_rest_from_the_authority(
    ccari: Service, shelf: Shelf, keys: SigningKeys, tmp_path: Path
) -> None:
    early = await over(shelf)
    await ccari.succeeds("evidence", "seal")
    lost = keys.newest().fingerprint
    keys.rotate()
    for each in (tmp_path / "keys").glob("evidence-1.*"):
        each.unlink()
    late = await over(shelf)
    done = await dossier(ccari, tmp_path / "dossier.zip")
    assert done.code == 1
    reason = f"a seal of call {early.id} is signed with the key {lost}, which is not in [keys] dir"
    assert f"without the evidence of {early.id}, not valid: {reason}" in done.err
    assert f"calls/{late.id}.zip" in opened(tmp_path / "dossier.zip")


@pytest.mark.parametrize("language", ["txt", "pl.txt", "de.txt"])
async def test_a_dossier_after_a_rotation_cannot_be_checked_by_what_its_readme_says(
    ccari: Service, shelf: Shelf, keys: SigningKeys, tmp_path: Path, language: str
) -> None:
    controller = "other" if language == "de.txt" else "acme"
    await shelf.store.policies.apply(made.POLICY + made.OTHER, "test")
    older = keys.newest()
    await over(shelf, controller)
    await ccari.succeeds("evidence", "seal")
    # a key that signs nothing of this, and another
    unused, newest = keys.rotate(), keys.rotate()
    await over(shelf, controller)
    out, unpacked = tmp_path / "FILE.zip", tmp_path / "unpacked"
    whose = (made.NUMBER.e164, "--controller", controller, "--why", "letter 7")
    done = unseen(await ccari.ccari("subject", "dossier", *whose, "--out", str(out)))
    assert done.code == 0, done.err
    files = f"evidence-1.pub ({older.fingerprint}), evidence-3.pub ({newest.fingerprint})"
    assert f"to check it, they need of [keys] dir, by another way than the file: {files}\n" in done.out
    with zipfile.ZipFile(out) as archive:
        archive.extractall(unpacked)
    assert json.loads((unpacked / "dossier.json").read_bytes())["keys"] == [
        older.fingerprint,
        newest.fingerprint,
    ]
    assert not (unpacked / "keys" / f"{unused.fingerprint}.pub").exists()
    explained = (unpacked / f"README.{language}").read_text().splitlines()
    (verifying,) = (line.split()[4:] for line in explained if line.startswith("    ccari evidence verify"))
    given = [str(unpacked / "keys" / each) if each.endswith(".pub") else each for each in verifying]
    elsewhere = {**NOWHERE, "CCARI_DATA_DIR": str(tmp_path / "elsewhere")}
    verdict = await ccari.ccari("evidence", "verify", str(out), *given, environment=elsewhere)
    assert verdict.code == 0, verdict.err
    for each in unpacked.glob("keys/*.pub"):
        shutil.copy(each, unpacked)
    (signed,) = (line.strip() for line in explained if line.startswith("    openssl pkeyutl"))
    assert (await asyncio.to_thread(subprocess.run, shlex.split(signed), cwd=unpacked)).returncode == 0


async def test_a_policy_that_was_to_be_kept_out_names_other_controllers(
    ccari: Service, shelf: Shelf, tmp_path: Path
) -> None:
    await shelf.store.policies.apply(made.POLICY + made.OTHER, "test")
    call = await over(shelf)
    done = await dossier(ccari, tmp_path / "with.zip")
    assert (done.code, "your 2 controllers" in done.err, "--without-policy" in done.err) == (0, True, True)
    done = await dossier(ccari, tmp_path / "without.zip", *OF_ACME, "--without-policy")
    assert (done.code, done.err) == (0, "")
    pack = f"calls/{call.id}.zip"
    assert "policy.toml" in files_of(opened(tmp_path / "with.zip")[pack])
    without = files_of(opened(tmp_path / "without.zip")[pack])
    assert not [name for name, content in without.items() if b"Other GmbH" in content]
    await ccari.succeeds("evidence", "verify", str(tmp_path / "without.zip"))


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


async def test_two_files_of_a_dossier_say_otherwise_of_a_request_that_was_closed_meanwhile(
    ccari: Service, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, listed = await person.asked(shelf), Requests.of

    async def closed_once_listed(*arguments: Any, **clock: Any) -> Sequence[Any]:
        found = await listed(*arguments, **clock)
        await person.resolved(shelf, reference)
        return found

    monkeypatch.setattr(Requests, "of", closed_once_listed)
    policy = read(made.POLICY)
    whose = Claimant(policy.controllers[0], made.NUMBER, made.digests())
    matter = await _matter(shelf.store, policy, SecretStore(tmp_path / "keys"), whose, "letter 7")
    (known,) = matter.known["requests"]
    assert (known["state"], matter.requests[reference]["state"]) == ("received", "received")
    assert (await shelf.store.requests.show(reference)).request["state"] == "fulfilled"


async def test_the_database_as_of_a_moment_is_written_to(shelf: Shelf) -> None:
    async with shelf.store.as_of_now() as then:
        with pytest.raises(StoreError, match="cannot be written to"):
            await then.suppressions.add("acme", made.digests(), Reason.OBJECTION, "cli", "")


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
    refused(await dossier(ccari, tmp_path / "dossier.zip"), "rights that they pressed wait on this node (1)")
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
    assert f"not compared with the number: {reference}\n" in said
