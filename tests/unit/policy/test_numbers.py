"""What is a number and what is not, and how little of one is ever shown."""

import logging
import re
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccari.policy.numbers import Number, NumberFault, mask, parse

COUNTRIES = ["PL", "DE", "GB", "FR", "US", "IT", "ZZ", ""]
DANGEROUS = "/@&;,|${}[]()<>\\\"'`*#!~=:\n\r\t\0\x1f\u2028٣３²\u200f"
#: In the form that a person writes, and in E.164.
WRITTEN = {
    "a Polish land line": ("22 123 45 67", "PL", "+48221234567"),
    "a Polish land line in brackets": ("(22) 123-45-67", "PL", "+48221234567"),
    "a Polish mobile": ("512 345 678", "PL", "+48512345678"),
    "a Polish number from abroad": ("+48 512 345 678", "DE", "+48512345678"),
    "a Polish number with double zero": ("0048 22 1234567", "PL", "+48221234567"),
    "a German land line": ("030 123456", "DE", "+4930123456"),
    "a German mobile": ("0151 23456789", "DE", "+4915123456789"),
    "a British land line": ("020 7946 0018", "GB", "+442079460018"),
    "a British mobile": ("07400 123456", "GB", "+447400123456"),
    "a French land line": ("01.42.68.53.00", "FR", "+33142685300"),
    "a French mobile": ("06 12 34 56 78", "FR", "+33612345678"),
    "an Italian land line, which keeps its zero": ("06 698 12345", "IT", "+3906698" + "12345"),
    "a number with no-break spaces": ("\u00a022\u00a0123\u00a045\u00a067 ", "PL", "+48221234567"),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_what_people_write_is_understood(case: str) -> None:
    text, country, e164 = WRITTEN[case]
    found = parse(text, country)
    assert isinstance(found, Number)
    assert found.e164 == e164


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", NumberFault.EMPTY),
        ("  ", NumberFault.EMPTY),
        ("+", NumberFault.INVALID),
        ("---", NumberFault.INVALID),
        ("112", NumberFault.INVALID),
        ("0" * 20, NumberFault.INVALID),
        ("1" * 21, NumberFault.INVALID),
        ("1" * 41, NumberFault.CHARACTERS),
        ("22 123 45 6x", NumberFault.CHARACTERS),
        ("22+1234567", NumberFault.CHARACTERS),
        ("++48221234567", NumberFault.CHARACTERS),
        ("700 123 456", NumberFault.PREMIUM),
        ("801 123 456", NumberFault.PREMIUM),
    ],
    ids=lambda value: value.value if isinstance(value, NumberFault) else "text",
)
def test_what_is_no_number_says_why(text: str, fault: NumberFault) -> None:
    assert parse(text, "PL") is fault


@given(st.text(), st.sampled_from(COUNTRIES))
@example("+" * 39, "PL")
@example("\ud800", "PL")
def test_no_text_raises_and_what_is_accepted_is_digits(text: str, country: str) -> None:
    found = parse(text, country)
    if isinstance(found, Number):
        assert re.fullmatch(r"\+[0-9]{4,15}", found.e164)
        assert re.fullmatch(r"[0-9 .()\u00a0+-]*", text)


@given(st.text(st.sampled_from("0123456789+ -()."), max_size=24), st.sampled_from(COUNTRIES))
def test_no_arrangement_of_dialled_characters_raises(text: str, country: str) -> None:
    found = parse(text, country)
    assert isinstance(found, NumberFault) or re.fullmatch(r"\+[0-9]{4,15}", found.e164)


@pytest.mark.parametrize(
    "character", DANGEROUS.replace("(", "").replace(")", ""), ids=lambda c: f"U+{ord(c):04X}"
)
@pytest.mark.parametrize("place", ["before", "within", "after"])
def test_a_character_that_could_be_a_dial_string_or_a_log_line_is_refused(character: str, place: str) -> None:
    text = {
        "before": f"{character}221234567",
        "within": f"22123{character}4567",
        "after": f"221234567{character}",
    }
    assert parse(text[place], "PL") is NumberFault.CHARACTERS


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_a_mask_shows_no_more_than_four_digits_of_the_national_number(e164: str) -> None:
    masked = mask(e164)
    assert len(masked) == len(e164)
    shown = masked.rpartition("•")[2]
    assert e164.endswith(shown)
    assert len(shown) <= 4


@pytest.mark.parametrize(
    ("e164", "masked"),
    [
        ("+48221234567", "+48•••••4567"),
        ("+4930123456", "+49••••3456"),
        ("+442079460018", "+44••••••0018"),
        # Saint Helena has five digits, Tokelau four
        ("+29022158", "+290•••58"),
        ("+6903101", "+690••01"),
    ],
    ids=["PL", "DE", "GB", "SH", "TK"],
)
def test_a_short_number_shows_two_digits(e164: str, masked: str) -> None:
    assert mask(e164) == masked


def test_a_text_that_is_no_number_is_masked_as_well() -> None:
    assert mask("221234567") == "•••••••67"


def test_no_way_of_printing_a_number_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    number = Number("+48221234567")
    logging.getLogger("test").warning("calling %s %r", number, number)
    raised = "".join(traceback.format_exception(ValueError(number)))
    printed = [str(number), repr(number), f"{number}", f"{number!r}", f"{[number]}", f"{ {'n': number} }",
               "%s" % number, format(number), caplog.text, raised]  # fmt: skip  # noqa: UP031
    assert all("•••••4567" in each and "221234567" not in each for each in printed)


def test_the_digits_for_a_dial_string_have_no_plus() -> None:
    assert Number("+48221234567").digits == "48221234567"
