"""Setting several channel variables by one command, with the dialplan function ARRAY() of func_strings."""

import re
from collections.abc import Mapping

#: What ARRAY() surely reads as one value: it splits at commas, and treats quotes, backslashes and brackets specially.
_WORD = re.compile(r"[\w+.-]*", re.ASCII)


def at_once(values: Mapping[str, str]) -> tuple[str, str] | None:
    """The one variable, name and value, that sets all of them in order; None if a value is more than a word."""
    if not all(map(_WORD.fullmatch, values.values())):
        return None
    return f"ARRAY({','.join(values)})", ",".join(values.values())
