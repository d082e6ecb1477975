"""How fast callees may be called before an agent is free: abandoned calls are counted, and slow the campaign down."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ccari.policy.campaign import Abandoned

#: Seconds between two calls, multiplied by how many times the share of abandoned calls is the cap: at twice the cap, twice as long.
SLOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Lately:
    """A campaign's latest calls that rang the callee first.

    ``heard``: how many callees heard the notice; ``abandoned``: for how many of them no agent came. ``last``: when the newest call besides
    the one in question was dialled, or let through; None if there is none.
    """

    heard: int = 0
    abandoned: int = 0
    last: datetime | None = None


def may_dial(cap: Abandoned, lately: Lately, now: datetime) -> bool:
    """True if one more callee may be called now. Above the cap, calls are spread out: the further above it, the more.

    They never stop altogether, because only calls that find an agent bring the share down. Examples of such caps are Ofcom's, 3 % of a
    day's answered calls, and the FTC's (16 CFR 310.4(b)(4)(i)).
    """
    if lately.last is None or not is_over(cap, lately):
        return True
    times_over = lately.abandoned * 100 / (cap.max_percent * lately.heard)
    return now - lately.last >= timedelta(seconds=SLOW_SECONDS * times_over)


def is_over(cap: Abandoned, lately: Lately) -> bool:
    """True if the share of abandoned calls exceeds the cap: then calls are let through only one at a time."""
    return lately.abandoned * 100 > cap.max_percent * lately.heard
