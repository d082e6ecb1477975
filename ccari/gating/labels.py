"""Names that come from outside, as they may be logged and kept."""

import re

from ccari.policy.declaration import Policy
from ccari.policy.extensions import MOST_DIGITS
from ccari.policy.numbers import BETWEEN

#: What may stand before a number. It is looked for from its beginning only: from each place in thousands of brackets, that would hold
#: up all calls.
_BEFORE = r"(?<![(+])[(+]*+"
#: Six digits in a row are a number; digits with separators between them only if no extension has as many, for ``desk-12-34-56`` is
#: somebody's phone.
_NUMBER = re.compile(rf"{_BEFORE}\d(?:(?:{BETWEEN}\d){{{MOST_DIGITS},}}|\d{{5,}})")
_LONGEST = 40
#: The label of an empty name: an empty argument was meant to name something.
NAMELESS = "unknown"
#: As people write numbers among other words.
_WRITTEN = re.compile(rf"{_BEFORE}\d(?:{BETWEEN}\d){{5,}}")
_COUNTED = r"(?:(?:[01]?\d|2[0-3])(?::[0-5]\d){1,2}|\d{1,2}(?: ?\(\d\)?){0,2}|(?:19|20)\d\d)"
#: Text with as many digits that is no number: a list of times of day, articles or years, or an amount with cents.
_NO_NUMBER = re.compile(rf"{_COUNTED}(?:[,;] {_COUNTED})*|\d{{1,2}}\.?\d{{3}},\d\d|\d{{1,2}},\d{{3}}\.\d\d")
_PHONE = re.compile(r"(?!local/)[a-z0-9]+/(?:sip:)?([a-z0-9_.+#*-]+)(?:@.*)?", re.IGNORECASE)


def label(text: str) -> str:
    """A name without what could be a number: ``Local/NUMBER@context`` is a channel too, and arguments get swapped.

    Nor has it anything that cannot be printed, which could control a terminal, or which the database refuses.
    """
    printed = text if text.isprintable() else "".join(filter(str.isprintable, text))
    return _NUMBER.sub("…", printed.partition("@")[0])[:_LONGEST] or NAMELESS


def campaign_name(policy: Policy | None, asked: str) -> str:
    """A campaign's id as it may be logged and kept: where there is none of that id, it may be a number by mistake."""
    is_known = policy is not None and policy.campaign(asked) is not None
    return asked if is_known or not asked else label(asked)


def unnumbered(text: str) -> str:
    """What somebody has written, without what could be a number in it: for what is kept and never erased."""
    return _WRITTEN.sub(lambda found: found[0] if _NO_NUMBER.fullmatch(found[0]) else "…", text)


def agent_name(channel_name: str) -> str:
    """``PJSIP/anna-00000012`` is anna's."""
    return label(channel_name.rpartition("-")[0].rpartition("/")[2])


def phone_name(dial: str) -> str | None:
    """Who is rung by a dial string: anna by ``PJSIP/anna@pbx``. None behind ``Local/``, where a queue chooses."""
    phone = _PHONE.fullmatch(dial)
    return label(phone[1]) if phone else None
