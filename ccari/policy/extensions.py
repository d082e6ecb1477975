"""The names that a call may ring without asking the gate: the centre's own agents, queues and extensions."""

import re

#: The most digits in a name. The shortest telephone numbers have seven digits with their country code (+690 and four digits, in Tokelau).
MOST_DIGITS = 6

#: The names that phones and dialplans use. No plus: it begins a number of the public network.
_NAME = re.compile(r"[A-Za-z0-9_.*#-]{1,40}")


def is_extension(name: str) -> bool:
    """Whether ``name`` may go into the dial string of an agent, a queue, or a colleague who takes over.

    A name with more than six digits, wherever they are, could be a telephone number; only a campaign's ``dial`` may dial those, after the
    gate. A shorter one is the centre's own, unless a policy rings it over a trunk.
    """
    return _NAME.fullmatch(name) is not None and sum(c.isdigit() for c in name) <= MOST_DIGITS
