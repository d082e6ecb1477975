"""Names from outside, made fit to be logged and kept."""

import re

from ccari.policy.declaration import Policy
from ccari.policy.extensions import MOST_DIGITS
from ccari.policy.numbers import BETWEEN

#: What may precede a number. The look-behind tries it only at the start of a run of brackets: trying it at
#: each of thousands would hold up all calls.
_BEFORE = r"(?<![(+])[(+]*+"
#: Six digits in a row are a number. Digits with separators are one only if there are more than any extension
#: has: ``desk-12-34-56`` is somebody's phone.
_NUMBER = re.compile(rf"{_BEFORE}\d(?:(?:{BETWEEN}\d){{{MOST_DIGITS},}}|\d{{5,}})")
_LONGEST = 40
#: The label of an empty name: an empty argument was meant to name something.
NAMELESS = "unknown"
#: A number as people write it among other words.
_WRITTEN = re.compile(rf"{_BEFORE}\d(?:{BETWEEN}\d){{5,}}")
#: A day, as 2026-11-20 or 20.11.2026.
_DAY = r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])\.(?:0?[1-9]|1[0-2])\.(?:19|20)\d\d"
_TIME = r"(?:[01]?\d|2[0-3])(?::[0-5]\d){1,2}"
_YEAR = r"(?:19|20)\d\d"
#: Where something is on file: 17/2026 or 2026/17. Without the first zero that a number with its area code has.
_FILED = rf"[1-9]\d{{0,4}}/{_YEAR}|{_YEAR}/[1-9]\d{{0,4}}"
_COUNTED = rf"(?:(?:{_DAY})(?: {_TIME})?|{_TIME}|\d{{1,2}}(?: ?\(\d\)?){{0,2}}|{_FILED}|{_YEAR})"
#: Text with as many digits that is not a number: a list of days (with or without a time), times of day, articles, files or years, or an amount with cents.
_NO_NUMBER = re.compile(rf"{_COUNTED}(?:[,;] {_COUNTED})*|\d{{1,2}}\.?\d{{3}},\d\d|\d{{1,2}},\d{{3}}\.\d\d")
#: The sign of a case, as Polish authorities write it: DS.523.1234.2026, the unit in capitals, then class, number and year (Dz.U. 2011 no. 14
#: item 67, Annex 1 §5).
_CASE = re.compile(rf"(?<=[A-Z]{{2}}\.)(?<!TEL\.)[1-9]\d{{1,3}}\.[1-9]\d{{0,4}}\.{_YEAR}")
_PHONE = re.compile(r"(?!local/)[a-z0-9]+/(?:sip:)?([a-z0-9_.+#*-]+)(?:@.*)?", re.IGNORECASE)


def label(text: str) -> str:
    """A name without anything that may be a number: ``Local/NUMBER@context`` is a channel too, and arguments get swapped.

    Unprintable characters are removed too: they could control a terminal, or the database refuses them.
    """
    printed = text if text.isprintable() else "".join(filter(str.isprintable, text))
    return _NUMBER.sub("…", printed.partition("@")[0])[:_LONGEST] or NAMELESS


def campaign_name(policy: Policy | None, asked: str) -> str:
    """A campaign's id, fit to be logged and kept. An id that the policy does not know may be a number by mistake."""
    is_known = policy is not None and policy.campaign(asked) is not None
    return asked if is_known or not asked else label(asked)


def unnumbered(text: str) -> str:
    """What somebody wrote, without anything that may be a number: for text that is kept and never erased."""
    return _WRITTEN.sub(lambda found: found[0] if _is_no_number(found) else "…", text)


def _is_no_number(found: re.Match[str]) -> bool:
    # in its place, for the letters before it
    return bool(_NO_NUMBER.fullmatch(found[0]) or _CASE.fullmatch(found.string, *found.span()))


def agent_name(channel_name: str) -> str:
    """The agent in a channel's name: anna in ``PJSIP/anna-00000012``."""
    return label(channel_name.rpartition("-")[0].rpartition("/")[2])


def phone_name(dial: str) -> str | None:
    """Who a dial string rings: anna in ``PJSIP/anna@pbx``. None for ``Local/``, where a queue chooses."""
    phone = _PHONE.fullmatch(dial)
    return label(phone[1]) if phone else None
