"""A number as each controller knows it, for looking up its requests, its calls and the looks at them: a letter may name only that."""

from collections.abc import Mapping

from ccari.errors import InputError
from ccari.office.naming import the_controller, the_number
from ccari.policy.declaration import Policy
from ccari.policy.numbers import parse
from ccari.ports.accesses import whose_number
from ccari.ports.keying import Digests, Secrets


def known_as(policy: Policy, secrets: Secrets, number: str, controller: str | None) -> Mapping[str, Digests]:
    """The number's digests by controller: for the one that is named, or else for all.

    Each digest is to be looked up with its controller only, even if two controllers' secrets are the same (invariant 7).

    Raises
    ------
    InputError, ConfigError
        If the number or the controller does not exist, the number is a different one in the countries of several controllers, or a
        secret is missing.
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
    """Who was looked up, and in what (``requests``, ``calls`` or ``accesses``), for the record of accesses."""
    return {**whose_number(controller, digests), "in": looked_in}
