"""Who has asked for something under a number, as each controller knows them: what a letter that names a number asks first."""

from collections.abc import Mapping

from ccari.errors import InputError
from ccari.gating.naming import the_controller, the_number
from ccari.gating.subjects import whose_number
from ccari.policy.declaration import Policy
from ccari.policy.numbers import parse
from ccari.ports.keying import Digests, Secrets


def known_as(policy: Policy, secrets: Secrets, number: str, controller: str | None) -> Mapping[str, Digests]:
    """By controller the digests of the number under each version of its secret: of the one that is named, else of all.

    A digest is looked for with its controller alone, though another's secret be a copy (invariant 7).

    Raises
    ------
    InputError, ConfigError
        If number or controller are none, the number is another one by another controller's country, or there is no secret.
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


def at_what(controller: str, digests: Digests) -> dict[str, str]:
    """Whose requests somebody looks for, for the record of accesses."""
    return {**whose_number(controller, digests), "in": "requests"}
