"""Evidence of a real call: a stranger can read it, and can see what was changed."""

import asyncio
import base64
import io
import json
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ccari.recordings.evidence.keys import SigningKeys
from tests.faults.files import with_a_bit_changed
from tests.integration.service import Service
from tests.integration.test_outbound import Ended, through
from tests.lab import Lab, callees

pytestmark = pytest.mark.asyncio(loop_scope="session")

Files = dict[str, bytes]


def keys_of(service: Service) -> SigningKeys:
    return SigningKeys(Path(service.environment["CCARI_DATA_DIR"], "keys"))


async def exported(service: Service, ended: Ended, to: Path) -> Path:
    done = await service.ccari("evidence", "export", ended.outcome.call, "--out", str(to))
    assert (done.code, done.err) == (0, "")
    return to


def files_of(pack: Path) -> Files:
    with zipfile.ZipFile(pack) as read:
        return {name: read.read(name) for name in read.namelist()}


def payload_of(files: Files) -> dict[str, Any]:
    payload = json.loads(files["vcon.json"])["payload"]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def rewritten(files: Files, name: str, change: Callable[[Any], None]) -> Files:
    rows = json.loads(files[name])
    change(rows)
    return {**files, name: json.dumps(rows).encode()}


async def fault_of(service: Service, files: Files, to: Path, *options: str) -> str:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            written.writestr(name, content)
    await asyncio.to_thread(to.write_bytes, into.getvalue())
    done = await service.ccari("evidence", "verify", str(to), *options)
    assert (done.code, done.out) == (1, "")
    return done.err.removeprefix(f"ccari: {to} failed verification: ").strip()


async def test_the_evidence_of_a_real_call_does_not_hold_what_was_said_and_why(
    service: Service, lab: Lab, tmp_path: Path
) -> None:
    ended = await through(service, lab, callees.answers(36), agent="drops-3")
    assert ended.verdict == ("bridged", "")
    pack = await exported(service, ended, tmp_path / "call.zip")
    done = await service.succeeds("evidence", "verify", str(pack), "--recordings", str(service.recordings))
    assert f"call {ended.outcome.call}: no fault was found" in done.out
    assert "1 file of a recording compared" in done.out
    files = files_of(pack)
    journal = json.loads(files["journal.json"])
    assert [each["event"] for each in journal] == ended.events
    heard = next(each["fields"] for each in journal if each["event"] == "notice_heard")
    told = json.loads(files["notice/notice.json"])
    assert [each["key"].split("/")[-1] for each in told] == heard["prompts"].split(",")
    board = Path(service.environment["CCARI_SOUNDS__DIR"])
    for each in told:
        for ending, name in each["files"].items():
            assert files[name] == (board / f"{each['key']}.{ending}").read_bytes()
    assert payload_of(files)["dialog"][0]["body"] == "\n".join(each["text"] for each in told)
    (facts,) = [each for each in json.loads(files["gate.json"])["facts"] if each["event"] == "call_gated"]
    assert facts["fields"]["attempts"] == "0 0 0"
    assert "renewals" in files["policy.toml"].decode()
    (recording,) = json.loads(files["recordings.json"])
    (kept,) = ended.record["recordings"]
    assert (recording["id"], recording["file"]) == (kept["id"], kept["file"])
    number = callees.answers(36).number.lstrip("+").encode()
    assert number not in b"".join(files.values()) + json.dumps(payload_of(files)).encode()


async def test_a_change_of_a_real_calls_evidence_is_not_named(
    service: Service, lab: Lab, tmp_path: Path
) -> None:
    ended = await through(service, lab, callees.answers(37), agent="drops-3")
    files = files_of(await exported(service, ended, tmp_path / "call.zip"))
    changed = tmp_path / "changed.zip"
    rows = json.loads(files["journal.json"])
    at = next(place for place, each in enumerate(rows) if each["event"] == "notice_heard")
    (recording,) = json.loads(files["recordings.json"])

    def edit(entries: list[dict[str, Any]]) -> None:
        entries[at]["event"] = "notice_hearc"

    def swap(entries: list[dict[str, Any]]) -> None:
        entries[at], entries[at + 1] = entries[at + 1], entries[at]

    named = {
        f"journal.json: entry {at + 1} (notice_hearc) was changed": rewritten(files, "journal.json", edit),
        f"journal.json: entry {at + 1} is missing": rewritten(files, "journal.json", lambda each: each.pop(at)),
        f"journal.json: entry {at + 2} ({rows[at + 1]['event']}) is in place {at + 1}":
            rewritten(files, "journal.json", swap),
        f"recordings.json: file_sha256 of recording {recording['id']} was changed":
            rewritten(files, "recordings.json", lambda each: each[0].update(file_sha256="00" * 32)),
    }  # fmt: skip
    audio = next(name for name in files if name.startswith("notice/01") and not name.endswith(".json"))
    named[f"{audio} is not the audio that was played: its hash differs"] = {
        **files, audio: with_a_bit_changed(files[audio])
    }  # fmt: skip
    for fault, content in named.items():
        assert await fault_of(service, content, changed) == fault
    stored = tmp_path / "recordings" / recording["file"]
    stored.parent.mkdir(parents=True)
    stored.write_bytes(with_a_bit_changed((service.recordings / recording["file"]).read_bytes()))
    fault = await fault_of(service, files, changed, "--recordings", str(tmp_path / "recordings"))
    assert fault == f"recording {recording['id']}: {stored} is not the file that was stored"
    SigningKeys(tmp_path / "other").create()
    fault = await fault_of(service, files, changed, "--key", str(tmp_path / "other" / "evidence-1.pub"))
    assert fault.startswith(
        f"it is signed with the key {keys_of(service).newest().fingerprint}, which is not one of"
    )


async def test_a_request_by_key_has_no_evidence(service: Service, lab: Lab, tmp_path: Path) -> None:
    ended = await through(service, lab, callees.presses("8", 5, 36), agent="drops-6")
    reference = next(
        each["fields"]["reference"] for each in ended.record["events"] if each["event"] == "right_registered"
    )
    pack = tmp_path / "request.zip"
    done = await service.ccari("evidence", "export", reference, "--out", str(pack))
    assert (done.code, done.err) == (0, "")
    done = await service.ccari("evidence", "verify", str(pack), "--json")
    assert json.loads(done.out)["id"] == reference
    subject = json.loads(files_of(pack)["subject.json"])
    assert (subject["right"], subject["call_id"]) == ("access", ended.outcome.call)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the vcon package needs Python 3.12")
async def test_an_independent_reader_of_vcons_does_not_take_a_real_calls(
    service: Service, lab: Lab, tmp_path: Path
) -> None:
    ended = await through(service, lab, callees.answers(38), agent="drops-3")
    files = files_of(await exported(service, ended, tmp_path / "call.zip"))
    # it imports authlib, which has its own warnings shown whatever is ignored
    with warnings.catch_warnings(record=True):
        from vcon import Vcon  # type: ignore[import-not-found,import-untyped,unused-ignore]

        signed = Vcon.build_from_json(files["vcon.json"].decode())
        assert signed.verify(keys_of(service).newest().public_pem)
        text = json.dumps(payload_of(files))
        assert Vcon.validate_json(text) == (True, [])
        read = Vcon.build_from_json(text)
        extensions = read.validate_extensions()
        assert extensions["lawful_basis"] == {"is_valid": True, "errors": [], "warnings": []}
        assert all(each["is_valid"] for each in extensions["attachments"])
        bases = [each["body"]["lawful_basis"] for each in read.find_lawful_basis_attachments()]
        assert bases == ["contract", "legitimate_interests"]
        assert read.check_lawful_basis_permission("recording", 1) is True


async def test_the_dossier_of_a_real_calls_callee_does_not_prove_what_an_authority_asks(
    service: Service, lab: Lab, tmp_path: Path
) -> None:
    callee = callees.presses("8", 5, 36)
    ended = await through(service, lab, callee, agent="drops-6")
    out = tmp_path / "dossier.zip"
    told = await service.json("subject", "dossier", callee.number, "--why", "letter 7", "--out", str(out))
    assert told["left_out"] == {}
    files = files_of(out)
    (known,) = json.loads(files["known.json"])
    reference = next(
        each["fields"]["reference"] for each in ended.record["events"] if each["event"] == "right_registered"
    )
    assert reference in [each["reference"] for each in known["requests"]]
    assert {f"calls/{ended.outcome.call}.zip", f"requests/{reference}.zip"} <= set(files)
    call = io.BytesIO(files[f"calls/{ended.outcome.call}.zip"])
    with zipfile.ZipFile(call) as pack:
        journal = json.loads(pack.read("journal.json"))
        assert json.loads(pack.read("notice/notice.json"))
    assert [each["event"] for each in journal] == [each["event"] for each in ended.record["events"]]
    done = await service.succeeds("evidence", "verify", str(out), "--recordings", str(service.recordings))
    assert f"call {ended.outcome.call}: no fault was found" in done.out
    assert f"request {reference}: no fault was found" in done.out
    # of this call, and of those that the same callee has had before
    compared = int(done.out.splitlines()[-1].split()[0])
    assert compared >= sum(each["state"] == "stored" for each in ended.record["recordings"]) == 1
