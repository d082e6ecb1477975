"""The policy file: controllers, registers and campaigns, validated together."""

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from ccari.policy import accesses, faults
from ccari.policy.campaign import Campaign
from ccari.policy.declared import Contradiction, Declared
from ccari.policy.faults import Fault
from ccari.policy.parties import Controller, Register
from ccari.policy.recording import RecordingMode

#: The most characters in a file. A campaign takes some five hundred; a larger file is not a policy, or is meant to exhaust memory.
MOST_CHARACTERS = 2**20
#: A key of a hundred parts or more. A file has room for a key of a hundred thousand, for which tomllib exhausts memory.
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{99}}")
#: How many faults are reported, from the top down; and how many of the declared names an error lists.
MOST_FAULTS, MOST_KNOWN = 200, 40


class PolicyError(ValueError):
    """The policy file is wrong: each fault with its line, its key, what is wrong and what is allowed."""

    def __init__(self, found: Sequence[Fault]) -> None:
        if more := len(found) - MOST_FAULTS:
            found = found if more < 0 else [*found[:MOST_FAULTS], Fault(None, "", f"and {more} more faults")]
        super().__init__("\n".join(map(str, found)))
        self.faults = tuple(found)


class Policy(Declared):
    """``accesses_days``: for how many days the record of accesses tells who looked at whose data."""

    accesses_days: accesses.Days = accesses.DEFAULT_DAYS
    controllers: tuple[Controller, ...] = ()
    registers: tuple[Register, ...] = ()
    campaigns: tuple[Campaign, ...] = ()

    @property
    def recorded(self) -> Sequence[Campaign]:
        """The campaigns that record calls."""
        return [campaign for campaign in self.campaigns if campaign.recording.mode is not RecordingMode.OFF]

    def contradictions(self) -> Iterator[Contradiction]:
        if not self.controllers:
            yield Contradiction(("controllers",), "declare at least one")
        declared: dict[str, Sequence[Controller | Register | Campaign]] = {
            "controllers": self.controllers, "registers": self.registers, "campaigns": self.campaigns,
        }  # fmt: skip
        for kind, tables in declared.items():
            seen: set[str] = set()
            for place, table in enumerate(tables):
                if table.id in seen:
                    yield Contradiction((kind, place, "id"), f"{table.id!r} is declared twice")
                seen.add(table.id)
        controllers = {controller.id for controller in self.controllers}
        registers = {register.id for register in self.registers}
        yield from self._about_limits()
        for place, campaign in enumerate(self.campaigns):
            if campaign.controller not in controllers:
                yield Contradiction(
                    ("campaigns", place, "controller"),
                    f"{campaign.controller!r} is not one of the controllers: {_known(controllers)}",
                )
            for name in campaign.registers:
                if name not in registers:
                    yield Contradiction(
                        ("campaigns", place, "registers"),
                        f"{name!r} is not one of the registers: {_known(registers)}",
                    )

    def _about_limits(self) -> Iterator[Contradiction]:
        for place, controller in enumerate(self.controllers):
            days = {each.id: each.counts_for_days for each in self.campaigns_of(controller.id)}
            longest = max(days, key=lambda campaign: days[campaign], default=None)
            if controller.calls_days is not None and longest and controller.calls_days < days[longest]:
                yield Contradiction(
                    ("controllers", place, "calls_days"),
                    f"must be at least {days[longest]}, the days over which {longest!r} counts its calls to a number",
                )

    def campaigns_of(self, controller_id: str) -> list[Campaign]:
        return [each for each in self.campaigns if each.controller == controller_id]

    def registers_of(self, campaign: Campaign) -> tuple[Register, ...]:
        """The registers that a campaign's numbers must not be in. If its preset sets a maximum age for copies, each register's own limit
        is lowered to that.
        """
        rules = campaign.country_rules
        most = rules.register_days if rules and rules.register_days else None
        return tuple(
            register
            if most is None
            else register.model_copy(update={"max_age_days": min(most, register.max_age_days)})
            for register in self.registers
            if register.id in campaign.registers
        )

    @property
    def registers_in_use(self) -> tuple[Register, ...]:
        """The registers that campaigns name, each with its strictest age limit: a country's rules may require a newer copy."""
        least: dict[str, Register] = {}
        for campaign in self.campaigns:
            for each in self.registers_of(campaign):
                least[each.id] = min(
                    each, least.get(each.id, each), key=lambda register: register.max_age_days
                )
        return tuple(least.values())

    def registers_heeded_by(self, controller_id: str) -> tuple[Register, ...]:
        """The registers that affect a controller: only those that one of its own campaigns names."""
        heeded = {
            register for campaign in self.campaigns_of(controller_id) for register in campaign.registers
        }
        return tuple(register for register in self.registers if register.id in heeded)

    def asking(self, controller_id: str, purpose: str) -> tuple[str, ...]:
        """The ids of the controller's campaigns that rest on a consent to ``purpose``, and that its withdrawal ends."""
        return tuple(
            campaign.id
            for campaign in self.campaigns
            if campaign.controller == controller_id and campaign.asks_consent_to == purpose
        )

    def register(self, register_id: str) -> Register | None:
        return next((each for each in self.registers if each.id == register_id), None)

    def campaign(self, campaign_id: str) -> Campaign | None:
        return next((each for each in self.campaigns if each.id == campaign_id), None)

    def controller(self, controller_id: str) -> Controller | None:
        return next((each for each in self.controllers if each.id == controller_id), None)

    def controller_of(self, campaign: Campaign) -> Controller:
        return next(each for each in self.controllers if each.id == campaign.controller)


def _known(names: Collection[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:MOST_KNOWN]) + (", …" if len(shown) > MOST_KNOWN else "") or "none is declared"


def read(text: str) -> Policy:
    """The policy declared by a TOML text.

    Raises
    ------
    PolicyError
        With every fault on a line of its own.
    """
    if len(text) > MOST_CHARACTERS:
        raise PolicyError(
            [Fault(None, "", f"is not a policy: it has more than {MOST_CHARACTERS} characters")]
        )
    if deep_key := _DEEP_KEY.search(text):
        line = text.count("\n", 0, deep_key.start()) + 1
        raise PolicyError([Fault(line, "", "a key has too many parts")])
    text = text.removeprefix("\ufeff")  # some editors write it at the start of a file
    document: dict[str, Any] = {}
    try:
        document = tomllib.loads(text)
        return Policy.model_validate(document)
    except ValidationError as error:
        raise PolicyError(faults.of_validation(text, document, Policy, error)) from None
    except RecursionError:
        raise PolicyError([Fault(None, "", "not TOML: nested too deeply")]) from None
    except ValueError as error:
        # an error from tomllib, or one of Python's own that tomllib lets through
        raise PolicyError([faults.of_syntax(text, str(error), Policy)]) from None


def campaigns_declared(text: str) -> list[Campaign]:
    """The campaigns of an earlier revision.

    The text is not validated, because this ccari may refuse what an older one accepted. Raises ValueError if it is not TOML.
    """
    tables = tomllib.loads(text.removeprefix("\ufeff")).get("campaigns", ())
    return [Campaign.model_construct(**table) for table in tables]


def countries_declared(text: str) -> dict[str, set[str]]:
    """By controller, the countries whose law applied to its calls under an earlier revision: its own country, and those of its campaigns'
    presets. Parses like :func:`campaigns_declared`.
    """
    tables = tomllib.loads(text.removeprefix("\ufeff"))
    own = [(each.get("id"), each.get("country")) for each in tables.get("controllers", ())]
    called = [(each.get("controller"), each.get("preset")) for each in tables.get("campaigns", ())]
    found: dict[str, set[str]] = {}
    for controller, country in (*own, *called):
        if controller is not None and country is not None:
            found.setdefault(controller, set()).add(country)
    return found
