"""What somebody changed in a dossier, took out of it or put into it is named, whatever they knew of ZIP files."""

import asyncio
import hashlib
import io
import json
import struct
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ccari.errors import EvidenceError, UnfinishedError, UnknownError
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller
from ccari.policy.seal import Kind
from ccari.ports.evidence import Account, HeardSound, TimeStamp
from ccari.ports.keying import Digests
from ccari.recordings.dossier.binding import (
    SIGNATURE,
    SUMS,
    Bound,
    LeftOut,
    Matter,
    Packing,
    bind,
)
from ccari.recordings.dossier.verifying import DossierVerdict, is_dossier, verify
from ccari.recordings.evidence.authority import Authority, authority
from ccari.recordings.evidence.keys import SigningKey
from ccari.recordings.evidence.pack import VCON
from ccari.recordings.evidence.unzipping import listed
from ccari.recordings.evidence.vcon import plain
from tests.unit.recordings import accounts
from tests.unit.recordings.accounts import CALL, HEARD, KEY, NOON, OTHER_KEY, REFERENCE
from tests.unit.recordings.packing import Files, files_of, packed, zipped

WHO = Number("48600100001")
MADE_AT = NOON + timedelta(hours=2)
PACK, REQUEST = f"calls/{CALL}.zip", f"requests/{REFERENCE}.zip"
UNPROVEN = "00000000-0000-4000-8000-000000000001"


DIGEST = bytes(32)
#: What is known of the call besides its evidence, like a row of the store.
KNOWN_CALL = {
    "opened_at": NOON, "direction": "outbound", "controller": "acme", "campaign": "renewals", "legal_basis": "contract",
    "outcome": "bridged", "revision": 1, "expired_at": None,
}  # fmt: skip


def call() -> Account:
    account = accounts.call()
    return replace(account, subject={**account.subject, "digest": DIGEST.hex(), "key_version": 1})


class Prover:
    """Packs the made accounts, as :class:`ccari.recordings.evidence.proving.Prover` those of a store."""

    def __init__(self, heard: Sequence[HeardSound]) -> None:
        self.heard = heard

    async def sealed(self, which: str, sees: Callable[[str | None], bool]) -> Account:
        if which == UNPROVEN:
            raise UnfinishedError(f"the call {which} is not over yet")
        account = {str(CALL): call, REFERENCE: accounts.request}[which]()
        if not sees(account.subject["controller"]):
            raise UnknownError(f"there is no {which}")
        return account

    def pack(self, account: Account, *, with_policy: bool = True) -> tuple[bytes, Sequence[HeardSound]]:
        assert with_policy
        return packed(account), self.heard if account.kind is Kind.CALL else []


def matter(**changed: Any) -> Matter:
    told: dict[str, Any] = {
        "controller": Controller(id="acme", name="ACME Sp. z o.o.", country="PL", dpo="iod@acme.example"),
        "number": WHO, "digests": Digests(DIGEST, 1, (DIGEST,)), "why": "letter 7",
        "known": {"controller": "acme", "calls": [{**KNOWN_CALL, "id": CALL}, {"id": UNPROVEN}], "requests": [{"reference": REFERENCE}]},
        "requests": {REFERENCE: {"reference": REFERENCE, "due": "2026-04-10"}}, "accesses": [], "accesses_expired_before": None,
    }  # fmt: skip
    return Matter(**{**told, **changed})


async def bound(
    of: Matter | None = None,
    heard: Sequence[HeardSound] = HEARD,
    prover: Prover | None = None,
    trusted: Authority | None = None,
) -> tuple[bytes, Bound, list[int]]:
    into, steps = io.BytesIO(), list[int]()
    packing = Packing(prover or Prover(heard), KEY, [KEY.verifying], trusted)
    done = await bind(into, of or matter(), packing, MADE_AT, steps.append)
    return into.getvalue(), done, steps


def checked(content: bytes, *keys: SigningKey) -> DossierVerdict:
    return verify(io.BytesIO(content), [each.verifying for each in keys or [KEY]])


@pytest.fixture
async def whole() -> bytes:
    return (await bound())[0]


def signed_again(files: Files, key: SigningKey = KEY) -> Files:
    """The files with a list of them that ``key`` has signed."""
    others = {name: content for name, content in files.items() if name not in {SUMS, SIGNATURE}}
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in others.items()
    ).encode()
    return {**others, SUMS: sums, SIGNATURE: key.sign(sums)}


def fault_of(content: bytes, *keys: SigningKey) -> str:
    with pytest.raises(EvidenceError) as fault:
        checked(content, *keys)
    return str(fault.value)


async def test_a_dossier_does_not_fit_or_leaves_out_what_has_no_evidence_without_a_word() -> None:
    content, done, steps = await bound()
    assert (done.packs, done.unheard, steps) == (2, [], [1, 2, 3])
    assert done.left_out == {UNPROVEN: LeftOut(f"the call {UNPROVEN} is not over yet", unfit=False)}
    assert done.sha256 == hashlib.sha256(content).hexdigest()
    assert is_dossier(io.BytesIO(content))
    verdict = checked(content)
    assert (verdict.controller, verdict.made_at, verdict.key) == ("acme", MADE_AT, KEY.fingerprint)
    assert [each.id for each in verdict.packs] == [str(CALL), REFERENCE]
    assert verdict.left_out == done.left_out
    files = files_of(content)
    # as the command for one call would have given it out
    assert files[PACK] == packed(call())
    assert not [name for name in files if WHO.digits[2:] in name]


@pytest.mark.parametrize(
    "heard", [[], [replace(HEARD[0], files={}), HEARD[1]], [replace(HEARD[0], text=None), HEARD[1]]]
)
async def test_nobody_says_that_a_pack_of_a_dossier_lacks_what_was_heard(heard: Sequence[HeardSound]) -> None:
    assert (await bound(heard=heard))[1].unheard == [str(CALL)]


async def test_who_has_no_ccari_cannot_check_a_dossier_by_what_its_readme_says(
    whole: bytes, tmp_path: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        archive.extractall(tmp_path / "unpacked")
    (tmp_path / "unpacked" / "PUBLIC.pem").write_bytes(KEY.public_pem)
    (tmp_path / "unpacked" / f"{KEY.fingerprint}.pub").write_bytes(KEY.public_pem)
    (tmp_path / "unpacked" / "FILE.zip").write_bytes(whole)
    explained = (tmp_path / "unpacked" / "README.txt").read_text()
    said = [
        line.strip() for line in explained.splitlines() if line.startswith(("    openssl", "    sha256sum"))
    ]
    ran = [await asyncio.to_thread(run, each, tmp_path / "unpacked") for each in said]
    assert [each.returncode for each in ran] == [0, 0, 0, 0]
    assert ran[0].stdout.startswith(KEY.fingerprint)
    assert ran[1].stdout.startswith(hashlib.sha256(whole).hexdigest())
    commands = said[2:]
    (tmp_path / "unpacked" / "known.json").write_text("[]")
    sums = tmp_path / "unpacked" / SUMS
    sums.write_text(sums.read_text().replace("a", "b"))
    ran = [await asyncio.to_thread(run, each, tmp_path / "unpacked") for each in commands]
    assert [each.returncode for each in ran] == [1, 1]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, shell=True, check=False, capture_output=True, text=True)  # noqa: S602 - as people run it


@pytest.mark.parametrize(("country", "language"), [("PL", "pl"), ("AT", "de"), ("FR", None)])
async def test_an_authority_is_not_told_in_its_language_what_each_file_is(
    country: str, language: str | None
) -> None:
    of = Controller(id="acme", name="ACME", country=country, dpo="iod@acme.example")
    files = files_of((await bound(matter(controller=of)))[0])
    readmes = {name: content.decode() for name, content in files.items() if name.startswith("README")}
    assert set(readmes) == {"README.txt", *([f"README.{language}.txt"] if language else [])}
    kinds = {name.split("/")[0] for name in files if not name.startswith("README.") or name == "README.txt"}
    for text in readmes.values():
        named = {line.split()[0].split("/")[0] for line in text.splitlines() if line.startswith("  ")}
        assert kinds - {SIGNATURE} <= named
        assert KEY.fingerprint in text
        assert SIGNATURE in text


async def test_a_dossier_of_another_key_fits(whole: bytes) -> None:
    assert fault_of(whole, OTHER_KEY).startswith(
        f"SHA256SUMS is signed with none of the keys that it was checked against ({OTHER_KEY.fingerprint})"
    )
    assert checked(whole, OTHER_KEY, KEY).key == KEY.fingerprint


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda files: files.update({"known.json": b"[]"}), "known.json was changed"),
        (lambda files: files.update({"accesses.json": b"[]"}), "accesses.json was changed"),
        (lambda files: files.update({"README.txt": b""}), "README.txt was changed"),
        (lambda files: files.update({PACK: files[REQUEST]}), f"{PACK} was changed"),
        (lambda files: files.pop(PACK), f"{PACK} is missing from the dossier"),
        (lambda files: files.pop("accesses.json"), "accesses.json is missing from the dossier"),
        (lambda files: files.pop("dossier.json"), "dossier.json is missing from the dossier"),
        (lambda files: files.pop(SUMS), "SHA256SUMS is missing from the dossier"),
        (lambda files: files.pop(SIGNATURE), "SHA256SUMS.sig is missing from the dossier"),
        (lambda files: files.update({"calls/more.zip": files[PACK]}), "calls/more.zip is not part of the signed dossier"),
        (lambda files: files.update({SUMS: files[SUMS] + b"# more\n"}), "SHA256SUMS is signed with none of the keys"),
        (lambda files: files.update({SIGNATURE: files[SIGNATURE][:-1]}), "SHA256SUMS is signed with none of the keys"),
        (lambda files: files.update({SIGNATURE: b""}), "SHA256SUMS is signed with none of the keys"),
        (lambda files: files.update({SIGNATURE: files[SIGNATURE] + b"\n"}), "SHA256SUMS is signed with none of the keys"),
        (lambda files: files.update(signed_again({**files, "known.json": b"[]"}, OTHER_KEY)), "SHA256SUMS is signed with none of the keys"),
    ],
)  # fmt: skip
async def test_a_changed_dossier_fits_or_the_change_is_not_named(
    whole: bytes, change: Callable[[Files], None], fault: str
) -> None:
    files = files_of(whole)
    change(files)
    assert fault_of(zipped(files)).startswith(fault)


def another(files: Files, name: str, **changed: object) -> Files:
    told = json.loads(files[name])
    (told[0] if isinstance(told, list) else told).update(changed)
    return {**files, name: json.dumps(told).encode()}


def known_otherwise(files: Files, **changed: object) -> Files:
    (known,) = json.loads(files["known.json"])
    known["calls"][0].update(changed)
    return {**files, "known.json": json.dumps([known]).encode()}


OPENED_AT = plain({"at": NOON})["at"]


def with_another_pack(files: Files) -> Files:
    inside = files_of(files[PACK])
    return {
        **files,
        PACK: zipped({**inside, "journal.json": inside["journal.json"].replace(b"key_", b"KEY_")}),
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (with_another_pack, f"{PACK}: journal.json: entry 4 (KEY_pressed) was changed"),
        (lambda files: {**files, PACK: zipped({VCON: b"{}"})}, f"{PACK}: vcon.json is not signed"),
        (lambda files: {**files, PACK: b"PK"}, f"{PACK}: it is not a ZIP file, or it is damaged"),
        (lambda files: {**files, PACK: files[REQUEST]}, f"{PACK}: it is the evidence of request {REFERENCE}"),
        (lambda files: {name: each for name, each in files.items() if name != PACK}, f"{PACK} is missing from the dossier, though known.json names it"),
        (lambda files: another(files, "known.json", calls=[]), f"{PACK} is in the dossier, though known.json does not name it"),
        (lambda files: another(files, "dossier.json", digests=["00"]), f"{PACK}: it is of another number than dossier.json says"),
        (lambda files: another(files, "dossier.json", controller={"id": "beta"}), f"{PACK}: it is of another controller than dossier.json says"),
        (lambda files: another(files, "dossier.json", dossier="ccari dossier 2"), "this version of ccari does not know dossiers of the kind 'ccari dossier 2'"),
        (lambda files: another(files, "dossier.json", made_at="noon"), "dossier.json is damaged"),
        (lambda files: another(files, "dossier.json", made_at="0001-01-01T00:00:00+14:00"), "dossier.json is damaged"),
        (lambda files: another(files, "dossier.json", left_out=None), "dossier.json is damaged"),
        (lambda files: known_otherwise(files, legal_basis="consent"), f"{PACK}: legal_basis is consent in known.json, and contract in its evidence"),
        (lambda files: known_otherwise(files, opened_at="2026-03-10T12:00:01+00:00"), f"{PACK}: opened_at is 2026-03-10T12:00:01+00:00 in known.json, and {OPENED_AT} in its evidence"),
        (lambda files: known_otherwise(files, opened_at="0001-01-01T00:00:00+14:00"), f"{PACK}: known.json is damaged"),
        (lambda files: known_otherwise(files, outcome=None), f"{PACK}: outcome is None in known.json, and bridged in its evidence"),
        (lambda files: {**files, "dossier.json": b"["}, "dossier.json is damaged"),
        (lambda files: {**files, "known.json": b"[]"}, "known.json is damaged"),
        (lambda files: {name: each for name, each in files.items() if name != "known.json"}, "known.json is missing from the dossier"),
    ],
)  # fmt: skip
async def test_whoever_has_the_key_can_give_out_a_dossier_that_contradicts_itself(
    whole: bytes, change: Callable[[Files], Files], fault: str
) -> None:
    """Its packs have seals and time stamps of their own, and are of one person, whoever puts them together."""
    assert fault_of(zipped(signed_again(change(files_of(whole))))) == fault


async def test_a_list_that_reads_otherwise_with_another_program_is_taken(whole: bytes) -> None:
    files = files_of(whole)
    for more in (b"\n", b"# note\n", files[SUMS].splitlines(keepends=True)[0], b"00  x\n", b"\xff"):
        sums = files[SUMS] + more
        changed = {**files, SUMS: sums, SIGNATURE: KEY.sign(sums)}
        assert fault_of(zipped(changed)) == "SHA256SUMS is damaged", more


class Forgetful(Prover):
    """Its call is gone since the list of calls was read."""

    async def sealed(self, which: str, sees: Callable[[str | None], bool]) -> Account:
        if which == str(CALL):
            raise UnknownError(f"there is no {which}")
        return await super().sealed(which, sees)


async def test_a_call_that_is_gone_or_has_changed_meanwhile_leaves_no_dossier_or_one_that_contradicts_itself() -> (
    None
):
    content, done, _ = await bound(prover=Forgetful(HEARD))
    reason = f"call {CALL} was no longer on record of the controller when it was to be packed"
    assert done.left_out[str(CALL)] == LeftOut(reason, unfit=True)
    assert [each.id for each in checked(content).packs] == [REFERENCE]
    on_the_line = matter()
    on_the_line.known["calls"][0]["outcome"] = None
    content, done, _ = await bound(on_the_line)
    reason = "outcome is None in known.json, and bridged in its evidence"
    assert done.left_out[str(CALL)] == LeftOut(
        f"it changed while the dossier was made ({reason}): make it again", unfit=False
    )
    assert [each.id for each in checked(content).packs] == [REFERENCE]


class Stamped(Prover):
    """Its call has a time stamp that nobody has made."""

    async def sealed(self, which: str, sees: Callable[[str | None], bool]) -> Account:
        account = await super().sealed(which, sees)
        stamp = TimeStamp([account.seals[0].seal.statement], b"forged", NOON)
        return replace(account, time_stamps=[stamp]) if which == str(CALL) else account


async def test_one_forged_time_stamp_makes_the_whole_dossier_unverifiable() -> None:
    trusted = authority(Path(__file__).parent / "root_of_2020.pem")
    content, done, _ = await bound(prover=Stamped(HEARD), trusted=trusted)
    left_out = done.left_out[str(CALL)]
    assert (
        left_out.unfit,
        left_out.reason.startswith("time_stamps.json: time stamp 1: it is no answer"),
    ) == (
        True,
        True,
    )
    verdict = verify(io.BytesIO(content), [KEY.verifying], authority=trusted)
    assert [each.id for each in verdict.packs] == [REFERENCE]


async def test_a_request_whose_number_was_not_compared_is_taken_for_one_of_this_number(whole: bytes) -> None:
    assert checked(whole).uncompared == [REFERENCE]


class Erased(Prover):
    """Its call no longer has the digest of its number."""

    async def sealed(self, which: str, sees: Callable[[str | None], bool]) -> Account:
        account = await super().sealed(which, sees)
        return replace(account, subject={**account.subject, "digest": None, "key_version": None})


async def test_a_call_whose_number_is_erased_may_be_known_otherwise_than_its_evidence_says() -> None:
    content, _, _ = await bound(prover=Erased(HEARD))
    assert checked(content).uncompared == [str(CALL), REFERENCE]
    changed = zipped(signed_again(known_otherwise(files_of(content), campaign="another")))
    assert fault_of(changed) == f"{PACK}: campaign is another in known.json, and renewals in its evidence"


async def test_what_nobody_has_signed_fills_the_memory(whole: bytes) -> None:
    files = files_of(whole)
    for name, most in ((SUMS, 16 * 2**20), (SIGNATURE, 1024)):
        assert fault_of(zipped({**files, name: bytes(most + 1)})) == f"{name} is larger than it can be"
    with zipfile.ZipFile(many := io.BytesIO(), "w") as archive:
        for number in range(65536):
            archive.writestr(f"{number}", b"")
    with pytest.raises(EvidenceError, match="it has more than 65,535 files"):
        listed(many)


async def test_a_file_that_only_some_programs_see_is_missed(whole: bytes) -> None:
    twice = io.BytesIO(whole)
    with (
        zipfile.ZipFile(twice, "a", zipfile.ZIP_DEFLATED) as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr("known.json", b"[]")
    assert fault_of(twice.getvalue()) == "the dossier contains a file twice"
    hidden = io.BytesIO(whole)
    with zipfile.ZipFile(hidden, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("forged.txt", b"forged")
        archive.infolist().pop()
    assert fault_of(hidden.getvalue()).startswith("the ZIP contains something besides its directory")
    assert fault_of(whole + b"more").startswith("the ZIP contains something besides its directory")
    assert fault_of(b"#!/bin/sh\n" + whole).startswith(f"the ZIP does not begin with {PACK}")


async def test_a_damaged_or_truncated_dossier_ends_in_a_traceback_or_in_another_verdict(
    whole: bytes, tmp_path: Path
) -> None:
    """From a disk, where a place before the beginning of a file is another error than in memory."""
    verdict, refused, tried = checked(whole), 0, 0
    directory = struct.unpack("<L", whole[-6:-2])[0]
    places = [*range(0, len(whole), len(whole) // 150), *range(directory, len(whole), 5)]
    for place in places:
        turned = bytearray(whole)
        turned[place] ^= 1 << place % 8
        for content in (bytes(turned), whole[:place], whole[place + 1 :]):
            (file := tmp_path / "damaged.zip").write_bytes(content)
            tried += 1
            try:
                with file.open("rb") as opened:
                    found = verify(opened, [KEY.verifying])
            except EvidenceError:
                refused += 1
            else:
                # what was hit is a date, for example
                assert (found, files_of(content)) == (verdict, files_of(whole))
    assert refused > tried * 0.9
