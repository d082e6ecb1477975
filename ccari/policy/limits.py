"""Storage limitation, Article 5(1)(e): for how many days the policies have calls, requests, contacts, consents and accesses kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ccari.policy.declaration import Policy
from ccari.policy.erasure import proof_kept
from ccari.policy.retention import OF_CONTROLLERS, Limited

#: How long a limit has to stand before it counts, so that one that was declared by mistake can be taken back: what has expired is
#: gone for good.
GRACE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """``days`` after what is ``limited`` has ended, nothing on record says which person of ``controller`` it is about any more.
    ``controller``: empty for accesses, whose record is that of all.

    ``forwarded``: whether the controller is told of each step of its requests. ``sourced``: whether one of its campaigns
    says itself where its numbers come from, and calls such as are no contact. ``proof``: so long after it was given, and after
    each use, the law of the controller's country has the proof of a consent kept. ``unreached``, of accesses: the controllers whose open requests may need some
    of them, and cannot be asked about.
    """

    limited: Limited
    controller: str
    days: int
    forwarded: bool = field(default=False, compare=False)
    sourced: bool = field(default=False, compare=False)
    proof: timedelta = field(default=timedelta(), compare=False)
    unreached: frozenset[str] = field(default=frozenset(), compare=False)

    def concerns(self, controller: str) -> bool:
        """Whether an open request of that controller may need what is past this limit."""
        return self.controller in {"", controller}


def standing(policies: Sequence[Policy]) -> list[Limit]:
    """The limits that all of the ``policies`` (the newest first) have; for each kind, and each controller, the longest one."""
    of_all = [Limit(Limited.ACCESSES, "", max(each.accesses_days for each in policies))] if policies else []
    return [*_of_controllers(policies), *of_all]


def sparing(limits: Iterable[Limit], unreached: Iterable[str]) -> list[Limit]:
    """The limits without those of the ``unreached`` controllers, whose open requests could not be extended and may need what would go.
    That of the record of accesses, which is one for all controllers, spares what they may need.
    """
    spared = frozenset(unreached)
    return [
        each if each.controller else replace(each, unreached=spared)
        for each in limits
        if each.controller not in spared
    ]


def _of_controllers(policies: Sequence[Policy]) -> list[Limit]:
    return [
        Limit(
            limited,
            controller.id,
            longest,
            forwarded=controller.forward is not None,
            proof=proof_kept((controller.country,)),
            sourced=any(
                each.data_source is not None
                for policy in policies
                for each in policy.campaigns_of(controller.id)
            ),
        )
        for limited in OF_CONTROLLERS
        for controller in (policies[0].controllers if policies else ())
        if (longest := _longest(policies, controller.id, limited)) is not None
    ]


def _longest(policies: Sequence[Policy], controller_id: str, limited: Limited) -> int | None:
    """None if one of the policies has no such limit, or no such controller."""
    each_days = []
    for policy in policies:
        controller = policy.controller(controller_id)
        days = controller.days(limited) if controller else None
        if days is None:
            return None
        each_days.append(days)
    return max(each_days)
