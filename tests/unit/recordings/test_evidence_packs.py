"""What a pack proves to somebody who has nothing but it and a key; and that whatever is changed in it is named."""

import base64
import hashlib
import io
import json
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccari.errors import EvidenceError
from ccari.policy import chain
from ccari.policy.chain import Entry
from ccari.policy.seal import Kind
from ccari.ports.evidence import Account
from ccari.recordings.evidence.pack import VCON, pack
from ccari.recordings.evidence.verifying import Verdict, verify
from ccari.recordings.keys import SigningKey
from tests.unit.recordings import accounts
from tests.unit.recordings.accounts import CALL, HEARD, KEY, NOON, OTHER_KEY, RECORDED, RECORDING

MADE_AT = NOON + timedelta(hours=1)
Files = dict[str, bytes]


def packed(account: Account | None = None, *, key: SigningKey = KEY) -> bytes:
    heard = HEARD if account is None or account.kind is Kind.CALL else []
    return pack(account or accounts.call(), heard, key, [KEY.verifying], MADE_AT)


def files_of(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as read:
        return {name: read.read(name) for name in read.namelist()}


def zipped(files: Files) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as written:
        for name, content in files.items():
            written.writestr(name, content)
    return into.getvalue()


def checked(content: bytes, key: SigningKey = KEY) -> Verdict:
    return verify(content, [key.verifying])


def vcon_of(content: bytes) -> dict[str, Any]:
    payload = json.loads(files_of(content)[VCON])["payload"]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def fault_of(change: Callable[[Files], None], account: Account | None = None) -> str:
    files = files_of(packed(account))
    change(files)
    with pytest.raises(EvidenceError) as fault:
        checked(zipped(files))
    return str(fault.value)


def test_an_untouched_pack_does_not_fit() -> None:
    verdict = checked(packed())
    assert (verdict.kind, verdict.id, verdict.entries, verdict.erased) == (Kind.CALL, str(CALL), 5, ())
    assert (verdict.made_at, verdict.sealed_at) == (
        MADE_AT.replace(microsecond=123000), (NOON + timedelta(minutes=1),),
    )  # fmt: skip
    assert verdict.key == KEY.fingerprint


def test_the_pack_of_a_request_does_not_fit() -> None:
    verdict = checked(packed(accounts.request()))
    assert (verdict.kind, verdict.id, verdict.entries) == (Kind.REQUEST, accounts.REFERENCE, 2)


def test_the_same_account_at_the_same_moment_is_another_pack() -> None:
    assert packed() == packed()


def journal(change: Callable[[list[dict[str, Any]]], None]) -> Callable[[Files], None]:
    def changed(files: Files) -> None:
        rows = json.loads(files["journal.json"])
        change(rows)
        files["journal.json"] = json.dumps(rows).encode()

    return changed


def _swap(rows: list[dict[str, Any]]) -> None:
    rows[1], rows[2] = rows[2], rows[1]


def _swap_whole(rows: list[dict[str, Any]]) -> None:
    _swap(rows)
    rows[1]["seq"], rows[2]["seq"] = 2, 3


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda rows: rows[3].update(event="key_pressee"), "journal.json: entry 4 (key_pressee) was changed"),
        (
            lambda rows: rows[3]["fields"].update(key="3"),
            "journal.json: the fields of entry 4 (key_pressed) were changed",
        ),
        (lambda rows: rows[0].update(salt="ff" * 16), "journal.json: the fields of entry 1 (call_gated) were changed"),
        (
            lambda rows: rows[4].update(at="2026-03-10T12:00:04.123457+00:00"),
            "journal.json: entry 5 (recording_stored) was changed",
        ),
        (lambda rows: rows.pop(2), "journal.json: entry 3 is missing"),
        (lambda rows: rows.pop(), "journal.json: the journal ends at entry 4, but there were 5"),
        (_swap, "journal.json: entry 3 (notice_heard) stands in place 2"),
        (_swap_whole, "journal.json: entry 3 (notice_heard) stands in place 2"),
        (lambda rows: rows.append(dict(rows[4], seq=6)), "journal.json: entry 5 (recording_stored) stands in place 6"),
        (lambda rows: rows[1].pop("link"), "journal.json is damaged"),
        (lambda rows: rows[1].update(seq="x"), "journal.json is damaged"),
        (lambda rows: rows[1].update(seq=float("inf")), "journal.json is damaged"),
        (lambda rows: rows[1]["fields"].update(a="\ud800"), "journal.json is damaged"),
        (lambda rows: rows.clear(), "journal.json: the journal ends at entry 0, but there were 5"),
    ],
    ids=["event", "field", "salt", "time", "dropped", "cut", "swapped", "renumbered", "added", "no link", "no number", "infinite", "no text",
         "emptied"],
)  # fmt: skip
def test_a_journal_that_was_changed_is_not_named(
    change: Callable[[list[dict[str, Any]]], None], fault: str
) -> None:
    assert fault_of(journal(change)) == fault


def test_a_journal_that_was_written_anew_whole_fits() -> None:
    """Its chain fits in itself; but it is neither what was signed nor what was sealed."""

    def forged(files: Files) -> None:
        rows = json.loads(files["journal.json"])
        entries = chain.follow(
            chain.start(CALL), 0, [Entry(NOON, row["event"], {}, b"f" * 16) for row in rows]
        )
        for row, each in zip(rows, entries, strict=True):
            row |= {
                "at": NOON.isoformat(timespec="microseconds"), "fields": {}, "salt": (b"f" * 16).hex(),
                "commitment": each.commitment.hex(), "link": each.link.hex(),
            }  # fmt: skip
        files["journal.json"] = json.dumps(rows).encode()

    assert (
        fault_of(forged)
        == "journal.json: the journal was written anew: it has another last link than there was"
    )


def seals(change: Callable[[dict[str, Any]], None]) -> Callable[[Files], None]:
    def changed(files: Files) -> None:
        rows = json.loads(files["seals.json"])
        change(rows[0])
        files["seals.json"] = json.dumps(rows).encode()

    return changed


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda seal: seal["statement"].update(leaves=6), "seal 1 has a signature that does not fit"),
        (
            lambda seal: seal["statement"].update(sealed_at="2026-03-10T12:01:00.000000+00:00"),
            "seal 1 has a signature that does not fit",
        ),
        (lambda seal: seal.update(signature="00" * 64), "seal 1 has a signature that does not fit"),
        (lambda seal: seal["leaf"].update(id="22"), "seal 1 is of another journal"),
        (
            lambda seal: seal["leaf"].update(events=4),
            "seal 1 does not fit the first 4 entries of the journal",
        ),
        (
            lambda seal: seal["leaf"].update(events=9),
            "seal 1 does not fit the first 9 entries of the journal",
        ),
        (
            lambda seal: seal.update(index=3),
            "seal 1: its proof does not lead from the journal to what is signed",
        ),
        (
            lambda seal: seal["path"].reverse(),
            "seal 1: its proof does not lead from the journal to what is signed",
        ),
        (lambda seal: seal.pop("path"), None),
        (lambda seal: seal["statement"].update(leaves=2**60), None),
    ],
)
def test_a_seal_that_was_changed_is_not_named(
    change: Callable[[dict[str, Any]], None], fault: str | None
) -> None:
    assert fault_of(seals(change)) == (f"seals.json: {fault}" if fault else "seals.json is damaged")


def test_a_pack_without_its_seals_fits() -> None:
    assert (
        fault_of(lambda files: files.update({"seals.json": b"[]"})) == "seals.json: no seal reaches entry 5"
    )


def _play_something_else(files: Files) -> None:
    files["notice/02-pl-renewals-recording.alaw"] = b"nothing is recorded"


def _and_say_so(files: Files) -> None:
    _play_something_else(files)
    rows = json.loads(files["notice/notice.json"])
    rows[1]["sha256"]["alaw"] = hashlib.sha256(b"nothing is recorded").hexdigest()
    files["notice/notice.json"] = json.dumps(rows).encode()


def _change_the_words(files: Files) -> None:
    files["notice/notice.json"] = files["notice/notice.json"].replace(
        b"jest nagrywana", b"nie jest nagrywana"
    )


def _give_another_sound(files: Files) -> None:
    rows = json.loads(files["notice/notice.json"])
    rows[1] |= {"digest": accounts.sound("other", "").digest, "files": {}, "sha256": {}}
    files["notice/notice.json"] = json.dumps(rows).encode()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            _play_something_else,
            "notice/02-pl-renewals-recording.alaw is not the audio that was played: its hash is another",
        ),
        (
            _and_say_so,
            "notice/notice.json: the files of pl/renewals/recording are not those that its digest names",
        ),
        (_change_the_words, "notice/notice.json: the words are not those of the version that was heard"),
        (_give_another_sound, "notice/notice.json: pl/renewals/recording is not what the journal says was heard"),
        (lambda files: files.pop("notice/02-pl-renewals-recording.alaw"),
         "notice/02-pl-renewals-recording.alaw is missing from the pack"),
        (lambda files: files.update({"notice/notice.json": b"{"}), "notice/notice.json is damaged"),
    ],
)  # fmt: skip
def test_a_notice_that_was_changed_is_not_named(change: Callable[[Files], None], fault: str) -> None:
    assert fault_of(change) == fault


def test_a_recording_that_the_journal_does_not_tell_of_is_proven() -> None:
    """Whoever can write the table of recordings, but not the journal."""
    with pytest.raises(
        EvidenceError, match=f"recording {RECORDING} is another than the journal says was stored"
    ):
        packed(accounts.call(recordings=[accounts.recording(sha256="cd" * 32)]))
    failed = accounts.recording(state="failed", sha256=None, file_sha256=None, file=None)
    assert checked(packed(accounts.call(recordings=[failed]))).entries == 5


def _another_hash(files: Files) -> None:
    files["recordings.json"] = files["recordings.json"].replace(b"ab" * 32, b"cd" * 32)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_another_hash, f"recordings.json: sha256 of recording {RECORDING} was changed"),
        (
            lambda files: files.update({"recordings.json": b"[]"}),
            "recordings.json: there are 0 recordings, where 1 were signed",
        ),
        (lambda files: files.update({"policy.toml": b"x"}), "policy.toml is not revision 1 of the policy: its hash is another"),
        (lambda files: files.update({"gate.json": b"{}"}), "gate.json was changed"),
        (lambda files: files.update({"README.txt": b""}), "README.txt was changed"),
        (lambda files: files.update({"subject.json": b"{}"}), "subject.json was changed"),
        (lambda files: files.update({f"keys/{KEY.fingerprint}.pub": OTHER_KEY.public_pem}),
         f"keys/{KEY.fingerprint}.pub was changed"),
        (lambda files: files.update({"extra.txt": b""}), "extra.txt is no part of the pack"),
        (lambda files: files.pop("gate.json"), "gate.json is missing from the pack"),
        (lambda files: files.pop(VCON), "it is no evidence pack: there is no vcon.json in it"),
        (lambda files: files.update({VCON: b"{"}), "vcon.json is no JSON"),
        (lambda files: files.update({VCON: b"[]"}), "vcon.json is not signed"),
    ],
)  # fmt: skip
def test_something_else_that_was_changed_is_not_named(change: Callable[[Files], None], fault: str) -> None:
    assert fault_of(change) == fault


def vcon(change: Callable[[dict[str, Any]], None]) -> Callable[[Files], None]:
    def changed(files: Files) -> None:
        document = json.loads(files[VCON])
        change(document)
        files[VCON] = json.dumps(document).encode()

    return changed


def _say_another_number(document: dict[str, Any]) -> None:
    payload = document["payload"]
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).replace(b"0001", b"0002")
    document["payload"] = base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_say_another_number, "the signature of vcon.json does not fit: it was changed, or signed by somebody else"),
        (lambda document: document["signatures"][0].update(signature="AA"),
         "the signature of vcon.json does not fit: it was changed, or signed by somebody else"),
        (lambda document: document["signatures"].append(document["signatures"][0]), "vcon.json is not signed"),
        (lambda document: document["signatures"][0]["header"].update(uuid="x"),
         "the uuid in the header of vcon.json is not that of the vCon"),
        (lambda document: document.pop("signatures"), "vcon.json is not signed"),
    ],
)  # fmt: skip
def test_a_vcon_that_was_changed_is_not_named(change: Callable[[dict[str, Any]], None], fault: str) -> None:
    assert fault_of(vcon(change)) == fault


def test_a_pack_of_another_installation_fits() -> None:
    with pytest.raises(
        EvidenceError, match=f"signed with the key {KEY.fingerprint}, which is none of those"
    ) as fault:
        checked(packed(), OTHER_KEY)
    assert "another installation's" in str(fault.value)


def test_a_pack_that_was_signed_anew_with_another_key_fits() -> None:
    """Whoever changes all of it and signs it himself does not have the controller's key; nor the seals'."""
    forged = packed(key=OTHER_KEY)
    with pytest.raises(EvidenceError, match=f"signed with the key {OTHER_KEY.fingerprint}, which is none"):
        checked(forged)
    with pytest.raises(
        EvidenceError, match=f"seal 1 is signed with the key {KEY.fingerprint}, which is none"
    ):
        checked(forged, OTHER_KEY)


def test_a_pack_that_names_a_key_by_which_it_is_not_signed_fits() -> None:
    def claims(document: dict[str, Any]) -> None:
        protected = {"alg": "EdDSA", "kid": OTHER_KEY.fingerprint}
        told = base64.urlsafe_b64encode(json.dumps(protected).encode()).rstrip(b"=").decode()
        document["signatures"][0]["protected"] = told

    files = files_of(packed())
    vcon(claims)(files)
    with pytest.raises(EvidenceError, match=r"the signature of vcon\.json does not fit"):
        checked(zipped(files), OTHER_KEY)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256"])
def test_a_signature_of_another_algorithm_fits(algorithm: str) -> None:
    def claims(document: dict[str, Any]) -> None:
        protected = {"alg": algorithm, "kid": KEY.fingerprint}
        told = base64.urlsafe_b64encode(json.dumps(protected).encode()).rstrip(b"=").decode()
        document["signatures"][0] |= {"protected": told, "signature": ""}

    assert fault_of(vcon(claims)).startswith("the signature of vcon.json does not fit")


def test_an_older_key_that_signed_a_seal_is_refused() -> None:
    """After a rotation the seals are of the old key, and the pack of the new one."""
    content = packed(key=OTHER_KEY)
    verdict = verify(content, [KEY.verifying, OTHER_KEY.verifying])
    assert (verdict.key, verdict.entries) == (OTHER_KEY.fingerprint, 5)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + bytes(100), b"{}"])
def test_what_is_no_zip_is_another_error(content: bytes) -> None:
    with pytest.raises(EvidenceError, match="it is no ZIP file, or a damaged one"):
        checked(content)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_byte_anywhere_is_changed_unnoticed(data: st.DataObject) -> None:
    """Of the files as they are read: what ZIP itself has beside them (dates, say) is no part of the evidence."""
    files = files_of(packed())
    name = data.draw(st.sampled_from(sorted(files)))
    place = data.draw(st.integers(0, len(files[name]) - 1))
    changed = bytearray(files[name])
    changed[place] ^= data.draw(st.integers(1, 255))
    if name == VCON and json_like(files[name], bytes(changed)):
        return
    with pytest.raises(EvidenceError):
        checked(zipped({**files, name: bytes(changed)}))


def json_like(one: bytes, other: bytes) -> bool:
    """The envelope's own blanks, and its certificate, which nobody relies on, are not signed."""
    try:
        documents = [json.loads(each) for each in (one, other)]
        for each in documents:
            each["signatures"][0]["header"].pop("x5c")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False
    return bool(documents[0] == documents[1])


@given(st.sets(st.integers(0, 4), min_size=1))
def test_what_was_erased_breaks_the_proof_or_is_not_told(places: set[int]) -> None:
    entries = accounts.journal()
    for place in places:
        entries[place] = replace(entries[place], fields=None, salt=None)
    verdict = checked(packed(accounts.call(entries)))
    assert verdict.erased == tuple(sorted(place + 1 for place in places))


def test_a_pack_from_before_the_erasure_does_not_fit_any_more() -> None:
    before = packed()
    assert checked(before).erased == ()


def test_the_files_of_recordings_are_not_compared(tmp_path: Path) -> None:
    stored = tmp_path / str(accounts.recording()["file"])
    stored.parent.mkdir(parents=True)
    stored.write_bytes(RECORDED)
    assert verify(packed(), [KEY.verifying], tmp_path).recordings == 1
    stored.write_bytes(RECORDED + b"x")
    with pytest.raises(EvidenceError, match=f"recording {RECORDING}: .* is another file than was stored"):
        verify(packed(), [KEY.verifying], tmp_path)
    stored.unlink()
    with pytest.raises(EvidenceError, match=f"recording {RECORDING}: .* cannot be read"):
        verify(packed(), [KEY.verifying], tmp_path)
    gone = accounts.call(
        recordings=[accounts.recording(state="deleted", deletion="retention", deleted_at=NOON)]
    )
    assert verify(packed(gone), [KEY.verifying], tmp_path).recordings == 0


def test_audio_that_is_no_longer_there_is_not_told() -> None:
    heard = [HEARD[0], replace(HEARD[1], files={})]
    content = pack(accounts.call(), heard, KEY, [KEY.verifying], MADE_AT)
    assert checked(content).unheard == ("pl/renewals/recording",)


@pytest.mark.parametrize(
    ("account", "fault"),
    [
        (accounts.call(seals=[]), "is not sealed to its end yet: ccari evidence seal"),
        (accounts.call(journal=accounts.journal()[:4]), "entries are not those that were sealed at"),
        (
            accounts.call(journal=[replace(each, event="x") for each in accounts.journal()]),
            "proves nothing any more: entry 1 .x. was changed",
        ),
        (accounts.call(journal=[]), "has no journal"),
    ],
)
def test_what_proves_nothing_is_given_out_as_proof(account: Account, fault: str) -> None:
    with pytest.raises(EvidenceError, match=fault):
        packed(account)


def test_the_lawful_bases_of_a_call_are_others() -> None:
    document = vcon_of(packed())
    assert document["extensions"] == ["lawful_basis"]
    bases = [each["body"] for each in document["attachments"] if each["purpose"] == "lawful_basis"]
    assert [(each["lawful_basis"], each["expiration"]) for each in bases] == [
        ("contract", None), ("legitimate_interests", "2026-06-08T12:00:00.123+00:00"),
    ]  # fmt: skip
    granted = [(each["purpose_grants"][0]["purpose"], each["purpose_grants"][0]["granted"]) for each in bases]
    assert granted == [("call", True), ("recording", True)]
    assert bases[0]["metadata"]["iri"] == "https://w3id.org/dpv/legal/eu/gdpr#A6-1-b"


def test_a_refused_recording_is_granted() -> None:
    account = accounts.call(accounts.journal(action="continue_unrecorded"), recordings=[])
    bases = [
        each["body"] for each in vcon_of(packed(account))["attachments"] if each["purpose"] == "lawful_basis"
    ]
    (grant,) = bases[1]["purpose_grants"]
    assert (grant["purpose"], grant["granted"], bases[1]["lawful_basis"]) == (
        "recording",
        False,
        "legitimate_interests",
    )


def test_a_number_or_an_identity_is_in_a_pack() -> None:
    everything = b"".join(files_of(packed()).values()) + json.dumps(vcon_of(packed())).encode()
    assert b"+48600" not in everything
    assert b"PRIVATE" not in everything


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the vcon package needs Python 3.12")
@pytest.mark.parametrize("account", [accounts.call(), accounts.call(recordings=[]), accounts.request()])
def test_an_independent_reader_of_vcons_does_not_take_it(account: Account) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from vcon import Vcon  # type: ignore[import-not-found,import-untyped,unused-ignore]

        content = packed(account)
        signed = Vcon.build_from_json(files_of(content)[VCON].decode())
        assert signed.verify(KEY.public_pem)
        assert not signed.verify(OTHER_KEY.public_pem)
        text = json.dumps(vcon_of(content))
        assert Vcon.validate_json(text) == (True, [])
        read = Vcon.build_from_json(text)
        for found in read.validate_extensions().values():
            for each in found if isinstance(found, list) else [found]:
                assert (each["is_valid"], each["errors"]) == (True, [])
        bases = read.find_lawful_basis_attachments(1)
        assert len(bases) == 1 + len(account.recordings)
        assert read.check_lawful_basis_permission("call", 1) is (account.kind is Kind.CALL)
