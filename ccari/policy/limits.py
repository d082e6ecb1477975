"""Storage limitation, Article 5(1)(e): for how many days the policies keep calls, requests, contacts, consents and accesses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ccari.policy.declaration import Policy
from ccari.policy.erasure import proof_kept
from ccari.policy.retention import OF_CONTROLLERS, Limited

#: How long a limit must be declared before it takes effect, so that a mistake can be corrected: expired data are gone for good.
GRACE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """One storage limit, of one kind of data and one controller.

    ``days`` after the ``limited`` data have ended, nothing on record says any more which person they are about. ``controller``: empty for
    accesses, which have one record for all controllers.

    ``forwarded``: whether the controller is told of each step of its requests. ``sourced``: whether one of its campaigns states the
    source of its numbers itself, so that it calls numbers that are no contacts. ``proof``: how long after it was given, and after each
    use, the law of the controller's country requires the proof of a consent. ``unreached``, for accesses: the controllers whose open
    requests may need some of them, and cannot be asked about.
    """

    limited: Limited
    controller: str
    days: int
    forwarded: bool = field(default=False, compare=False)
    sourced: bool = field(default=False, compare=False)
    proof: timedelta = field(default=timedelta(), compare=False)
    unreached: frozenset[str] = field(default=frozenset(), compare=False)

    def concerns(self, controller: str) -> bool:
        """Whether an open request of that controller may need data past this limit."""
        return self.controller in {"", controller}


def standing(policies: Sequence[Policy]) -> list[Limit]:
    """The limits in force: those that each of the ``policies`` (the newest first) declares. Where they differ, the longest one counts."""
    of_all = [Limit(Limited.ACCESSES, "", max(each.accesses_days for each in policies))] if policies else []
    return [*_of_controllers(policies), *of_all]


def sparing(limits: Iterable[Limit], unreached: Iterable[str]) -> list[Limit]:
    """The limits without those of the ``unreached`` controllers, whose open requests could not be extended and may need the data. The
    record of accesses, which is one for all controllers, keeps its limit, but spares what those requests may need.
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
    """None if one of the policies lacks this limit, or the controller."""
    each_days = []
    for policy in policies:
        controller = policy.controller(controller_id)
        days = controller.days(limited) if controller else None
        if days is None:
            return None
        each_days.append(days)
    return max(each_days)
