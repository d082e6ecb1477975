"""Whatever is changed in a pack is named, and nobody can pass off somebody else's pack as their own."""

import base64
import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ccari.errors import EvidenceError
from ccari.policy import chain
from ccari.policy.chain import Entry
from ccari.recordings.evidence import signing, unzipping
from ccari.recordings.evidence.hearing import NOTICE
from ccari.recordings.evidence.keys import SigningKey
from ccari.recordings.evidence.pack import VCON
from ccari.recordings.evidence.verifying import MOST_EXPLAINED
from tests.unit.recordings import accounts
from tests.unit.recordings.accounts import CALL, KEY, NOON, OTHER_KEY, RECORDING
from tests.unit.recordings.packing import (
    Files,
    checked,
    fault_of,
    files_of,
    packed,
    vcon_of,
    zipped,
)


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
            lambda rows: rows[5].update(at="2026-03-10T12:00:05.123457+00:00"),
            "journal.json: entry 6 (recording_stored) was changed",
        ),
        (lambda rows: rows.pop(2), "journal.json: entry 3 is missing"),
        (lambda rows: rows.pop(), "journal.json: the journal ends at entry 5, but there were 6"),
        (_swap, "journal.json: entry 3 (notice_heard) is in place 2"),
        (_swap_whole, "journal.json: entry 3 (notice_heard) is in place 2"),
        (lambda rows: rows.append(dict(rows[5], seq=7)), "journal.json: entry 6 (recording_stored) is in place 7"),
        (lambda rows: rows[1].pop("link"), "journal.json is damaged"),
        (lambda rows: rows[1].update(seq="x"), "journal.json is damaged"),
        (lambda rows: rows[1].update(seq=float("inf")), "journal.json is damaged"),
        (
            lambda rows: rows[1]["fields"].update(a="\ud800"),
            "journal.json: the fields of entry 2 (callee_answered) were changed",
        ),
        *(
            (lambda rows, edit=edit: rows[1].update(fields=edit),
             "journal.json: the fields of entry 2 (callee_answered) were changed")
            for edit in (5, "", "x", [], ["x"], {"a": 5}, {"a": 10**400})
        ),
        (lambda rows: rows[3]["fields"].update(key=2), "journal.json: the fields of entry 4 (key_pressed) were changed"),
        (lambda rows: rows.clear(), "journal.json: the journal ends at entry 0, but there were 6"),
    ],
    ids=["event", "field", "salt", "time", "dropped", "cut", "swapped", "renumbered", "added", "no link", "no number", "infinite", "no text",
         "fields a number", "fields nothing", "fields text", "fields empty list", "fields list", "number added", "great number added",
         "number for text", "emptied"],
)  # fmt: skip
def test_a_journal_that_was_changed_is_not_named(
    change: Callable[[list[dict[str, Any]]], None], fault: str
) -> None:
    assert fault_of(journal(change)) == fault


def test_a_journal_that_was_written_anew_whole_fits() -> None:
    """Its chain is consistent in itself, but it is neither what was signed nor what was sealed."""

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
        == "journal.json: the journal was rewritten: its last link is not the one that was kept"
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
        (lambda seal: seal["statement"].update(leaves=6), "seal 1 has an invalid signature"),
        (
            lambda seal: seal["statement"].update(sealed_at="2026-03-10T12:01:00.000000+00:00"),
            "seal 1 has an invalid signature",
        ),
        (lambda seal: seal.update(signature="00" * 64), "seal 1 has an invalid signature"),
        (lambda seal: seal["leaf"].update(id="22"), "seal 1 belongs to another journal"),
        (
            lambda seal: seal["leaf"].update(events=4),
            "seal 1 does not match the journal up to entry 4",
        ),
        (
            lambda seal: seal["leaf"].update(events=9),
            "seal 1 does not match the journal up to entry 9",
        ),
        (
            lambda seal: seal.update(index=3),
            "seal 1: its proof does not link the journal to what was signed",
        ),
        (
            lambda seal: seal["path"].reverse(),
            "seal 1: its proof does not link the journal to what was signed",
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
    assert fault_of(lambda files: files.update({"seals.json": b"[]"})) == "seals.json: no seal covers entry 6"


def _play_something_else(files: Files) -> None:
    files["notice/02-pl-renewals-recording.sln12"] = b"nothing is recorded"


def _and_say_so(files: Files) -> None:
    _play_something_else(files)
    rows = json.loads(files["notice/notice.json"])
    rows[1]["sha256"]["sln12"] = hashlib.sha256(b"nothing is recorded").hexdigest()
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
            "notice/02-pl-renewals-recording.sln12 is not the audio that was played: its hash differs",
        ),
        (
            _and_say_so,
            "notice/notice.json: the files of pl/renewals/recording do not match its digest",
        ),
        (_change_the_words, "notice/notice.json: the words are not those of the version that was heard"),
        (_give_another_sound, "notice/notice.json: pl/renewals/recording is not what the journal says was heard"),
        (lambda files: files.pop("notice/02-pl-renewals-recording.sln12"),
         "notice/02-pl-renewals-recording.sln12 is missing from the pack"),
        (lambda files: files.update({"notice/notice.json": b"{"}), "notice/notice.json is damaged"),
    ],
)  # fmt: skip
def test_a_notice_that_was_changed_is_not_named(change: Callable[[Files], None], fault: str) -> None:
    assert fault_of(change) == fault


def test_a_second_file_of_the_same_name_is_read_by_others_unnoticed() -> None:
    """Which of the two a ZIP reader takes is up to the reader."""
    into = io.BytesIO(packed())
    with zipfile.ZipFile(into, "a", zipfile.ZIP_DEFLATED) as written, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written.writestr("README.txt", files_of(packed())["README.txt"])
    with pytest.raises(EvidenceError, match="the pack contains a file twice"):
        checked(into.getvalue())


def test_a_bomb_fills_the_memory_of_whoever_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unzipping, "MOST_BYTES", 10**6)
    into = io.BytesIO(packed())
    with zipfile.ZipFile(into, "a", zipfile.ZIP_DEFLATED) as written:
        written.writestr("zeroes", bytes(10**6))
    assert len(into.getvalue()) < 10**5
    with pytest.raises(EvidenceError, match="it is larger than a pack can be"):
        checked(into.getvalue())


def _blown_up(files: Files) -> None:
    rows = json.loads(files["journal.json"])
    longer = json.dumps(rows * (MOST_EXPLAINED // len(json.dumps(rows)) + 1))
    files["journal.json"] = longer.encode()


def _heard_for_ever(files: Files) -> None:
    """Of each of these rows the whole sound would be read."""
    files["notice/big.sln12"] = bytes(MOST_EXPLAINED + 1)
    sha256 = hashlib.sha256(b"").hexdigest()
    row = {"key": "pl/renewals/identity", "text": None, "digest": "", "files": {"sln12": "notice/big.sln12"}, "sha256": {"sln12": sha256}}  # fmt: skip
    files[NOTICE] = json.dumps([row] * 100).encode()


@pytest.mark.parametrize(
    ("change", "fault"),
    [(_blown_up, "journal.json was changed"), (_heard_for_ever, f"{NOTICE} was changed")],
)
def test_what_anybody_put_into_a_pack_is_read_before_it_is_known_not_to_be_signed(
    change: Callable[[Files], None], fault: str
) -> None:
    assert fault_of(change) == fault


def test_a_vcon_that_somebody_else_has_signed_too_is_opened() -> None:
    document = json.loads(files_of(packed())[VCON])
    assert signing.opened(document, KEY.verifying) is not None
    assert signing.opened(document, OTHER_KEY.verifying) is None
    document["signatures"] *= 2
    assert signing.opened(document, KEY.verifying) is None


def _another_hash(files: Files) -> None:
    files["recordings.json"] = files["recordings.json"].replace(b"ab" * 32, b"cd" * 32)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_another_hash, f"recordings.json: sha256 of recording {RECORDING} was changed"),
        (
            lambda files: files.update({"recordings.json": b"[]"}),
            "recordings.json: the number of recordings is 0, but the signed one is 1",
        ),
        (lambda files: files.update({"policy.toml": b"x"}), "policy.toml is not revision 1 of the policy: its hash differs"),
        (lambda files: files.update({"gate.json": b"{}"}), "gate.json was changed"),
        (lambda files: files.update({"README.txt": b""}), "README.txt was changed"),
        (lambda files: files.update({"subject.json": b"{}"}), "subject.json was changed"),
        (lambda files: files.update({f"keys/{KEY.fingerprint}.pub": OTHER_KEY.public_pem}),
         f"keys/{KEY.fingerprint}.pub was changed"),
        (lambda files: files.update({"extra.txt": b""}), "extra.txt is not part of the signed pack"),
        (lambda files: files.pop("gate.json"), "gate.json is missing from the pack"),
        (lambda files: files.pop(VCON), "it is not an evidence pack: it contains no vcon.json"),
        (lambda files: files.update({VCON: b"{"}), "vcon.json is not JSON"),
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


def certified(key: SigningKey) -> str:
    return base64.b64encode(signing.certificate(key)).decode()


OWN = certified(KEY)
PADDED_OTHERWISE = OWN.replace("w==", "x==")
OF_THE_KEY_BY_ANOTHER = base64.b64encode(signing.certificate(KEY)[:-64] + bytes(64)).decode()


def test_a_second_payload_is_read_by_others_unnoticed() -> None:
    """Which of two members of one name counts is up to the JSON reader."""
    files = files_of(packed())
    files[VCON] = files[VCON].replace(b"{", b'{"payload": "e30",', 1)
    with pytest.raises(EvidenceError, match=r"vcon\.json contains the same member twice"):
        checked(zipped(files))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_say_another_number, "the signature of vcon.json is invalid: the file was changed, or signed by somebody else"),
        (lambda document: document["signatures"][0].update(signature="AA"),
         "the signature of vcon.json is invalid: the file was changed, or signed by somebody else"),
        (lambda document: document["signatures"][0].update(signature=document["signatures"][0]["signature"] + "!!"),
         "the signature of vcon.json is invalid: the file was changed, or signed by somebody else"),
        (lambda document: document["signatures"].append(document["signatures"][0]), "vcon.json is not signed"),
        (lambda document: document["signatures"][0]["header"].update(uuid="x"),
         "the uuid in the header of vcon.json is not that of the vCon"),
        (lambda document: document.pop("signatures"), "vcon.json is not signed"),
        (lambda document: document.update(analysis=[]), "vcon.json contains 'analysis', which is not signed"),
        (lambda document: document["signatures"][0].update(note="x"), "vcon.json contains 'note', which is not signed"),
        (lambda document: document["signatures"][0]["header"].update(jku="x"), "vcon.json contains 'jku', which is not signed"),
        (lambda document: document["signatures"][0].pop("header"), "the header of vcon.json is damaged"),
        *[
            (lambda document, x5c=x5c: document["signatures"][0]["header"].update(x5c=x5c),
             "the certificate in vcon.json does not belong to the key that signed it")
            for x5c in ([], ["AAAA"], ["ż"], [OWN, OWN], [OWN + "\n"], [PADDED_OTHERWISE], [certified(OTHER_KEY)], [OF_THE_KEY_BY_ANOTHER])
        ],
    ],
)  # fmt: skip
def test_a_vcon_that_was_changed_is_not_named(change: Callable[[dict[str, Any]], None], fault: str) -> None:
    assert fault_of(vcon(change)) == fault


def test_a_pack_of_another_installation_fits() -> None:
    with pytest.raises(
        EvidenceError, match=f"signed with the key {KEY.fingerprint}, which is not one of the keys"
    ) as fault:
        checked(packed(), OTHER_KEY)
    assert "another installation" in str(fault.value)


def test_a_pack_that_was_signed_anew_with_another_key_fits() -> None:
    """Whoever changes all of it and signs it does not have the controller's key, nor that of the seals."""
    forged = packed(key=OTHER_KEY)
    with pytest.raises(
        EvidenceError, match=f"signed with the key {OTHER_KEY.fingerprint}, which is not one of"
    ):
        checked(forged)
    with pytest.raises(
        EvidenceError, match=f"seal 1 is signed with the key {KEY.fingerprint}, which is not one of"
    ):
        checked(forged, OTHER_KEY)


def test_a_pack_that_names_a_key_by_which_it_is_not_signed_fits() -> None:
    def claims(document: dict[str, Any]) -> None:
        protected = {"alg": "EdDSA", "kid": OTHER_KEY.fingerprint}
        told = base64.urlsafe_b64encode(json.dumps(protected).encode()).rstrip(b"=").decode()
        document["signatures"][0]["protected"] = told

    files = files_of(packed())
    vcon(claims)(files)
    with pytest.raises(EvidenceError, match=r"the signature of vcon\.json is invalid"):
        checked(zipped(files), OTHER_KEY)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256"])
def test_a_signature_of_another_algorithm_fits(algorithm: str) -> None:
    def claims(document: dict[str, Any]) -> None:
        protected = {"alg": algorithm, "kid": KEY.fingerprint}
        told = base64.urlsafe_b64encode(json.dumps(protected).encode()).rstrip(b"=").decode()
        document["signatures"][0] |= {"protected": told, "signature": ""}

    assert fault_of(vcon(claims)).startswith("the signature of vcon.json is invalid")


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + bytes(100), b"{}"])
def test_what_is_no_zip_is_another_error(content: bytes) -> None:
    with pytest.raises(EvidenceError, match="it is not a ZIP file, or it is damaged"):
        checked(content)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_byte_anywhere_is_changed_unnoticed(data: st.DataObject) -> None:
    """Of the files as they are read: what ZIP itself adds (dates, for example) is no part of the evidence."""
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
    """The blanks of the envelope, and its certificate, on which nobody relies, are not signed."""
    try:
        documents = [json.loads(each) for each in (one, other)]
        for each in documents:
            each["signatures"][0]["header"].pop("x5c")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False
    return bool(documents[0] == documents[1])


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "noon", 5, None])
def test_whoever_has_the_key_can_write_a_date_that_ends_in_a_traceback(at: object) -> None:
    """The command that verifies shows it in UTC, in which some moments do not exist."""
    document = {**vcon_of(packed()), "created_at": at}

    def changed(files: Files) -> None:
        again = signing.signed(rfc8785.dumps(document), document["uuid"], KEY)
        files[VCON] = json.dumps(again).encode()

    assert fault_of(changed) == "the date of vcon.json is damaged"
