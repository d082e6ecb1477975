"""A journal that somebody has changed names the place; what was erased from it is not missed."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy import chain
from ccari.policy.chain import (
    Entry,
    Linked,
    commitment,
    fault,
    fault_of_call,
    follow,
    request_event,
    start,
    start_of_request,
)

CALL = UUID(int=7)
NOON = datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC)
EVENTS = ["call_gated", "callee_dialled", "callee_answered", "notice_heard", "call_ended"]


def entry(seq: int, event: str = "e") -> Entry:
    return Entry(NOON + timedelta(seconds=seq), event, {"stage": "s", "n": str(seq)}, bytes([seq]) * 16)


def journal(begins: bytes = start(CALL), size: int = 5) -> list[Linked]:
    return follow(begins, 0, [entry(seq, event) for seq, event in enumerate(EVENTS[:size], start=1)])


def found(entries: list[Linked], like: list[Linked] | None = None) -> str | None:
    """The fault, if the call's own row has the number of entries that there once were."""
    whole = like or journal()
    return fault(start(CALL), entries, count=len(whole), last=whole[-1].link)


def test_an_untouched_journal_has_a_fault() -> None:
    assert found(journal()) is None


def test_a_call_without_entries_has_a_fault() -> None:
    assert fault(start(CALL), [], count=0, last=start(CALL)) is None


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "edit",
    [
        {"event": "call_blocked"},
        {"at": NOON - timedelta(microseconds=1)},
        {"link": bytes(32)},
        {"commitment": bytes(32)},
    ],
    ids=["event", "time", "link", "commitment"],
)
def test_an_edited_entry_goes_unnoticed(place: int, edit: dict[str, object]) -> None:
    entries = journal()
    entries[place] = replace(entries[place], **edit)  # type: ignore[arg-type]
    assert found(entries) == f"entry {place + 1} ({entries[place].event}) was changed"


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "edit",
    [
        {"fields": {"stage": "s"}},
        {"fields": {"stage": "t", "n": "1"}},
        {"fields": {"stage": 10**400}},
        {"fields": {"stage": "\ud800"}},
        {"salt": bytes(16)},
        {"salt": None},
    ],
    ids=["field dropped", "field changed", "number too great", "half a character", "salt", "no salt"],
)
def test_fields_that_do_not_fit_their_commitment_go_unnoticed(place: int, edit: dict[str, object]) -> None:
    entries = journal()
    entries[place] = replace(entries[place], **edit)  # type: ignore[arg-type]
    assert found(entries) == f"the fields of entry {place + 1} ({entries[place].event}) were changed"


def test_fields_and_their_commitment_are_changed_together_unnoticed() -> None:
    entries, told = journal(), {"stage": "other"}
    entries[2] = replace(entries[2], fields=told, commitment=commitment(bytes([3]) * 16, told))
    assert found(entries) == "entry 3 (callee_answered) was changed"


@given(st.sets(st.integers(0, 4)))
def test_what_was_erased_breaks_the_proof(places: set[int]) -> None:
    entries = journal()
    for place in places:
        entries[place] = replace(entries[place], fields=None, salt=None)
    assert found(entries) is None


def test_an_entry_is_changed_unnoticed_because_its_fields_were_erased() -> None:
    entries = journal()
    entries[1] = replace(entries[1], fields=None, salt=None, event="call_blocked")
    assert found(entries) == "entry 2 (call_blocked) was changed"


@pytest.mark.parametrize("place", range(4))
def test_a_dropped_entry_goes_unnoticed(place: int) -> None:
    entries = journal()
    del entries[place]
    assert found(entries) == f"entry {place + 1} is missing"


@pytest.mark.parametrize("place", range(4))
def test_two_that_changed_places_go_unnoticed(place: int) -> None:
    entries = journal()
    entries[place : place + 2] = reversed(entries[place : place + 2])
    assert found(entries) == f"entry {place + 2} ({EVENTS[place + 1]}) is in place {place + 1}"


def test_who_makes_a_journal_long_has_whoever_checks_it_search_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = follow(start(CALL), 0, [Entry(NOON, "key_pressed", {}, bytes(16))] * 1000)
    entries[0] = replace(entries[0], event="key_pressee")
    hashed, next_link = 0, chain.next_link

    def counted(before: bytes, seq: int, at: datetime, event: str, committed: bytes) -> bytes:
        nonlocal hashed
        hashed += 1
        assert hashed <= len(entries)
        return next_link(before, seq, at, event, committed)

    monkeypatch.setattr(chain, "next_link", counted)
    assert found(entries) == "entry 1 (key_pressee) was changed"


@pytest.mark.parametrize("place", range(4))
def test_two_that_changed_places_and_numbers_go_unnoticed(place: int) -> None:
    entries = journal()
    one, other = entries[place], entries[place + 1]
    entries[place : place + 2] = [replace(other, seq=one.seq), replace(one, seq=other.seq)]
    assert found(entries) == f"entry {place + 2} ({EVENTS[place + 1]}) is in place {place + 1}"


@pytest.mark.parametrize("left", range(5))
def test_a_tail_that_was_cut_off_is_not_missed(left: int) -> None:
    assert found(journal()[:left]) == f"the journal ends at entry {left}, but there were 5"


def test_entries_that_were_added_go_unnoticed() -> None:
    assert found(journal(), like=journal(size=4)) == "the journal ends at entry 5, but there were 4"


def test_a_last_entry_that_was_written_anew_goes_unnoticed() -> None:
    """Somebody who can write a fitting chain still lacks the call's own last link."""
    entries = journal()
    entries[-1:] = follow(entries[-2].link, 4, [entry(9, "call_ended")])
    assert found(entries) == "the journal was rewritten: its last link is not the one that was kept"


@pytest.mark.parametrize("begins", [start(UUID(int=8)), start_of_request(str(CALL))])
def test_the_journal_of_another_fits(begins: bytes) -> None:
    assert found(journal(begins)) == "entry 1 (call_gated) was changed"


def test_the_same_moment_in_another_zone_is_another_entry() -> None:
    """PostgreSQL returns a time in the zone of its session."""
    elsewhere = [replace(each, at=each.at.astimezone(timezone(timedelta(hours=2)))) for each in journal()]
    assert found(elsewhere) is None


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), min_size=2, max_size=4))
def test_the_order_of_fields_matters(fields: dict[str, str]) -> None:
    """PostgreSQL keeps no order in jsonb."""
    assert commitment(bytes(16), fields) == commitment(bytes(16), dict(reversed(fields.items())))


def test_two_that_tell_the_same_can_be_seen_to() -> None:
    """Without its salt, erased content could be found again by trying."""
    assert commitment(bytes(16), {"a": "b"}) != commitment(bytes(15) + b"1", {"a": "b"})


def test_a_chain_that_goes_on_later_is_another_than_one_written_at_once() -> None:
    whole = journal()
    first = journal(size=2)
    later = [Entry(each.at, each.event, each.fields or {}, each.salt or b"") for each in whole[2:]]
    assert [*first, *follow(first[-1].link, 2, later)] == whole


def test_a_link_is_made_otherwise_than_is_written_in_the_pack() -> None:
    """As docs/evidence.md and the pack's README say, with only a standard library."""
    (told,) = follow(start(CALL), 0, [Entry(NOON, "key_pressed", {"key": "7", "from": "callee"}, b"s" * 16)])
    committed = hashlib.sha256(b"s" * 16 + b'{"from":"callee","key":"7"}').digest()
    before = hashlib.sha256(b"call:00000000-0000-0000-0000-000000000007").digest()
    text = json.dumps(
        [1, "2026-03-10T12:00:00.123456+00:00", "key_pressed", committed.hex()], separators=(",", ":")
    )
    assert (told.commitment, told.link) == (committed, hashlib.sha256(before + text.encode()).digest())


def test_the_lasting_part_of_a_requests_entry_leaves_something_out() -> None:
    assert request_event("refused", 2, date(2026, 12, 25)) == "refused L2 2026-12-25"


@pytest.mark.parametrize(
    ("controller", "minutes", "differs"), [("acme", 6, True), (None, 59, False), (None, 61, True)]
)
def test_a_call_that_was_blocked_is_moved_or_one_whose_gate_had_no_answer_passes_for_forged(
    controller: str | None, minutes: int, *, differs: bool
) -> None:
    """Earlier versions wrote the row of the latter once the database was back."""
    told = follow(start(CALL), 0, [entry(1, "call_blocked"), entry(2, chain.ERASED)])
    told[0] = replace(told[0], fields=None, salt=None)
    row = {"controller": controller, "opened_at": told[0].at + timedelta(minutes=minutes)}
    assert (fault_of_call(told, row) is not None) == differs
