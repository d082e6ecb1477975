"""Sentences that end with inserted text, which may have its own full stop: ``ACME Sp. z o.o.``"""

import re

_TWICE = re.compile(r"(?<!\.)\.\.(?!\.)")


def ended_once(text: str) -> str:
    """The text with one full stop wherever there are two. An ellipsis stays."""
    return _TWICE.sub(".", text)
