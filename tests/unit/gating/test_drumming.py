"""What a call has to record while the database is away, and how much of it there may be."""

from uuid import uuid4

from ccari.gating.journal import LEFT_OUT, MOST_ALIKE, Journal
from ccari.ports.pressed import Pressed
from ccari.store.local_journal import MOST_RIGHT_BYTES
from ccari.store.pressed import seal
from tests.unit.store import made

KEYS = "0123456789*#"


def press(journal: Journal, key: str, times: int = 1) -> None:
    for _ in range(times):
        journal.note("key_pressed", {"key": key, "action": "none", "stage": "talk"})


def test_somebody_who_drums_on_the_keys_loses_the_right_that_they_press_then() -> None:
    """Each right is kept with what its call has to record, and may take only so much room."""
    journal = Journal(uuid4(), "anna")
    for key in KEYS:
        press(journal, key, 1000)
    journal.note("key_pressed", {"key": "7", "action": "erasure", "stage": "talk"})
    told = journal.pending()
    assert len(told) == len(KEYS) * MOST_ALIKE + 2
    assert told[-2].fields["action"] == "erasure"
    assert (told[-1].event, told[-1].fields) == (LEFT_OUT, {"so_far": str(len(KEYS) * (1000 - MOST_ALIKE))})
    content = seal(Pressed(made.call(), made.exercise(), tuple(told)), bytes(32))
    assert len(content) < MOST_RIGHT_BYTES / 4


def test_what_was_left_out_is_told_twice_or_not_at_all() -> None:
    journal = Journal(uuid4(), "anna")
    press(journal, "3", MOST_ALIKE + 1)
    kept_here = journal.pending()
    assert journal.pending() == kept_here
    press(journal, "3", 4)
    left = [each for each in journal.pending() if each.event == LEFT_OUT]
    assert [each.fields["so_far"] for each in left] == ["5"]
    # the database is back
    journal.written(journal.pending())
    assert journal.pending() == ()
    press(journal, "3")
    assert [each.event for each in journal.pending()] == ["key_pressed"]


def test_what_was_told_while_others_were_written_counts_as_written() -> None:
    journal = Journal(uuid4(), "anna")
    press(journal, "3")
    written = journal.pending()
    press(journal, "4")
    journal.written(written)
    assert [each.fields["key"] for each in journal.pending()] == ["4"]
