"""A journal that somebody touched names the place."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy.chain import Entry, append, fault, start

CALL = UUID(int=7)
NOON = datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC)
EVENTS = ["call_gated", "callee_dialled", "callee_answered", "notice_heard", "call_ended"]


def journal(call: UUID = CALL, size: int = 5) -> list[Entry]:
    entries: list[Entry] = []
    link = start(call)
    for seq, event in enumerate(EVENTS[:size], start=1):
        entries.append(append(link, seq, NOON + timedelta(seconds=seq), event, {"stage": "s", "n": str(seq)}))
        link = entries[-1].link
    return entries


def found(entries: list[Entry], like: list[Entry] | None = None) -> str | None:
    """The fault, where the call's own row counts the entries that there once were."""
    whole = like or journal()
    return fault(CALL, entries, count=len(whole), last=whole[-1].link)


def test_an_untouched_journal_has_no_fault() -> None:
    assert found(journal()) is None


def test_a_call_without_entries_has_no_fault() -> None:
    assert fault(CALL, [], count=0, last=start(CALL)) is None


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "edit",
    [
        {"event": "call_blocked"},
        {"fields": {"stage": "s"}},
        {"fields": {"stage": "t", "n": "1"}},
        {"at": NOON - timedelta(microseconds=1)},
        {"link": bytes(32)},
    ],
    ids=["event", "field dropped", "field changed", "time", "link"],
)
def test_an_edited_entry_is_named(place: int, edit: dict[str, object]) -> None:
    entries = journal()
    entries[place] = replace(entries[place], **edit)  # type: ignore[arg-type]
    assert found(entries) == f"entry {place + 1} ({entries[place].event}) was changed"


@pytest.mark.parametrize("place", range(4))
def test_a_dropped_entry_is_named(place: int) -> None:
    entries = journal()
    del entries[place]
    assert found(entries) == f"entry {place + 1} is missing"


@pytest.mark.parametrize("place", range(4))
def test_two_that_changed_places_are_named(place: int) -> None:
    entries = journal()
    entries[place : place + 2] = reversed(entries[place : place + 2])
    assert found(entries) == f"entry {place + 1} is missing"


@pytest.mark.parametrize("place", range(4))
def test_two_that_changed_places_and_numbers_are_named(place: int) -> None:
    entries = journal()
    one, other = entries[place], entries[place + 1]
    entries[place : place + 2] = [replace(other, seq=one.seq), replace(one, seq=other.seq)]
    assert found(entries) == f"entry {place + 1} ({other.event}) was changed"


@pytest.mark.parametrize("left", range(5))
def test_a_tail_that_was_cut_off_is_missed(left: int) -> None:
    assert found(journal()[:left]) == f"the journal ends at entry {left}, but the call counts 5"


def test_entries_that_were_added_are_noticed() -> None:
    assert found(journal(), like=journal(size=4)) == "the journal ends at entry 5, but the call counts 4"


def test_a_last_entry_that_was_written_anew_is_noticed() -> None:
    """Whoever can write a fitting chain still does not have the call's own last link."""
    entries = journal()
    entries[-1] = append(entries[-2].link, 5, NOON, "call_ended", {"outcome": "bridged"})
    assert found(entries) is not None


def test_the_journal_of_another_call_does_not_fit() -> None:
    assert found(journal(UUID(int=8))) == "entry 1 (call_gated) was changed"


def test_the_same_moment_in_another_zone_is_the_same_entry() -> None:
    """PostgreSQL gives a time back in the zone of its session."""
    elsewhere = [replace(each, at=each.at.astimezone(timezone(timedelta(hours=2)))) for each in journal()]
    assert found(elsewhere) is None


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), min_size=2, max_size=4))
def test_the_order_of_fields_does_not_matter(fields: dict[str, str]) -> None:
    """PostgreSQL keeps no order in jsonb."""
    link, other = start(uuid4()), dict(reversed(fields.items()))
    assert append(link, 1, NOON, "e", fields) == replace(append(link, 1, NOON, "e", other), fields=fields)
