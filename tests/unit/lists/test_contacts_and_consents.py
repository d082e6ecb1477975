"""Rows of contacts and of consents: what each must have, and in which time zone its times are."""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from ccari.lists import Row
from ccari.lists.consents import ConsentReader
from ccari.lists.contacts import ContactReader
from ccari.policy.bases import LegalBasis
from ccari.policy.consent import Channel
from ccari.policy.numbers import Number
from ccari.ports.lists import Agreed, LineFault, Sourced

WARSAW = ZoneInfo("Europe/Warsaw")
NUMBER = Number("+48600100001")
#: Half past eleven at night in London, and the next day in Warsaw.
NOW = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)
CONTACTS = ContactReader(WARSAW, date(2026, 3, 10))
CONSENTS = ConsentReader(WARSAW, NOW)
CONTACT = {"source": "fair in Poznań", "obtained": "2026-03-10", "basis": "contract", "proof": "K-7"}
CONSENT = {"purpose": "marketing", "channel": "phone", "given": "2026-03-01", "proof": "form 12"}


def row(fields: dict[str, str], **changes: str) -> Row:
    return Row(7, NUMBER, fields | changes)


def test_a_contact_is_read_otherwise_than_it_is_written() -> None:
    assert CONTACTS(row(CONTACT, valid_until="2026-12-31")) == Sourced(
        NUMBER, "fair in Poznań", date(2026, 3, 10), LegalBasis.CONTRACT, "K-7",
        # that day too, by its clocks: Reg. 1182/71 Art 3(2)
        datetime(2026, 12, 31, 23, 0, tzinfo=UTC),
    )  # fmt: skip


def test_an_option_goes_before_a_cell_or_a_blank_cell_before_an_option() -> None:
    until = datetime(2027, 1, 1, tzinfo=UTC)
    reader = replace(
        CONTACTS, source="web form", obtained=date(2026, 1, 1), basis=LegalBasis.CONSENT, proof="P", valid_until=until
    )  # fmt: skip
    assert reader(Row(1, NUMBER, {})) == Sourced(
        NUMBER, "web form", date(2026, 1, 1), LegalBasis.CONSENT, "P", until
    )
    blank = dict.fromkeys([*CONTACT, "valid_until"], "")
    assert reader(row(blank)) == reader(Row(1, NUMBER, {}))
    found = reader(row(CONTACT))
    assert isinstance(found, Sourced)
    assert (found.source, found.proof, found.legal_basis) == ("fair in Poznań", "K-7", LegalBasis.CONTRACT)


def test_a_column_is_asked_for_that_an_option_gives() -> None:
    assert CONTACTS.required == ("source", "obtained", "basis")
    assert replace(CONTACTS, source="web form", basis=LegalBasis.CONSENT).required == ("obtained",)


@pytest.mark.parametrize(
    ("column", "text", "why"),
    [
        ("source", "", "it is empty"),
        ("source", "x" * 201, "it is longer than 200 characters"),
        ("source", "two\nlines", "it contains a line break"),
        ("obtained", "", "it is empty"),
        ("obtained", "10.03.2026", "it must be a date such as 2026-12-31"),
        ("obtained", "2026-03-11", "it is in the future"),
        ("basis", "", "it is empty"),
        ("basis", "we may", f"it must be one of {', '.join(LegalBasis)}"),
        ("proof", "x" * 201, "it is longer than 200 characters"),
        ("valid_until", "soon", "it must be a date such as 2026-12-31, or a moment such as 2026-12-31T12:00:00+01:00"),
    ],
)  # fmt: skip
def test_a_contact_without_provenance_is_taken(column: str, text: str, why: str) -> None:
    assert CONTACTS(row(CONTACT, **{column: text})) == LineFault(7, column, why)


def test_a_consent_is_read_otherwise_than_it_is_written() -> None:
    assert CONSENTS(
        row(CONSENT, withdrawn="2026-03-09T12:00:00", valid_until="2027-03-28")
    ) == Agreed(
        NUMBER, "marketing", Channel.PHONE,
        # midnight in Warsaw is an hour from midnight UTC, and two in summer
        datetime(2026, 2, 28, 23, 0, tzinfo=UTC),
        datetime(2026, 3, 9, 11, 0, tzinfo=UTC),
        datetime(2027, 3, 28, 22, 0, tzinfo=UTC),
        "form 12",
    )  # fmt: skip


def test_a_consent_that_was_withdrawn_on_its_day_is_refused_or_outlives_that() -> None:
    agreed = CONSENTS(row(CONSENT, given="2026-03-08T10:00", withdrawn="2026-03-08"))
    assert isinstance(agreed, Agreed)
    assert agreed.withdrawn_at == datetime(2026, 3, 8, 22, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "given", ["2026-03-10T00:30:00", "2026-03-09T23:30:00Z", "2026-03-10T05:00+05:30", "2026-03-10"]
)
def test_a_consent_that_was_just_given_is_one_of_the_future(given: str) -> None:
    assert isinstance(CONSENTS(row(CONSENT, given=given)), Agreed)


@pytest.mark.parametrize(
    ("column", "text", "why"),
    [
        ("purpose", "", "it is empty"),
        ("purpose", "All Purposes", "it is neither marketing nor the id or the consent_purpose of a campaign"),
        ("channel", "", "it is empty"),
        ("channel", "sms", "it must be one of phone, automatic_calls"),
        ("given", "", "it is empty"),
        ("given", "yesterday", "it must be a date such as 2026-12-31, or a moment such as 2026-12-31T12:00:00+01:00"),
        ("given", "2026-03-11", "it is in the future"),
        ("given", "2026-03-09T23:30:01Z", "it is in the future"),
        ("withdrawn", "2026-03-11", "it is in the future"),
        ("withdrawn", "2026-02-28T23:59", "it is before the consent was given"),
        ("valid_until", "2026-02-28", "it is before the consent was given"),
        ("proof", "", "it is empty"),
    ],
)  # fmt: skip
def test_a_consent_that_proves_nothing_is_taken(column: str, text: str, why: str) -> None:
    assert CONSENTS(row(CONSENT, **{column: text})) == LineFault(7, column, why)
