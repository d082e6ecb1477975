"""Several of a channel's variables by one command: the dialplan's ARRAY(), which is func_strings', parts both at commas."""

import re
from collections.abc import Mapping

#: What it reads as one value: no comma, quote, backslash or bracket ends it, or joins it to the next.
_WORD = re.compile(r"[\w+.-]*", re.ASCII)


def at_once(values: Mapping[str, str]) -> tuple[str, str] | None:
    """The name and the value that set all of them in their order; None where a value is more than a word."""
    if not all(map(_WORD.fullmatch, values.values())):
        return None
    return f"ARRAY({','.join(values)})", ",".join(values.values())
