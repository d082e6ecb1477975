"""Spoken numbers: a callee who writes down what they hear has the reference and the day."""

from datetime import date

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


@given(CONTROLLERS, st.integers(2000, 2099), st.integers(1, 999_999), st.sampled_from(["", " ", "-"]))
def test_what_was_heard_or_read_leads_to_another_request_or_to_none(
    controller: str, year: int, serial: int, between: str
) -> None:
    whole = f"{controller}-{year}-{serial:06d}"
    for told in (whole, whole.lower(), f"{year}{between}{serial}", f"{year}{between}{serial:06d}"):
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
        "20261234567",
        "2026--1",
        "2026123\n",
    ],
)
def test_a_telephone_number_passes_for_a_reference_and_gets_into_a_url(told: str) -> None:
    with pytest.raises(ValueError, match="must be a reference"):
        speech.end_of_reference(told)


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


def test_a_year_without_a_prompt_is_refused_not_left_out() -> None:
    for year in (speech.YEARS[0] - 1, speech.YEARS[-1] + 1):
        with pytest.raises(ValueError, match=f"the year {year} cannot be spoken: 2025 to 2040"):
            speech.date(date(year, 5, 5))
