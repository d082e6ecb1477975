"""Fields that several models share, with what each may hold."""

from datetime import date
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from ccari.gating.labels import label, unnumbered
from ccari.policy import speech
from ccari.policy.declared import Identifier, Words
from ccari.policy.extensions import MOST_DIGITS, is_extension

MOST_ROWS = 500
_Dated = TypeVar("_Dated", bound=date)

#: No-break spaces, which word processors insert after a short word or in a number; and zero-width marks (where a word may or may not be
#: broken), which come along with text copied from a PDF or an e-mail.
_TYPED = str.maketrans("\u00a0\u202f", "  ", "\u00ad\u200b\u2060\ufeff")


def _as_typed(text: str) -> str:
    """The text with plain spaces, without invisible marks, and with Unix line ends."""
    return text.translate(_TYPED).replace("\r\n", "\n")


def one_line(text: str) -> str:
    """The text, if it is words on one line. Raises ValueError with words for the person who wrote it."""
    typed = _as_typed(text)
    if not typed.isprintable() or (text and not typed):
        raise ValueError("must be words on one line")
    return typed


def _text(text: str) -> str:
    text = _as_typed(text)
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise ValueError("must be plain text")
    return text


def _said(text: str) -> str:
    text = _text(text)
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _no_number(text: str) -> str:
    if label(text) != text:
        raise ValueError(
            "must be a name with at most five digits in a row, or six with anything between them"
        )
    return text


def _no_long_digits(text: str) -> str:
    if unnumbered(text) != text:
        raise ValueError(
            "must not contain anything that could be a telephone number: put numbers in the column of the list"
        )
    return text


def _extension(text: str) -> str:
    if not is_extension(text):
        raise ValueError(
            f"must be an agent or an extension of your own, with at most {MOST_DIGITS} digits in all"
        )
    return text


def _in_our_time(when: _Dated) -> _Dated:
    # near the ends of the calendar, conversions between time zones fail
    if not 1900 <= when.year < 3000:  # noqa: PLR2004 - as in ccari.office.moments
        raise ValueError("must be a year from 1900 to 2999")
    return when


NumberText = Annotated[
    str,
    Field(
        max_length=64, description="In any usual way of writing it.", examples=["+48600100001", "600 100 001"]
    ),
]
ControllerId = Annotated[
    Identifier | None, Field(description="Which controller; may be left out if the token sees only one.")
]
CampaignId = Annotated[Words, Field(description="A campaign of the policy in force.")]
AgentName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$",
        description=f"The name that the calls have; with at most {MOST_DIGITS} digits in all, and five in a row.",
    ),
    AfterValidator(_no_number),
    AfterValidator(_extension),
]
AgentId = Annotated[
    str, Field(min_length=1, max_length=40), AfterValidator(one_line), AfterValidator(_no_number)
]
When = Annotated[
    str,
    Field(
        max_length=40, description="A day, or a moment, by the controller's clock.",
        examples=["2026-12-31", "2026-12-31T12:00"],
    ),
]  # fmt: skip
OneLine = Annotated[str, Field(max_length=200), AfterValidator(one_line)]
PlainWords = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="With at most five digits in a row: anything that may contain a number belongs in the list, not in the URL.",
    ),
    AfterValidator(one_line),
    AfterValidator(_no_long_digits),
]
Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}-\d{4}-\d{6,9}$")]
GivenReference = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=f"^{speech.GIVEN}$"),
    Field(
        description="A reference, or its digits as they are read out on the telephone: `2026123` or `2026 12345`.",
        examples=["ACME-2026-000123", "2026123"],
    ),
]
Note = Annotated[str, Field(max_length=2000), AfterValidator(_text)]
Said = Annotated[str, Field(max_length=2000), AfterValidator(_said)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_our_time)]
Day = Annotated[date, AfterValidator(_in_our_time)]
Limit = Annotated[int, Field(ge=1, le=MOST_ROWS, description="How many rows a page has at most.")]
After = Annotated[str | None, Field(max_length=300, description="`next` of the previous page.")]
Next = Annotated[str | None, Field(description="`after` of the next page; null: this is the last.")]
#: The same for a list whose cursor is a row's id.
AfterId = Annotated[int | None, Field(ge=1, lt=2**63, description="`next` of the page before.")]
NextId = Annotated[int | None, Field(description="`after` of the next page; null: this is the last.")]
