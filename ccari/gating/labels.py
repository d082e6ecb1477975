"""Names that come from outside, as they may be logged and kept."""

import re

from ccari.policy.extensions import MOST_DIGITS
from ccari.policy.numbers import SEPARATOR

#: Set apart, they are a number if no extension has as many: ``desk-12-34-56`` is somebody's phone.
_NUMBER = re.compile(rf"[(+]*\d(?:(?:{SEPARATOR}{{0,5}}\d){{{MOST_DIGITS},}}|\d{{5,}})")
_LONGEST = 40
#: What is named by nothing: an empty argument is one that was meant to name something.
NAMELESS = "unknown"
#: As people write numbers among other words.
_WRITTEN = re.compile(r"[(+]*\d(?:[ ()/.-]{0,2}\d){5,}")
_PHONE = re.compile(r"(?!local/)[a-z0-9]+/(?:sip:)?([a-z0-9_.+#*-]+)(?:@.*)?", re.IGNORECASE)


def label(text: str) -> str:
    """A name without what could be a number: ``Local/NUMBER@context`` is a channel too, and arguments get swapped."""
    return _NUMBER.sub("…", text.partition("@")[0])[:_LONGEST] or NAMELESS


def unnumbered(text: str) -> str:
    """What somebody has written, without what could be a number in it: for what is kept and never erased."""
    return _WRITTEN.sub("…", text)


def agent_name(channel_name: str) -> str:
    """``PJSIP/anna-00000012`` is anna's."""
    return label(channel_name.rpartition("-")[0].rpartition("/")[2])


def phone_name(dial: str) -> str | None:
    """Who is rung by a dial string: anna by ``PJSIP/anna@pbx``. None behind ``Local/``, where a queue chooses."""
    phone = _PHONE.fullmatch(dial)
    return label(phone[1]) if phone else None
