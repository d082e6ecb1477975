"""Channel variables: the names that a dialplan may rely on, and setting several by one command (ARRAY() of func_strings)."""

import re
from collections.abc import Mapping

#: The call's id; how it ended, and why (docs/pbx.md); and the number of the person called, by which their rights are known on that leg.
CALL, OUTCOME, REASON, NUMBER = "CCARI_CALL", "CCARI_OUTCOME", "CCARI_REASON", "CCARI_NUMBER"

#: Of a channel that rings an agent through the dialplan, and, by the underscores, of every channel that comes of it: the call's id. The
#: shipped dialplan begins no call from there, where a queue has followed an agent's phone that forwards its calls.
AGENT_OF = "__CCARI_AGENT_OF"

#: What ARRAY() surely reads as one value: it splits at commas, and treats quotes, backslashes and brackets specially.
_WORD = re.compile(r"[\w+.-]*", re.ASCII)


def at_once(values: Mapping[str, str]) -> tuple[str, str] | None:
    """The one variable, name and value, that sets all of them in order; None if a value is more than a word."""
    if not all(map(_WORD.fullmatch, values.values())):
        return None
    return f"ARRAY({','.join(values)})", ",".join(values.values())
