"""What is a number and what is not, and how little of one is ever shown."""

import logging
import re
import traceback
from itertools import product
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from ccari.policy.calendars import TIME_ZONES
from ccari.policy.numbers import Number, NumberFault, mask, may_be_foreign, other_forms, parse
from ccari.policy.presets import PRESETS

COUNTRIES = ["PL", "DE", "GB", "FR", "US", "IT", "ZZ", ""]
DANGEROUS = "/@&;,|${}[]()<>\\\"'`*#!~=:\n\r\t\0\x1f\x7f\u2028٣３²\u200f\u202e\u2066\ufeff\u2011\u202f"
#: Digits of other scripts are digits to str.isdigit and to phonenumbers, and to nobody who reads a log.
OTHER_DIGITS = {
    "Arabic": "٠١٢٣٤٥٦٧٨٩",
    "Devanagari": "०१२३४५६७८९",
    "full-width": "０１２３４５６７８９",
    "mathematical": "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
    "superscript": "⁰¹²³⁴⁵⁶⁷⁸⁹",
}
WAYS = {
    "nationally": PhoneNumberFormat.NATIONAL,
    "internationally": PhoneNumberFormat.INTERNATIONAL,
    "in E.164": PhoneNumberFormat.E164,
}
PREMIUM = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.PAGER}
#: A number of every kind of every country, with the country.
EXAMPLES = [
    (found, region)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in PhoneNumberType.values()
    if (found := phonenumbers.example_number_for_type(region, kind)) is not None
]


def e164(found: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(found, PhoneNumberFormat.E164)


def _by_the_library(dialled: str) -> Number | NumberFault:
    try:
        found = phonenumbers.parse(dialled, None)
    except phonenumbers.NumberParseException:
        return NumberFault.INVALID
    kind = phonenumbers.number_type(found)
    if kind == PhoneNumberType.UNKNOWN or len(e164(found)) > 16:
        return NumberFault.INVALID
    return NumberFault.PREMIUM if kind in PREMIUM else Number(e164(found))


@given(
    st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)) | st.integers(1, 999),
    st.text("0123456789", max_size=13),
    st.sampled_from(EXAMPLES),
    st.sampled_from(["", "0", "1", "8", "06", "00"]),
)
@settings(max_examples=2000)
def test_a_number_with_its_country_is_another_than_the_library_says(
    code: int, national: str, example: tuple[phonenumbers.PhoneNumber, str], prefix: str
) -> None:
    """Also with what is dialled before it within its country, which people in some countries write after the plus."""
    found, _ = example
    for dialled in (
        f"+{code}{national}",
        f"+{found.country_code}{prefix}{phonenumbers.national_significant_number(found)}",
    ):
        if len(dialled) <= 21:
            assert parse(dialled, "PL") == _by_the_library(dialled)


def test_a_countrys_number_is_another_than_the_library_says() -> None:
    others = {
        e164(found)
        for found, region in EXAMPLES
        if parse(e164(found), region) != _by_the_library(e164(found))
    }
    assert others == set()


#: As a person writes it, and in E.164.
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
    "a French land line of round numbers": ("+33.1.42.68.00.00", "FR", "+33142680000"),
    "a Swiss land line with dots": ("044.668.18.00", "CH", "+41446681800"),
    "an Italian land line with a dot": ("06.6981000", "IT", "+39066981000"),
    "a German land line of a switchboard": ("+49.30.123456.0", "DE", "+49301234560"),
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


@pytest.mark.parametrize("way", WAYS)
def test_a_number_of_some_country_is_not_understood_as_it_is_written_there(way: str) -> None:
    assert len(EXAMPLES) > 1000
    for found, region in EXAMPLES:
        text = phonenumbers.format_number(found, WAYS[way])
        wanted = NumberFault.PREMIUM if phonenumbers.number_type(found) in PREMIUM else Number(e164(found))
        assert parse(text, region) == wanted, f"{region}: {mask(e164(found))}"


#: In E.164, and as diallers and spreadsheets leave it.
WITHOUT_ITS_PLUS = {
    "a German mobile": ("+4915112345678", "4915112345678"),
    "a German mobile, set apart": ("+4915112345678", "49 151 1234-5678"),
    "a German mobile with a trunk zero": ("+4915112345678", "49 (0)151 12345678"),
    "a German mobile of another network": ("+4917612345678", "4917612345678"),
}


@pytest.mark.parametrize("case", WITHOUT_ITS_PLUS)
def test_a_number_that_has_lost_its_plus_is_taken_for_one_of_an_area_with_the_countrys_digits(
    case: str,
) -> None:
    """A barred person would be called under the other number."""
    plus, bare = WITHOUT_ITS_PLUS[case]
    assert parse(bare, "DE") == parse(plus, "DE") == Number(plus)


#: As it is in the list of a controller in this country, and whether a spreadsheet may have turned it into somebody
#: else's.
DOUBTFUL = {
    "a Polish mobile without its plus": ("48600100011", "DE", True),
    "a German mobile without its zero, which Texas has, too": ("15123456789", "DE", True),
    "the same in groups": ("151 2345-6789", "DE", True),
    "a Polish mobile with its plus": ("+48600100011", "DE", False),
    "a German mobile with its zero": ("015123456789", "DE", False),
    "a German mobile without its plus": ("4915123456789", "DE", False),
    "a land line without its zero, which nobody else has": ("8912345678", "DE", False),
    "a Polish number where nobody writes a zero": ("298123456", "PL", False),
    "a controller of no known country": ("48600100011", "ZZ", False),
    "not a number": ("4", "DE", False),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_nobody_learns_that_a_spreadsheet_may_have_made_another_number_of_one(case: str) -> None:
    text, country, doubtful = DOUBTFUL[case]
    assert may_be_foreign(text, country) is doubtful


#: As they were saved, and their country; with the zeros, each is another person's number too.
DECIMALS = {
    "a German mobile": ("491713920012.0", "DE"),
    "a German mobile, as it is dialled": ("01713920012.0", "DE"),
    "a German mobile with its plus": ("+491713920012.0", "DE"),
    "a German mobile in groups": ("+49 171 3920012.0", "DE"),
    "a German mobile with a hyphen": ("0171-3920012.0", "DE"),
    "a German land line of three decimals": ("4930123456.000", "DE"),
    "a German land line of four": ("4930123456.0000", "DE"),
    "an Austrian land line": ("43123456.000", "AT"),
    "an Italian land line": ("390612345.000", "IT"),
    "a Finnish land line": ("3585012345.000", "FI"),
}


@pytest.mark.parametrize("case", DECIMALS)
def test_a_column_that_was_saved_with_decimals_is_read_as_other_peoples_numbers(case: str) -> None:
    """They are numbers, too, in a country whose numbers have several lengths: somebody else would be barred."""
    text, country = DECIMALS[case]
    assert isinstance(parse(text.replace(".", ""), country), Number)
    assert parse(text, country) is NumberFault.CHARACTERS


@pytest.mark.parametrize("region", sorted({*TIME_ZONES, *PRESETS}))
def test_a_number_of_a_country_that_we_know_is_another_in_another_form(region: str) -> None:
    for found in (found for found, its in EXAMPLES if its == region):
        written = e164(found)
        international_prefix = "011" if region == "US" else "00"
        forms = {
            **{way: phonenumbers.format_number(found, how) for way, how in WAYS.items()},
            "in E.164 without plus": written[1:],
            "as from abroad": international_prefix + written[1:],
        }
        read = {way: parse(text, region) for way, text in forms.items()}
        assert len(set(read.values())) == 1, f"{mask(written)}: {read}"


@given(st.sampled_from(sorted({*TIME_ZONES, *PRESETS})), st.from_regex(r"[1-9][0-9]{5,11}", fullmatch=True))
@example("DE", "15112345678")
def test_the_same_digits_are_another_number_without_their_plus(region: str, national: str) -> None:
    plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
    assert plan is not None
    bare = f"{plan.country_code}{national}"
    has_trunk_prefix = plan.national_prefix is not None and not bare.startswith(plan.national_prefix)
    read = parse(f"+{bare}", region)
    if has_trunk_prefix and read is not NumberFault.INVALID:
        assert parse(bare, region) == read


@pytest.mark.parametrize(
    ("country", "ways", "e164"),
    [
        ("IE", ["048 9012 3456", "+353 48 9012 3456", "0044 28 9012 3456"], "+442890123456"),
        ("IT", ["0549 886377", "+39 0549 886377", "0039 0549 886377", "+378 886377"], "+3780549886377"),
        ("FR", ["0596 50 12 34", "596501234", "+33 596 50 12 34", "00596 596 50 12 34"], "+596596501234"),
        ("FR", ["0269 61 12 34", "+33 269 61 12 34", "+262 0269 61 12 34"], "+262269611234"),
        ("FR", ["0263 01 12 34", "+33 263 01 12 34", "00262 263 01 12 34"], "+262263011234"),
        ("FR", ["0508 41 12 34", "+33 508 41 12 34", "00508 41 12 34"], "+508411234"),
        ("FR", ["0976 01 23 45", "+33 976 01 23 45", "00590 976 01 23 45"], "+590976012345"),
        ("FR", ["0598 81 23 45", "+33 598 81 23 45", "+594 0598 81 23 45"], "+594598812345"),
    ],
    ids=[
        "Northern Ireland from Ireland",
        "San Marino from Italy",
        "Martinique from France",
        "Mayotte from France",
        "Réunion from France",
        "Saint-Pierre-et-Miquelon from France",
        "a box in Guadeloupe from France",
        "French Guiana by its new area code from France",
    ],
)
def test_invariant_1_a_line_with_an_area_code_of_two_countries_is_barred_by_one_of_its_numbers_alone(
    country: str, ways: list[str], e164: str
) -> None:
    assert {parse(way, country) for way in ways} == {Number(e164)}
    assert parse(e164, country) == Number(e164)


def test_an_area_code_for_a_neighbour_makes_a_number_of_one_that_the_neighbour_does_not_have() -> None:
    assert parse("0549 123456", "IT") == Number("+390549123456")


@pytest.mark.parametrize("region", ["RE", "YT", "GP", "GF", "MQ"])
@pytest.mark.parametrize(
    "kind", [PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE], ids=["fixed", "mobile"]
)
def test_a_number_of_overseas_france_as_the_french_write_it_is_not_one(region: str, kind: int) -> None:
    example = phonenumbers.example_number_for_type(region, kind)
    assert example is not None
    written = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    assert written.startswith("0")
    assert parse(written, "FR") == parse(e164, "FR") == Number(e164)


def test_a_persons_number_of_overseas_france_is_another_as_the_french_write_it() -> None:
    """Each beginning that persons have numbers with: not that of a special service (08), nor of a platform (0939)."""
    kinds = {PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.VOIP}
    # the library draws the plan of French Guiana so wide that it has the 0976 of the others, too
    elsewhere = tuple(f"976{digit}" for digit in "01236789")
    asked = set()
    for code, start in product((262, 508, 590, 594, 596), range(20_000, 100_000)):
        national = f"{start}2345"
        found = phonenumbers.PhoneNumber(country_code=code, national_number=int(national))
        if national.startswith(("8", "939", *(elsewhere if code == 594 else ()))):
            continue
        if phonenumbers.number_type(found) in kinds:
            assert parse(f"0{national}", "FR") == Number(e164(found)), national[:5]
            asked.add((code, national[:3]))
    assert {(262, "268"), (508, "708"), (590, "598"), (594, "709"), (596, "976")} <= asked


def test_martinique_is_called_in_the_night_because_it_is_morning_in_paris() -> None:
    number = parse("0596 50 12 34", "FR")
    assert isinstance(number, Number)
    assert number.timezones == ("America/Martinique",)


def test_each_other_form_of_a_number_is_read_as_another_number() -> None:
    for e164 in (
        "+442890123456",
        "+3780549886377",
        "+596596501234",
        "+262692123456",
        "+508411234",
        "+590976012345",
    ):
        (other,) = other_forms(Number(e164))
        assert parse(other, "PL") == Number(e164)


@pytest.mark.parametrize("country", sorted(TIME_ZONES))
def test_digits_too_many_for_any_number_raise_an_error_where_they_lead_elsewhere(country: str) -> None:
    for start in ("+33262", "+33596", "+335084", "+35348", "+390549"):
        for more in range(16):
            assert isinstance(parse(start + "9" * more, country), Number | NumberFault)


def test_an_area_that_has_the_digits_of_its_country_is_lost_where_there_is_no_trunk_prefix() -> None:
    """Radom."""
    assert parse("48 300 00 00", "PL") == parse("48 48 300 00 00", "PL") == Number("+48483000000")


def test_a_number_in_e164_depends_on_who_reads_it() -> None:
    """A number that was understood once is understood again from its stored form, in any country."""
    few = EXAMPLES[:: len(EXAMPLES) // 40]
    some = [e164(found) for found, _ in few if phonenumbers.number_type(found) not in PREMIUM]
    for found, region in product(some, phonenumbers.SUPPORTED_REGIONS):
        assert parse(found, region) == Number(found), f"{region}: {mask(found)}"


def test_a_number_has_a_place_or_a_zone_that_raises() -> None:
    for found, region in EXAMPLES:
        number = Number(e164(found))
        # some countries share a plan, and there a number may belong to another, or to nobody
        shares_a_plan = len(phonenumbers.region_codes_for_country_code(found.country_code or 0)) > 1
        assert number.country == region or shares_a_plan
        for zone in number.timezones:
            assert ZoneInfo(zone).key == zone


@pytest.mark.parametrize("text", ["+80012345678", "+979123456789", "+870773111632", "+883510012345"])
def test_a_number_of_no_country_is_given_one(text: str) -> None:
    number = Number(text)
    assert number.country is None
    assert all(ZoneInfo(zone) for zone in number.timezones)


def is_in_a_plan(found: phonenumbers.PhoneNumber) -> bool:
    """Some plans have numbers longer than the fifteen digits of ITU-T E.164."""
    return bool(phonenumbers.is_valid_number(found)) and len(e164(found)) <= 1 + 15


@example("DE", "20100000000000", True)
@given(
    st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)),
    st.from_regex(r"[0-9]{2,15}", fullmatch=True),
    st.booleans(),
)
def test_a_number_is_accepted_that_no_plan_has_or_refused_that_one_has(
    region: str,
    digits: str,
    international: bool,  # noqa: FBT001 - given by hypothesis
) -> None:
    code = phonenumbers.country_code_for_region(region) if international else ""
    text = f"+{code}{digits}" if international else digits
    try:
        found = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        assert parse(text, region) is NumberFault.INVALID
        return
    understood = parse(text, region)
    is_accepted = understood is not NumberFault.INVALID
    assert is_accepted or not is_in_a_plan(found)
    may_lack_its_plus = text.startswith(str(phonenumbers.country_code_for_region(region)))
    assert is_in_a_plan(found) or may_lack_its_plus or not is_accepted
    if isinstance(understood, Number):
        assert understood == parse(understood.e164, region)


@given(st.data())
def test_the_neighbours_of_real_numbers_are_judged_otherwise_than_their_plan_does(
    data: st.DataObject,
) -> None:
    """Random digits are seldom a number; this varies the last digits of a real one, and its length."""
    found, region = data.draw(st.sampled_from(EXAMPLES))
    national = e164(found)[1 + len(str(found.country_code)) :]
    kept = data.draw(st.integers(1, len(national)))
    text = f"+{found.country_code}{national[:kept]}{data.draw(st.from_regex(r'[0-9]{0,6}', fullmatch=True))}"
    try:
        valid = is_in_a_plan(phonenumbers.parse(text))
    except phonenumbers.NumberParseException:
        valid = False
    assert valid is (parse(text, region) is not NumberFault.INVALID)


@given(
    st.sampled_from(EXAMPLES),
    st.sampled_from(
        [
            "x12",
            " ext. 12",
            ";ext=12",
            ",,12#",
            "#12",
            "@203.0.113.1",
            "&PJSIP/48900",
            "|n",
            "/n",
            "\r\nX: y",
            "\0",
        ]
    ),
)
def test_what_follows_a_number_is_dialled_with_it_or_dropped_in_silence(
    one: tuple[phonenumbers.PhoneNumber, str], tail: str
) -> None:
    found, region = one
    assert parse(e164(found) + tail, region) is NumberFault.CHARACTERS


@pytest.mark.parametrize("script", OTHER_DIGITS)
def test_digits_of_another_script_pass_for_digits(script: str) -> None:
    written = "600100123".translate({ord(str(n)): each for n, each in enumerate(OTHER_DIGITS[script])})
    assert parse(written, "PL") is NumberFault.CHARACTERS
    assert parse("+48" + written, "PL") is NumberFault.CHARACTERS
    assert parse("60010012" + written[-1], "PL") is NumberFault.CHARACTERS


@pytest.mark.parametrize("length", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("filler", ["0", "1", " ", "-", "+", "("])
def test_a_text_without_end_is_read_to_its_end(filler: str, length: int) -> None:
    assert isinstance(parse("+48600100123" + filler * length + "4", "PL"), NumberFault)


@given(st.text(), st.sampled_from(COUNTRIES))
@example("+" * 39, "PL")
@example("\ud800", "PL")
def test_no_text_raises_and_what_is_accepted_is_digits(text: str, country: str) -> None:
    found = parse(text, country)
    if isinstance(found, Number):
        assert re.fullmatch(r"\+[0-9]{4,15}", found.e164)
        assert re.fullmatch(r"[0-9 .()\u00a0+-]*", text)


@given(st.text(st.sampled_from("0123456789+ -()."), max_size=24), st.sampled_from(COUNTRIES))
@example("20100000000000", "DE")
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


def test_a_mask_shows_more_of_a_real_number_than_its_country_and_four_digits() -> None:
    for found, _ in EXAMPLES:
        masked, code = mask(e164(found)), str(found.country_code)
        hidden, shown = masked.count("•"), masked.rpartition("•")[2]
        assert masked == f"+{code}{'•' * hidden}{shown}"
        assert len(masked) == len(e164(found))
        assert (hidden >= 2, len(shown) <= 4) == (True, True)


@given(st.text())
@example("tel:+48600100123")
@example("+48600100123;ext=1")
@example("+٤٨٦٠٠١٠٠١٢٣")
def test_a_mask_of_anything_raises_or_shows_more_than_it_may(text: str) -> None:
    assert len(mask(text).rpartition("•")[2]) <= 4 or len(text) <= 6


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
