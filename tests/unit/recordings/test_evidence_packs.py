"""What a pack proves to somebody who has only the pack and a key."""

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.errors import EvidenceError
from ccari.policy.seal import Kind
from ccari.ports.evidence import Account, HeardSound
from ccari.recordings.evidence.pack import VCON, pack
from ccari.recordings.evidence.seals import Entered
from ccari.recordings.evidence.verifying import verify
from tests.unit.recordings import accounts
from tests.unit.recordings.accounts import (
    CALL,
    DELETED,
    HEARD,
    KEY,
    NOON,
    OTHER_KEY,
    RECORDED,
    RECORDING,
    STORED,
)
from tests.unit.recordings.packing import MADE_AT, checked, files_of, packed, vcon_of

UNRECORDED = accounts.journal(("call_ended", {}), tagged=None)
ERASED = accounts.erased(accounts.journal(), {2})


def test_an_untouched_pack_does_not_fit() -> None:
    verdict = checked(packed())
    assert (verdict.kind, verdict.id, verdict.entries, verdict.erased) == (Kind.CALL, str(CALL), 6, ())
    assert (verdict.made_at, verdict.sealed_at) == (
        MADE_AT.replace(microsecond=123000), (NOON + timedelta(minutes=1),),
    )  # fmt: skip
    assert verdict.key == KEY.fingerprint
    assert verdict.entered == (Entered(1, 6, NOON, NOON + timedelta(seconds=5)),)


def test_the_pack_of_a_request_does_not_fit() -> None:
    verdict = checked(packed(accounts.request()))
    assert (verdict.kind, verdict.id, verdict.entries) == (Kind.REQUEST, accounts.REFERENCE, 2)


def test_the_same_account_at_the_same_moment_is_another_pack() -> None:
    assert packed() == packed()


def test_an_older_key_that_signed_a_seal_is_refused() -> None:
    """After a rotation the seals are by the old key, and the pack is signed with the new one."""
    content = packed(key=OTHER_KEY)
    verdict = verify(content, [KEY.verifying, OTHER_KEY.verifying])
    assert (verdict.key, verdict.entries) == (OTHER_KEY.fingerprint, 6)


@given(st.sets(st.integers(0, 5), min_size=1))
def test_what_was_erased_breaks_the_proof_or_is_not_told(places: set[int]) -> None:
    verdict = checked(packed(accounts.call(accounts.erased(accounts.journal(), places))))
    assert verdict.erased == tuple(sorted(place + 1 for place in places))


def test_the_files_of_recordings_are_not_compared(tmp_path: Path) -> None:
    stored = tmp_path / str(accounts.recording()["file"])
    stored.parent.mkdir(parents=True)
    stored.write_bytes(RECORDED)
    assert verify(packed(), [KEY.verifying], tmp_path).recordings == 1
    stored.write_bytes(RECORDED + b"x")
    with pytest.raises(EvidenceError, match=f"recording {RECORDING}: .* is not the file that was stored"):
        verify(packed(), [KEY.verifying], tmp_path)
    stored.unlink()
    with pytest.raises(EvidenceError, match=f"recording {RECORDING}: .* cannot be read"):
        verify(packed(), [KEY.verifying], tmp_path)
    gone = accounts.call(
        accounts.journal(("recording_stored", STORED), ("recording_deleted", DELETED)),
        recordings=[accounts.recording(state="deleted", deletion="retention", deleted_at=NOON)],
    )
    assert verify(packed(gone), [KEY.verifying], tmp_path).recordings == 0


def test_whoever_made_the_pack_has_it_read_something_else_than_a_recording(tmp_path: Path) -> None:
    """Its maker may have signed anything: a device would be read for ever, and a pipe waited for."""
    for file, fault in (
        ("/dev/zero", "its file is not below the recordings folder"),
        ("../pipe", "its file is not below the recordings folder"),
        ("pipe", "it is a pipe or a device"),
    ):
        stored = accounts.journal(("recording_stored", {**STORED, "file": file}))
        content = packed(accounts.call(stored, recordings=[accounts.recording(file=file)]))
        if not (tmp_path / "pipe").exists():
            os.mkfifo(tmp_path / "pipe")
        with pytest.raises(EvidenceError, match=fault):
            verify(content, [KEY.verifying], tmp_path)


def test_a_recording_in_a_folder_that_is_named_from_elsewhere_passes_for_one_outside_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever verifies may be in any folder."""
    stored = tmp_path / str(accounts.recording()["file"])
    stored.parent.mkdir(parents=True)
    stored.write_bytes(RECORDED)
    monkeypatch.chdir(stored.parent)
    for folder in ("../..", Path("../..") / ".." / tmp_path.name):
        assert verify(packed(), [KEY.verifying], Path(folder)).recordings == 1


def test_audio_that_is_no_longer_there_is_not_told() -> None:
    heard = [HEARD[0], replace(HEARD[1], files={})]
    content = pack(accounts.call(), heard, KEY, [KEY.verifying], MADE_AT)
    assert checked(content).unheard == ("pl/renewals/recording",)


def test_a_notice_that_offers_another_language_does_not_fit() -> None:
    """The offer is spoken in the language that it offers."""
    heard = [accounts.sound("language_offer", "For English press 4.", "en"), *HEARD]
    content = pack(accounts.hearing(*heard), heard, KEY, [KEY.verifying], MADE_AT)
    assert checked(content).unheard == ()


def test_a_word_that_sounds_alike_in_two_languages_stands_for_the_other() -> None:
    """A speaker's recording, for example: one sound, with the words of each language."""
    heard = [HEARD[0], replace(HEARD[0], key="en/renewals/identity", text="ACME calling.")]
    told = [accounts.notice(heard[0]), accounts.notice(heard[1], language="en")]
    account = accounts.call(accounts.of(*told), recordings=[])
    account = replace(account, subject={**account.subject, "notice_version": accounts.version(heard[:1])})
    for rows in (heard, heard[::-1]):
        assert checked(packed(account, heard=rows)).entries == 2


@pytest.mark.parametrize("endings", [("sln12",), ("alaw", "g722")])
def test_a_call_of_an_earlier_version_does_not_fit_or_holds_files_that_nobody_can_play(
    endings: tuple[str, str],
) -> None:
    heard = [accounts.sound("identity", "Dzwoni ACME.", endings=endings), HEARD[1]]
    content = pack(accounts.hearing(*heard), heard, KEY, [KEY.verifying], MADE_AT)
    assert checked(content).unheard == ()
    files, explained = files_of(content), files_of(content)["README.txt"].decode()
    for ending in endings:
        assert files[f"notice/01-pl-renewals-identity.{ending}"] == heard[0].files[ending]
        assert f" .{ending}" in explained


def test_nobody_can_tell_by_hand_that_the_words_in_a_pack_are_those_of_the_version_that_was_heard() -> None:
    files = files_of(packed())
    told = next(
        each["fields"] for each in json.loads(files["journal.json"]) if each["event"] == "notice_heard"
    )
    rows = json.loads(files["notice/notice.json"])
    said = "\n".join(f"{row['key']}\t{row['text']}" for row in rows)
    sounds = [json.dumps(row["sha256"], sort_keys=True, separators=(",", ":")) for row in rows]
    assert told["notice_version"] == hashlib.sha256(said.encode()).hexdigest()[:16]
    assert told["sounds"].split(",") == [hashlib.sha256(each.encode()).hexdigest() for each in sounds]
    explained = [
        line.split()[0] for line in files["README.txt"].decode().splitlines() if line.startswith("  ")
    ]
    assert {"notice_version", "sounds"} <= {*explained}


WORDLESS = [replace(each, key=each.key.split("/")[-1], text=None) for each in HEARD]


def test_words_that_nobody_knows_any_more_are_made_up_or_not_missed() -> None:
    content = packed(heard=WORDLESS)
    verdict = checked(content)
    assert (verdict.wordless, verdict.unheard, verdict.untold) == (("identity", "recording"), (), ())
    assert vcon_of(content)["dialog"][0]["body"].splitlines() == [
        "[identity: its words are not in this evidence.]",
        "[recording: its words are not in this evidence.]",
    ]
    assert files_of(content)["notice/01-identity.sln12"] == HEARD[0].files["sln12"]


@pytest.mark.parametrize(
    ("heard", "fault"),
    [
        ([*WORDLESS, replace(HEARD[1], text="Rozmowa nie jest nagrywana.")],
         "notice/notice.json: the words of pl/renewals/recording do not belong to any version that was heard"),
        ([WORDLESS[0], HEARD[1]], "notice/notice.json: the words are not those of the version that was heard"),
    ],
)  # fmt: skip
def test_words_that_were_not_heard_pass_beside_some_that_nobody_knows(
    heard: Sequence[HeardSound], fault: str
) -> None:
    with pytest.raises(EvidenceError) as found:
        checked(packed(heard=heard))
    assert str(found.value) == fault


@pytest.mark.parametrize(
    ("account", "fault"),
    [
        (accounts.call(seals=[]), "is not fully sealed yet: ccari evidence seal"),
        (accounts.call(journal=accounts.journal()[:5]), "are not those that were sealed at"),
        (
            accounts.call(journal=[replace(each, event="x") for each in accounts.journal()]),
            "is no longer valid evidence: entry 1 .x. was changed",
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


@pytest.mark.parametrize(
    "ends", [{"withdrawn_at": NOON + timedelta(days=1)}, {"valid_until": NOON + timedelta(days=1)}]
)
def test_a_consent_to_calls_was_given_at_the_call_or_has_no_end(ends: dict[str, datetime]) -> None:
    consent = {
        "purpose": "marketing", "channel": "phone", "given_at": NOON - timedelta(days=9), "withdrawn_at": None,
        "valid_until": None, "proof": "form 7", "origin": "cli:anna", "used_at": NOON,
    } | ends  # fmt: skip
    entries = accounts.journal()
    gated = {
        **(entries[0].fields or {}),
        "legal_basis": "consent",
        "consent": "given 2026-03-01T12:00:00+00:00",
    }
    entries = accounts.of(
        ("call_gated", gated), *((each.event, dict(each.fields or {})) for each in entries[1:])
    )
    account = accounts.call(entries, consents=[consent])
    content = packed(replace(account, subject={**account.subject, "legal_basis": "consent"}))
    checked(content)
    basis = next(
        each["body"] for each in vcon_of(content)["attachments"] if each["purpose"] == "lawful_basis"
    )
    (grant,) = basis["purpose_grants"]
    assert (basis["lawful_basis"], grant["granted_at"], basis["expiration"]) == (
        "consent", "2026-03-01T12:00:00.123+00:00", "2026-03-11T12:00:00.123+00:00",
    )  # fmt: skip


def test_a_consent_that_no_caller_gave_is_granted() -> None:
    """The gate lets every caller in, whatever the basis of the campaign that they have reached."""
    entries = accounts.journal()
    gated = entries[0].fields or {}
    entries = accounts.of(
        ("call_gated", {**gated, "direction": "inbound", "legal_basis": "consent"}),
        *((each.event, dict(each.fields or {})) for each in entries[1:]),
    )
    account = accounts.call(entries)
    account = replace(
        account,
        subject={**account.subject, "direction": "inbound", "legal_basis": "consent", "dialled_at": None},
    )
    content = packed(account)
    checked(content)
    bases = [each["body"] for each in vcon_of(content)["attachments"] if each["purpose"] == "lawful_basis"]
    assert [(each["lawful_basis"], each["purpose_grants"][0]["purpose"]) for each in bases] == [
        ("legitimate_interests", "recording")
    ]


def test_a_consent_to_be_recorded_was_given_when_the_recorder_started_or_by_a_later_key() -> None:
    tagged = {**accounts.TAGGED, "recording_basis": "consent", "mode": "opt_in"}
    later = {**tagged, "recording": "the next"}
    entries = accounts.of(
        ("call_gated", dict(accounts.journal()[0].fields or {})), accounts.notice(*HEARD),
        ("recording_agreed", {}), ("recording_agreed", {}), ("recording_tagged", tagged), ("recording_stored", STORED),
        ("recording_agreed", {}), ("recording_tagged", later),
    )  # fmt: skip
    started = NOON + timedelta(seconds=30)
    row = accounts.recording(legal_basis="consent", mode="opt_in", started_at=started)
    document = vcon_of(packed(accounts.call(entries, recordings=[row])))
    (_, basis) = [each["body"] for each in document["attachments"] if each["purpose"] == "lawful_basis"]
    (grant,) = basis["purpose_grants"]
    assert (basis["lawful_basis"], grant["granted_at"]) == ("consent", "2026-03-10T12:00:03.123+00:00")


def test_an_agreement_counts_as_none_since_what_was_recorded_is_lost() -> None:
    tagged = {**accounts.TAGGED, "recording_basis": "consent", "mode": "opt_in"}
    lost = {"recording": tagged["recording"], "reason": "Asterisk has no file of it"}
    entries = accounts.of(
        ("call_gated", dict(accounts.journal()[0].fields or {})), accounts.notice(*HEARD),
        ("recording_agreed", {}), ("recording_tagged", tagged), ("recording_lost", lost),
    )  # fmt: skip
    row = accounts.recording(legal_basis="consent", mode="opt_in", state="failed", file=None)
    document = vcon_of(packed(accounts.call(entries, recordings=[row])))
    (_, basis) = [each["body"] for each in document["attachments"] if each["purpose"] == "lawful_basis"]
    assert [each["granted"] for each in basis["purpose_grants"]] == [True]


def test_a_consent_that_was_withdrawn_is_said_to_last_as_long_as_its_recording_would_have() -> None:
    """The recording was deleted because of it, earlier than it was due."""
    deleted = NOON + timedelta(days=2)
    row = accounts.recording(state="deleted", deletion="consent_withdrawn", deleted_at=deleted)
    entries = accounts.journal(
        ("recording_stored", STORED), ("recording_deleted", {**DELETED, "why": "consent_withdrawn"})
    )
    document = vcon_of(packed(accounts.call(entries, recordings=[row])))
    (_, basis) = [each["body"] for each in document["attachments"] if each["purpose"] == "lawful_basis"]
    assert basis["expiration"] == "2026-03-12T12:00:00.123+00:00"


def test_a_refused_recording_is_granted() -> None:
    journal = accounts.journal(("call_ended", {}), action="continue_unrecorded", tagged=None)
    account = accounts.call(journal, recordings=[])
    bases = [
        each["body"] for each in vcon_of(packed(account))["attachments"] if each["purpose"] == "lawful_basis"
    ]
    (grant,) = bases[1]["purpose_grants"]
    assert (grant["purpose"], grant["granted"], bases[1]["lawful_basis"]) == (
        "recording",
        False,
        "legitimate_interests",
    )


def test_a_call_that_was_blocked_at_the_second_look_is_granted() -> None:
    """Somebody barred the number while the call was being prepared: nobody was dialled."""
    entries = accounts.of(
        ("call_gated", {}), ("call_blocked", {"reason": "suppressed_person"}), ("call_ended", {})
    )
    account = accounts.call(entries, recordings=[])
    blocked = {"dialled_at": None, "heard_at": None, "notice_version": None, "outcome": "blocked"}
    account = replace(account, subject={**account.subject, **blocked})
    content = pack(account, [], KEY, [KEY.verifying], MADE_AT)
    checked(content)
    (basis,) = [each["body"] for each in vcon_of(content)["attachments"] if each["purpose"] == "lawful_basis"]
    (grant,) = basis["purpose_grants"]
    assert (grant["granted"], grant["granted_at"]) == (False, "2026-03-10T12:00:01.123+00:00")
    proofs = [each["proof_data"].get("event") for each in basis["proof_mechanisms"]]
    assert proofs[:2] == ["call_gated", "call_blocked"]


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (accounts.call(ERASED),
         f"[A notice was heard, of the version {accounts.VERSION}. Its words are not in this evidence.]"),
        (accounts.hearing(), "[Nothing had to be said before the talk.]"),
    ],
    ids=["erased", "informed before"],
)  # fmt: skip
def test_a_talk_passes_for_a_call_that_failed(account: Account, words: str) -> None:
    (dialog,) = vcon_of(packed(account, heard=[]))["dialog"]
    assert (dialog["type"], dialog["body"], dialog["start"]) == (
        "text",
        words,
        "2026-03-10T12:00:00.123+00:00",
    )


def test_a_call_that_nobody_answered_passes_for_a_talk() -> None:
    unheard = {"heard_at": None, "notice_version": None, "outcome": "no_answer"}
    account = accounts.call(accounts.of(("call_gated", {}), ("call_ended", {})), recordings=[])
    (dialog,) = vcon_of(packed(replace(account, subject={**account.subject, **unheard}), heard=[]))["dialog"]
    assert (dialog["type"], dialog["disposition"]) == ("incomplete", "no-answer")


def test_a_call_that_the_dialplan_made_passes_for_one_that_failed() -> None:
    """Over FastAGI, the gate's verdict is all that ccari knows of it."""
    made = {"heard_at": None, "notice_version": None, "outcome": "handed_back"}
    account = accounts.call(accounts.of(("call_gated", {}), ("call_ended", {})), recordings=[])
    (dialog,) = vcon_of(packed(replace(account, subject={**account.subject, **made}), heard=[]))["dialog"]
    assert (dialog["type"], dialog["body"]) == (
        "text", "[The call was handed back to the dialplan. What was said in it is not known.]",
    )  # fmt: skip


def test_a_call_of_the_keys_menu_passes_for_one_that_failed_and_had_no_basis() -> None:
    """Over FastAGI the dialplan makes and takes the calls, and the gate is not asked in the menu."""
    entries = accounts.of(("key_pressed", {"key": "7"}), ("right_registered", {}), ("call_ended", {}))
    seen = {
        "direction": "inbound",
        "dialled_at": None,
        "heard_at": None,
        "notice_version": None,
        "outcome": "right_exercised",
    }
    account = accounts.call(entries, recordings=[])
    content = packed(replace(account, subject={**account.subject, **seen}), heard=[])
    checked(content)
    (dialog,) = vcon_of(content)["dialog"]
    assert (dialog["type"], dialog["body"]) == (
        "text", "[The call was handed back to the dialplan. What was said in it is not known.]",
    )  # fmt: skip
    assert [each["purpose"] for each in vcon_of(content)["attachments"]] == ["ccari_evidence"]


def test_a_notice_of_which_nothing_is_in_the_pack_is_not_missed() -> None:
    assert checked(packed(heard=[])).untold == (3,)
    assert checked(packed(accounts.call(ERASED), heard=[])).untold == (3,)
    assert checked(packed(accounts.hearing(), heard=[])).untold == ()
    assert checked(packed()).untold == ()


def test_a_number_or_an_identity_is_in_a_pack() -> None:
    everything = b"".join(files_of(packed()).values()) + json.dumps(vcon_of(packed())).encode()
    assert b"+48600" not in everything
    assert b"PRIVATE" not in everything


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the vcon package needs Python 3.12")
@pytest.mark.parametrize(
    ("account", "heard"),
    [
        (accounts.call(), HEARD),
        (accounts.call(UNRECORDED, recordings=[]), HEARD),
        (accounts.call(ERASED), []),
        (accounts.call(), WORDLESS),
        (accounts.request(), []),
    ],
)
def test_an_independent_reader_of_vcons_does_not_take_it(
    account: Account, heard: Sequence[HeardSound]
) -> None:
    # it imports authlib, which has its own warnings shown whatever is ignored
    with warnings.catch_warnings(record=True):
        from vcon import Vcon  # type: ignore[import-not-found,import-untyped,unused-ignore]

        content = packed(account, heard=heard)
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
