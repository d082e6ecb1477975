"""What is known of a number: the first question of a complaint, or of an authority's letter (Art 15(1), 58(1)(a))."""

from collections.abc import Mapping
from typing import Any, Protocol

from ccari.office import dossiers
from ccari.office.bars import Bars
from ccari.policy.declaration import Policy
from ccari.ports.keying import Digests, Secrets
from ccari.ports.lists import ConsentStore, ContactStore
from ccari.ports.records import CallRecords
from ccari.ports.requests import RequestRegister
from ccari.ports.suppressions import RegisterStore, SuppressionStore


class Kept(Protocol):
    """The places where it is looked up."""

    @property
    def suppressions(self) -> SuppressionStore: ...
    @property
    def registers(self) -> RegisterStore: ...
    @property
    def consents(self) -> ConsentStore: ...
    @property
    def contacts(self) -> ContactStore: ...
    @property
    def requests(self) -> RequestRegister: ...
    @property
    def records(self) -> CallRecords: ...


async def known_of(
    number: str, known_as: Mapping[str, Digests], kept: Kept, policy: Policy, secrets: Secrets, limit: int
) -> list[dict[str, Any]]:
    """What each controller of ``known_as`` (:func:`ccari.office.claimants.known_as`) knows of the number,
    each separately (invariant 7): its ``bars``, with the registers that list it, and whether it is ``barred``
    now; the bars that were ``lifted``, and why; its ``sources``; its ``consents``, with the calls made on each; its ``requests`` and
    ``calls``, newest first, ``limit`` of each, and whether there are ``more_requests`` or ``more_calls``.

    Raises InputError and ConfigError as ``known_as`` does, and StoreError. The caller must put the look-up on
    record before showing the result.
    """
    clock = dossiers.clock(policy)
    found = []
    for controller, digests in known_as.items():
        here = {controller: digests}
        bars = await Bars(policy, kept.suppressions, kept.registers, secrets).of_number(number, controller)
        requests = await kept.requests.of(here, limit + 1, clock=clock)
        calls = await kept.records.of(here, limit + 1)
        found.append(
            {
                "controller": controller,
                "barred": any(each["stands"] for each in bars),
                "bars": bars,
                "lifted": await kept.suppressions.lifted(controller, digests),
                "sources": await kept.contacts.of(controller, digests),
                "consents": await kept.consents.of(controller, digests),
                "requests": list(map(dossiers.register_row, requests[:limit])),
                "more_requests": len(requests) > limit,
                "calls": list(calls[:limit]),
                "more_calls": len(calls) > limit,
            }
        )
    return found


def is_known(of_controller: Mapping[str, Any]) -> bool:
    """Whether that controller knows anything of the number."""
    return any(of_controller[each] for each in ("bars", "lifted", "sources", "consents", "requests", "calls"))
