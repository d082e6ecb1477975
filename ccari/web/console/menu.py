"""The console's menu: the pages of each role, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass

from ccari.ports.access import Role

_LOOKING = frozenset({Role.OPS, Role.DPO, Role.AUDITOR})
_RIGHTS = frozenset({Role.DPO, Role.AUDITOR})


@dataclass(frozen=True, slots=True)
class Entry:
    """``name``: the key of its words in the catalogues, under ``menu``."""

    name: str
    path: str
    roles: frozenset[Role]


ENTRIES = (
    Entry("overview", "/console/overview", _LOOKING),
    Entry("requests", "/console/requests", _RIGHTS),
    Entry("live", "/console/live", _LOOKING),
    Entry("agent", "/console/agent", frozenset({Role.AGENT})),
    Entry("calls", "/console/calls", _LOOKING),
    Entry("recordings", "/console/recordings", _LOOKING),
    Entry("suppressions", "/console/suppressions", _LOOKING),
    Entry("campaigns", "/console/campaigns", _LOOKING),
)  # fmt: skip


def menu(role: Role) -> Sequence[Entry]:
    return [each for each in ENTRIES if role in each.roles]
