"""A number as each controller knows it, for looking up its requests, its calls and the accesses to them. A
letter may give nothing but the number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ccari.errors import InputError
from ccari.office.naming import the_controller, the_number
from ccari.policy.declaration import Policy
from ccari.policy.numbers import Number, parse
from ccari.policy.parties import Controller
from ccari.ports.accesses import whose_number
from ccari.ports.keying import Digests, Secrets


@dataclass(frozen=True, slots=True)
class Claimant:
    """The person with a number, as one controller knows them."""

    controller: Controller
    number: Number
    digests: Digests = field(repr=False)

    @property
    def access_target(self) -> dict[str, str]:
        """Whose data is looked at, for the record of accesses."""
        return whose_number(self.controller.id, self.digests)


def known_to(policy: Policy, secrets: Secrets, number: str, controller: str | None) -> Claimant:
    """The number as that controller knows it, or the only one if None. Raises InputError and ConfigError as
    :func:`known_as`.
    """
    whose = the_controller(policy, controller)
    parsed = the_number(number, whose)
    return Claimant(whose, parsed, secrets.digests(whose.id, parsed))


def known_as(policy: Policy, secrets: Secrets, number: str, controller: str | None) -> Mapping[str, Digests]:
    """The number's digests by controller: for the named one, or for all.

    Look each digest up with its own controller only, even if two controllers' secrets are the same (invariant 7).

    Raises
    ------
    InputError, ConfigError
        If the number or the controller does not exist, the number means different ones in the countries of several controllers, or a secret
        is missing.
    """
    if controller is None and policy.controllers:
        whose = policy.controllers
    else:
        whose = (the_controller(policy, controller),)
    if len({parse(number, each.country) for each in whose}) > 1:
        raise InputError(
            "number",
            "it is not the same number in each country: write it with the country's code, or choose a controller",
        )
    return {each.id: secrets.digests(each.id, the_number(number, each)) for each in whose}


def access_target(controller: str, digests: Digests, looked_in: str) -> dict[str, str]:
    """Who was looked up, and where (``requests``, ``calls``, ``accesses`` or ``everything``), for the record of accesses."""
    return {**whose_number(controller, digests), "in": looked_in}
