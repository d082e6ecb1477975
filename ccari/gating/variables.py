"""The channel variables that a dialplan may rely on, and setting several with one command (ARRAY() of func_strings)."""

import re
from collections.abc import Mapping

#: The call's id; its outcome and the reason (docs/pbx.md); and the number called, by which the person's
#: rights are known on that leg.
CALL, OUTCOME, REASON, NUMBER = "CCARI_CALL", "CCARI_OUTCOME", "CCARI_REASON", "CCARI_NUMBER"

#: The call's id, on a channel that rings an agent through the dialplan and, by the underscores, on every
#: channel that descends from it. The shipped dialplan starts no call from such a channel: a queue may have
#: followed the call forwarding of an agent's phone.
AGENT_OF = "__CCARI_AGENT_OF"

#: What ARRAY() is sure to read as one value: it splits at commas, and treats quotes, backslashes and brackets specially.
_WORD = re.compile(r"[\w+.-]*", re.ASCII)


def at_once(values: Mapping[str, str]) -> tuple[str, str] | None:
    """The one assignment, as name and value, that sets all variables in order; None if a value is more than a word."""
    if not all(map(_WORD.fullmatch, values.values())):
        return None
    return f"ARRAY({','.join(values)})", ",".join(values.values())
