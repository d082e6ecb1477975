"""The console's menu: the pages of each role, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass

from ccari.ports.access import READING, SUPERVISING, Role


@dataclass(frozen=True, slots=True)
class Entry:
    """``name``: the key of its words in the catalogues, under ``menu``."""

    name: str
    path: str
    roles: frozenset[Role]


ENTRIES = (
    Entry("overview", "/console/overview", READING),
    Entry("requests", "/console/requests", SUPERVISING),
    Entry("subjects", "/console/subjects", frozenset({Role.DPO})),
    Entry("live", "/console/live", READING),
    Entry("agent", "/console/agent", frozenset({Role.AGENT})),
    Entry("calls", "/console/calls", READING),
    Entry("recordings", "/console/recordings", READING),
    Entry("suppressions", "/console/suppressions", READING),
    Entry("campaigns", "/console/campaigns", READING),
)  # fmt: skip


def menu(role: Role) -> Sequence[Entry]:
    return [each for each in ENTRIES if role in each.roles]
