"""Telephone numbers: E.164 or a reason why not."""

import functools
import re
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberType, timezone

#: Characters that people write between digits. Everything else, above all ``/ @ & ; ,``, could be part of a dial string.
_SEPARATORS = " -.()\u00a0"
_WRITTEN = frozenset("0123456789" + _SEPARATORS)
_WITHOUT_SEPARATORS = str.maketrans("", "", _SEPARATORS)
#: What people put between two digits of a number in running text, as a regular expression for both Python and PostgreSQL: anything but
#: letters, digits and the section sign. The limit of nine characters keeps the search short.
BETWEEN = r"(?:[^\w§]|_){0,9}"
#: What a spreadsheet or program makes of a column of numbers that has an empty cell or is formatted with decimals: ``491713920012.0``.
#: In countries whose numbers vary in length, the noughts would turn it into somebody else's number. After several dots they are a group
#: of digits, as in the French 01.42.68.53.00.
_DECIMALS = re.compile(r"[^.]+\.0+")
#: The most digits, with the country code: ITU-T E.164, 6.2.
_LONGEST_E164 = 15
#: The most digits, with an international prefix and a trunk zero.
_LONGEST = 20

#: The trunk prefix that most of Europe dials before a number within the country.
_TRUNK_ZERO = "0"
#: The fewest digits of a national number, by libphonenumber.
_SHORTEST = 2
_NEVER = r"(?!)"

#: By country code, the first digits of the numbers of overseas France, which shares its plan with France: within it, Martinique is dialled
#: as 0596 …, from elsewhere as +596 596 …. Geographic, mobile (06, 0709), and of internet telephony (0947, 0976). Not the numbers of special
#: services (08) or of platforms (0939), which no person has.
_OVERSEAS_FRANCE = {
    "262": (
        "262", "263", "268", "269", "639", "692", "693", "7092", "70935", "70936", "70937", "9478", "9479", "9762", "9763", "9769",
    ),
    "590": ("590", "5987", "690", "691", "7090", "9475", "9760", "9761", "9768"),
    "594": ("594", "5988", "694", "70930", "70931", "70932", "70933", "9476", "9764", "9765"),
    "596": ("596", "5989", "696", "697", "7091", "9477", "9766", "9767"),
    "508": ("7084", "7085"),
}  # fmt: skip
#: Area codes of one country that lead to another: whoever has such a line has two numbers, and a bar on one must bar the other. Ireland
#: dials Northern Ireland as 048, Italy dials San Marino as 0549, France dials Saint-Pierre-et-Miquelon as 0508.
_LEADS_TO = {
    "+35348": "+4428", "+390549": "+3780549", "+33508": "+508",
    **{f"+33{area}": f"+{code}{area}" for code, areas in _OVERSEAS_FRANCE.items() for area in areas},
}  # fmt: skip
_AREAS_ELSEWHERE = tuple(_LEADS_TO)
_COUNTRY_CODES = frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
_PREMIUM = frozenset({PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.PAGER})


class NumberFault(StrEnum):
    """Why a text is not a number that may be dialled."""

    EMPTY = "number_empty"
    CHARACTERS = "number_characters"
    INVALID = "number_invalid"
    PREMIUM = "number_premium"

    @property
    def words(self) -> str:
        """For the person who wrote the text."""
        return _WORDS[self]


_WORDS = {
    NumberFault.EMPTY: "it is empty",
    NumberFault.CHARACTERS: "it may contain only digits, one leading plus, spaces, dashes, dots and brackets, and no decimals",
    NumberFault.INVALID: "no country has such a number",
    NumberFault.PREMIUM: "it is a premium-rate number",
}


@dataclass(frozen=True, slots=True)
class Number:
    """A valid number. Its ``repr`` and ``str`` are masked, in case one gets into a log or a traceback."""

    e164: str

    @property
    def digits(self) -> str:
        """E.164 without the plus: what goes into a dial string."""
        return self.e164[1:]

    @property
    def country(self) -> str | None:
        """The number's country, ISO 3166 alpha-2; None for a number without a country, such as +800."""
        region = phonenumbers.region_code_for_number(phonenumbers.parse(self.e164))
        return region if region is not None and region.isalpha() else None

    @property
    def timezones(self) -> tuple[str, ...]:
        """The time zones that the number may be in: several for a mobile number of a country with several zones, none if unknown."""
        zones: tuple[str, ...] = timezone.time_zones_for_number(phonenumbers.parse(self.e164))
        return tuple(zone for zone in zones if zone != timezone.UNKNOWN_TIMEZONE)

    @property
    def masked(self) -> str:
        return mask(self.e164)

    def __repr__(self) -> str:
        return f"Number({self.masked})"

    __str__ = __repr__


def parse(text: str, country: str) -> Number | NumberFault:
    """The number that ``text`` means in ``country`` (ISO 3166 alpha-2), or why it is not a number; never raises.

    Only ASCII digits, one leading plus and the separators that people write are accepted.
    """
    text = text.strip(" \u00a0")
    if not text:
        return NumberFault.EMPTY
    body = text.removeprefix("+")
    if len(text) > 2 * _LONGEST or not _WRITTEN.issuperset(body) or _DECIMALS.fullmatch(text):
        return NumberFault.CHARACTERS
    digits = body.translate(_WITHOUT_SEPARATORS)
    if len(digits) > _LONGEST:
        return NumberFault.INVALID
    if text[0] != "+" and _may_lack_its_plus(digits, country):
        with_plus = parse(f"+{digits}", country)
        if with_plus is not NumberFault.INVALID:
            return with_plus
    return _read(("+" if text[0] == "+" else "") + digits, country)


def may_be_foreign(text: str, country: str) -> bool:
    """Whether a number that :func:`parse` reads as one of ``country`` would be a foreign number with a plus before it.

    Spreadsheets drop both the leading zero of a number within the country and the plus of a foreign one. Only for countries where people
    write that zero: elsewhere its absence says nothing.
    """
    digits, plan = text.translate(_WITHOUT_SEPARATORS), _plan(country)
    if plan is None or plan.national_prefix != _TRUNK_ZERO or digits.startswith(("+", _TRUNK_ZERO)):
        return False
    foreign = parse(f"+{digits}", country)
    return isinstance(foreign, Number) and foreign != parse(text, country)


def _may_lack_its_plus(digits: str, country: str) -> bool:
    """Whether the digits begin with the country's code rather than its trunk prefix.

    libphonenumber reads some of those as a national number whose area code equals the country code.
    """
    plan = _plan(country)
    if plan is None or not plan.national_prefix or digits.startswith(plan.national_prefix):
        return False
    return digits.startswith(str(plan.country_code))


def _plan(country: str) -> PhoneMetadata | None:
    return PhoneMetadata.metadata_for_region(country) if country in phonenumbers.SUPPORTED_REGIONS else None


def _read(dialled: str, country: str) -> Number | NumberFault:
    try:
        parsed = _plain_e164(dialled) or phonenumbers.parse(dialled, country)
        e164 = _e164(parsed)
        if theirs := _where_it_leads(e164):
            parsed, e164 = theirs, _e164(theirs)
    except phonenumbers.NumberParseException:
        return NumberFault.INVALID
    kind = phonenumbers.number_type(parsed)
    # libphonenumber accepts some countries' numbers that are longer than ITU-T E.164 allows
    if kind == PhoneNumberType.UNKNOWN or len(e164) > 1 + _LONGEST_E164:
        return NumberFault.INVALID
    return NumberFault.PREMIUM if kind in _PREMIUM else Number(e164)


def other_forms(number: Number) -> list[str]:
    """The numbers of other countries that lead to the same line, in E.164: :func:`parse` reads each of them as this number."""
    return [
        area + number.e164.removeprefix(leads_to)
        for area, leads_to in _LEADS_TO.items()
        if number.e164.startswith(leads_to)
    ]


def _where_it_leads(e164: str) -> PhoneNumber | None:
    """The line's number in its own country; None if it is in no other. The number as written may be valid, too, or be in no country's plan."""
    if not e164.startswith(_AREAS_ELSEWHERE):
        return None
    area = next(each for each in _AREAS_ELSEWHERE if e164.startswith(each))
    theirs = phonenumbers.parse(_LEADS_TO[area] + e164.removeprefix(area))
    return theirs if phonenumbers.is_valid_number(theirs) else None


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _plain_e164(dialled: str) -> PhoneNumber | None:
    """Like ``phonenumbers.parse``, for a plus and digits that it would not change; None where it might.

    This is faster: ``phonenumbers.parse`` first looks for letters, extensions and prefixes, which was a third of the time that a line of
    a long list takes.
    """
    code = _country_code(dialled)
    national = dialled[1 + len(code) :]
    if not code or len(national) < _SHORTEST or national[0] == "0" or _national_prefix(code).match(national):
        return None
    return PhoneNumber(country_code=int(code), national_number=int(national))


@functools.cache
def _national_prefix(code: str) -> re.Pattern[str]:
    """Matches prefixes that may be dialled before a number within the country, and are not part of the number."""
    country_code = int(code)
    plan = PhoneMetadata.metadata_for_region_or_calling_code(
        country_code, phonenumbers.region_code_for_country_code(country_code)
    )
    # if the country's numbering plan is unknown, anything may be a prefix
    return re.compile(plan.national_prefix_for_parsing or _NEVER if plan else "")


def _country_code(e164: str) -> str:
    """The digits of the country code; "" if it is not a number. No country code is a prefix of another (ITU-T E.164, 6.1)."""
    if not (e164.isascii() and e164[:1] == "+" and e164[1:].isdecimal()):
        return ""
    return next((e164[1:end] for end in (2, 3, 4) if e164[1:end] in _COUNTRY_CODES), "")


def mask(e164: str) -> str:
    """``+48•••••4567``: the country code and the last four digits: enough to recognise a number, too little to call it."""
    code = _country_code(e164)
    national = e164[1 + len(code) :]
    if not code or len(national) <= 2:  # noqa: PLR2004 - not a number, or it would be shown whole
        return "•" * max(len(e164) - 2, 0) + e164[-2:]
    shown = 4 if len(national) > 6 else 2  # noqa: PLR2004 - a short number would be shown almost whole
    return f"+{code}{'•' * (len(national) - shown)}{national[-shown:]}"
