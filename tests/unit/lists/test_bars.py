"""The meaning of a list's cells: for bars, and for a copy of a register."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ccari.lists import Row
from ccari.lists.bars import BarReader
from ccari.lists.listings import ListingReader
from ccari.policy.numbers import Number
from ccari.policy.suppression import Reason
from ccari.ports.keying import Keyed
from ccari.ports.lists import Bar, LineFault, Listed

NUMBER = Number("+48600100001")
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
WARSAW = ZoneInfo("Europe/Warsaw")
READER = BarReader(
    controller="acme", campaigns=("renewals", "offers"), keys={1: "0a0b0c0d", 2: "01020304"}, zone=WARSAW, now=NOW,
    origin="import:anna", reason=Reason.OBJECTION, campaign="renewals", proof="letter 7",
    until=datetime(2027, 1, 1, tzinfo=UTC),
)  # fmt: skip
EXPORTED = {"digest": "ab" * 32, "key_version": "1", "key_check": "0a0b0c0d", "controller": "acme"}


def read(number: Number | None = NUMBER, **cells: str) -> Bar | LineFault:
    return READER(Row(7, number, cells))


def test_what_a_row_leaves_out_is_not_as_the_options_say() -> None:
    as_said = Bar(
        NUMBER, Reason.OBJECTION, "renewals", "letter 7", "import:anna", NOW, datetime(2027, 1, 1, tzinfo=UTC)
    )
    assert read() == as_said
    assert read(reason="", proof="", campaign="", until="", since="", origin="") == as_said


def test_what_a_row_says_yields_to_the_options() -> None:
    assert read(
        reason="erasure", proof="letter 8", campaign="offers", since="2026-01-01", until="2026-12-31", origin="x"
    ) == Bar(
        NUMBER, Reason.ERASURE, "offers", "letter 8", "x",
        datetime(2025, 12, 31, 23, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC),
    )  # fmt: skip


def test_a_campaign_none_is_offered_to_a_row_whose_controller_has_none() -> None:
    found = replace(READER, campaigns=(), campaign=None)(Row(7, NUMBER, {"campaign": "offers"}))
    assert isinstance(found, LineFault)
    assert found.why == "'acme' has no campaigns"


@pytest.mark.parametrize(
    ("cells", "column", "words"),
    [
        ({"reason": "spam"}, "reason", "it must be one of objection_marketing, objection"),
        ({"reason": "ERASURE"}, "reason", "it must be one of"),
        ({"campaign": "strict"}, "campaign", "'acme' has no such campaign, only renewals, offers"),
        ({"controller": "other"}, "controller", "it is not 'acme'"),
        ({"since": "1 May"}, "since", "it must be a date such as 2026-12-31"),
        ({"since": "2026-07-02"}, "since", "it is in the future"),
        ({"until": "2026-02-30"}, "until", "it must be a date"),
        ({"until": "9999-12-31"}, "until", "its year must be from 1900 to 2999"),
        ({"until": "9999-12-31T23:59:59-10:00"}, "until", "its year must be from 1900 to 2999"),
        ({"until": "0001-01-01"}, "until", "its year must be from 1900 to 2999"),
        ({"since": "0001-01-01"}, "since", "its year must be from 1900 to 2999"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since", "its year must be from 1900 to 2999"),
        ({"until": "1900-01-01"}, "until", "it is not after the start of the suppression"),
        (
            {"since": "2026-05-02", "until": "2026-05-01"},
            "until",
            "it is not after the start of the suppression",
        ),
    ],
)
def test_a_wrong_cell_is_taken_or_not_found(cells: Mapping[str, str], column: str, words: str) -> None:
    found = read(NUMBER, **cells)
    assert isinstance(found, LineFault)
    assert (found.line, found.column) == (7, column)
    assert found.why.startswith(words)
    assert not any(text in found.why for text in cells.values() if text not in {"ERASURE", "other", "strict"})


def test_a_bar_of_one_day_does_not_bar_on_that_day() -> None:
    found = read(since="2026-05-01", until="2026-05-01")
    assert isinstance(found, Bar)
    assert found.until is not None
    assert (found.since, found.until) == (
        datetime(2026, 4, 30, 22, tzinfo=UTC),
        datetime(2026, 5, 1, 22, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-05-01", datetime(2026, 5, 1, 23, 59, 59, tzinfo=WARSAW)),
        ("2026-07-01", NOW),
        ("2026-05-01T00:00", datetime(2026, 5, 1, tzinfo=WARSAW)),
    ],
)
def test_who_agreed_in_the_morning_and_withdrew_on_that_day_is_called(since: str, expected: datetime) -> None:
    found = read(reason="withdraw_consent", since=since)
    assert isinstance(found, Bar)
    assert found.since == expected


def test_an_exported_moment_is_taken_for_another() -> None:
    utc = "2026-06-01T12:00:00.123456+00:00"
    found = read(since=utc, until="2026-12-31T00:00:00+00:00")
    assert isinstance(found, Bar)
    assert (found.since.isoformat(), found.until) == (utc, datetime(2026, 12, 31, tzinfo=UTC))


def test_a_bar_on_a_campaign_that_is_no_more_cannot_be_restored() -> None:
    """The campaign may come back."""
    found = read(None, **EXPORTED, campaign="of_last_year")
    assert isinstance(found, Bar)
    assert found.campaign == "of_last_year"


@pytest.mark.parametrize("campaign", ['=HYPERLINK("//x"&A1)', "@x", "-1", "renewals\n=1+1", "R", "x" * 41])
def test_a_formula_is_taken_for_a_campaign_that_is_no_more_and_exported(campaign: str) -> None:
    found = read(None, **EXPORTED, campaign=campaign)
    assert isinstance(found, LineFault)
    assert (found.column, found.why) == ("campaign", "it is not the id of a campaign")


def test_an_exported_row_is_keyed_again() -> None:
    found = read(None, **EXPORTED)
    assert isinstance(found, Bar)
    assert found.key == Keyed(bytes.fromhex("ab" * 32), 1)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("controller", "it is not 'acme'"),
        ("key_check", "this version of the secret is different here"),
    ],
)
def test_a_digest_that_anybodys_could_be_is_entered(column: str, words: str) -> None:
    found = read(None, **{name: cell for name, cell in EXPORTED.items() if name != column})
    assert isinstance(found, LineFault)
    assert (found.column, found.why.startswith(words)) == (column, True)


@pytest.mark.parametrize(
    ("cells", "column", "words"),
    [
        ({"digest": "ab" * 31}, "digest", "it is not 32 bytes in hexadecimal"),
        ({"digest": "zz" * 32}, "digest", "it is not 32 bytes in hexadecimal"),
        ({"digest": ""}, "digest", "it is not 32 bytes in hexadecimal"),
        ({"key_version": "one"}, "key_version", "it is not a number"),
        (
            {"key_version": "3"},
            "key_version",
            "this version of the secret is missing here: restore the keys first",
        ),
        (
            {"key_check": "01020304"},
            "key_check",
            "this version of the secret is different here: restore the keys",
        ),
        ({"key_check": ""}, "key_check", "this version of the secret is different here"),
    ],
)
def test_a_digest_under_a_secret_that_is_not_here_is_entered_and_bars_nobody(
    cells: Mapping[str, str], column: str, words: str
) -> None:
    found = read(None, **{**EXPORTED, **cells})
    assert isinstance(found, LineFault)
    assert (found.line, found.column) == (7, column)
    assert found.why.startswith(words)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({}, Listed(NUMBER, None, None)),
        ({"since": "", "until": ""}, Listed(NUMBER, None, None)),
        (
            {"since": "2026-01-01", "until": "2026-12-31"},
            # a consent of that day is no newer than the listing
            Listed(
                NUMBER, datetime(2026, 1, 1, 23, 59, 59, tzinfo=WARSAW), datetime(2027, 1, 1, tzinfo=WARSAW)
            ),
        ),
        ({"since": "2026-07-02"}, LineFault(7, "since", "it is in the future")),
        (
            {"until": "x"},
            LineFault(
                7,
                "until",
                "it must be a date such as 2026-12-31, or a moment such as 2026-12-31T12:00:00+01:00",
            ),
        ),
    ],
)
def test_the_times_of_a_listing_are_misread(cells: dict[str, str], expected: Listed | LineFault) -> None:
    assert ListingReader(WARSAW, NOW)(Row(7, NUMBER, cells)) == expected
