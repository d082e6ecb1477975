"""Whom a call may name to be rung: somebody of the centre's own, whom no gate is asked about."""

import re

#: No more: the shortest numbers that there are have seven digits with their country's code (+690 and four of Tokelau).
MOST_DIGITS = 6

#: As phones and dialplans name agents, queues and extensions. A leading plus would be the public network's.
_NAME = re.compile(r"[A-Za-z0-9_.*#-]{1,40}")


def is_extension(name: str) -> bool:
    """Whether ``name`` may stand in the dial string of an agent, of a queue, or of who takes a call over.

    What has more than six digits in all, however they are spread, could be a telephone number, which is dialled only in a
    campaign's ``dial`` and after the gate. Shorter ones are the centre's own, unless a policy has them rung over a trunk.
    """
    return _NAME.fullmatch(name) is not None and sum(c.isdigit() for c in name) <= MOST_DIGITS
