"""Spoken numbers: a callee who writes down what they hear has the reference and the day."""

import re
from datetime import date

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy import speech

CONTROLLERS = st.from_regex(r"[A-Z0-9][A-Z0-9_-]{0,39}", fullmatch=True)
DAYS = st.dates(date(speech.YEARS[0], 1, 1), date(speech.YEARS[-1], 12, 31))


@given(CONTROLLERS, st.integers(2000, 9999), st.integers(1, 10**9))
def test_who_writes_the_digits_down_can_be_found_by_them(controller: str, year: int, serial: int) -> None:
    heard = speech.reference(f"{controller}-{year}-{serial:06d}")
    assert set(heard) <= set(speech.PROMPTS)
    written = "".join(each.removeprefix("digit_") for each in heard)
    assert (written[:4], written[4:]) == (str(year), str(serial))


@given(CONTROLLERS, st.sampled_from(speech.YEARS), st.integers(1, 999_999), st.sampled_from([" ", "-"]))
def test_what_was_heard_or_read_leads_to_another_request_or_to_none(
    controller: str, year: int, serial: int, between: str
) -> None:
    whole = f"{controller}-{year}-{serial:06d}"
    heard = f"{year}{between if serial > 9999 else ''}{serial}"
    for told in (whole, whole.lower(), heard, f"{year}{between}{serial}", f"{year}{between}{serial:06d}"):
        assert whole.endswith(end := speech.end_of_reference(told)), told
        assert end.endswith(f"-{year}-{serial:06d}")


@pytest.mark.parametrize(
    "told",
    [
        "",
        "2026",
        "ACME",
        "ACME-2026",
        "123",
        "48600100100",
        "0048600100100",
        "600100100",
        "2026000123",
        "20261234567",
        "2024-000123",
        "2041123",
        "-ACME-2026-000123",
        "ACME-2026-0000123",
        "2026--1",
        "2026123\n",
    ],
)
def test_a_telephone_number_passes_for_a_reference_and_gets_into_a_url(told: str) -> None:
    with pytest.raises(ValueError, match="must be a reference"):
        speech.end_of_reference(told)


WAYS = [
    getattr(phonenumbers.PhoneNumberFormat, way) for way in ("E164", "INTERNATIONAL", "NATIONAL", "RFC3966")
]
#: Without the plus and the digits dialled before them, they begin as years do.
LIKE_YEARS = {
    "London": ("GB", "20 7946 0958"),
    "London, as a year that is to come": ("GB", "20 3012 3456"),
    "Washington": ("US", "202-555-0143"),
    "Amsterdam": ("NL", "20 261 2345"),
    "Amsterdam, of another year": ("NL", "20 555 1234"),
    "Alexandria, with the country's code": ("EG", "20 3 456 7890"),
}


@pytest.mark.parametrize("place", LIKE_YEARS)
def test_a_telephone_number_that_begins_as_a_year_does_gets_into_a_url(place: str) -> None:
    region, written = LIKE_YEARS[place]
    digits = re.sub(r"\D", "", written)
    assert phonenumbers.is_valid_number(phonenumbers.parse(digits, region))
    for told in (written, digits):
        assert re.fullmatch(speech.GIVEN, told) is None


def test_a_telephone_number_of_some_country_gets_into_a_url() -> None:
    """As it is written there, abroad, or by a machine."""
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in phonenumbers.PhoneNumberType.values():
            if (found := phonenumbers.example_number_for_type(region, kind)) is not None:
                national = phonenumbers.national_significant_number(found)
                for told in (
                    national, f"{found.country_code}{national}", f"{found.country_code} {national}",
                    *(phonenumbers.format_number(found, way) for way in WAYS),
                ):  # fmt: skip
                    assert re.fullmatch(speech.GIVEN, told) is None, region


@given(CONTROLLERS, CONTROLLERS, st.integers(2000, 9999), st.integers(0, 999999))
def test_no_digit_of_a_controllers_name_gets_among_those_of_the_reference(
    one: str, other: str, year: int, serial: int
) -> None:
    tail = f"-{year}-{serial:06d}"
    assert speech.reference(one + tail) == speech.reference(other + tail)


@pytest.mark.parametrize(
    "number",
    ["", "ACME", "ACME-2026", "2026-000123", "ACME-26-000123", "ACME-2026-", "ACME-2026-٣", "ACME-2026-1\n"],
)
def test_what_is_no_reference_is_not_spoken(number: str) -> None:
    with pytest.raises(ValueError, match="not the reference of a request"):
        speech.reference(number)


@given(DAYS)
def test_a_spoken_date_names_one_day_with_prompts_that_there_are(day: date) -> None:
    heard = speech.date(day)
    assert set(heard) <= set(speech.PROMPTS)
    named = dict(each.split("_") for each in heard)
    assert list(named) == ["day", "month", "year"]
    assert date(int(named["year"]), int(named["month"]), int(named["day"])) == day


def test_what_is_heard_of_a_year_that_can_be_spoken_is_refused() -> None:
    for year in range(2000, 2100):
        assert (re.fullmatch(speech.GIVEN, f"{year}1") is not None) is (year in speech.YEARS)


def test_a_year_without_a_prompt_is_refused_not_left_out() -> None:
    for year in (speech.YEARS[0] - 1, speech.YEARS[-1] + 1):
        with pytest.raises(ValueError, match=f"the year {year} cannot be spoken: 2025 to 2040"):
            speech.date(date(year, 5, 5))
