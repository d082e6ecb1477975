"""The policy file: controllers, registers and campaigns, validated whole."""

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from ccari.policy import faults
from ccari.policy.campaign import Campaign, RecordingMode
from ccari.policy.declared import Contradiction, Declared
from ccari.policy.faults import Fault
from ccari.policy.parties import Controller, Register

#: What a file may have, in characters: a campaign takes some five hundred. A larger one is none, or is meant to fill the memory.
MOST_CHARACTERS = 2**20
#: A key of a hundred parts: for one of a hundred thousand, which fits into a file, tomllib takes all memory there is.
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{99}}")
#: So many faults are told, from the top down; and of what there is to choose from, so many names.
MOST_FAULTS, MOST_KNOWN = 200, 40


class PolicyError(ValueError):
    """The policy file is wrong: each fault with its line, its key, what is wrong and what is allowed."""

    def __init__(self, found: Sequence[Fault]) -> None:
        if more := len(found) - MOST_FAULTS:
            found = found if more < 0 else [*found[:MOST_FAULTS], Fault(None, "", f"and {more} faults more")]
        super().__init__("\n".join(map(str, found)))
        self.faults = tuple(found)


class Policy(Declared):
    controllers: tuple[Controller, ...] = ()
    registers: tuple[Register, ...] = ()
    campaigns: tuple[Campaign, ...] = ()

    @property
    def recorded(self) -> Sequence[Campaign]:
        """The campaigns that record calls."""
        return [each for each in self.campaigns if each.recording.mode is not RecordingMode.OFF]

    def contradictions(self) -> Iterator[Contradiction]:
        if not self.controllers:
            yield Contradiction(("controllers",), "declare at least one")
        declared: dict[str, Sequence[Controller | Register | Campaign]] = {
            "controllers": self.controllers, "registers": self.registers, "campaigns": self.campaigns,
        }  # fmt: skip
        for kind, each in declared.items():
            seen: set[str] = set()
            for place, one in enumerate(each):
                if one.id in seen:
                    yield Contradiction((kind, place, "id"), f"{one.id!r} is declared twice")
                seen.add(one.id)
        controllers, registers = ({each.id for each in some} for some in (self.controllers, self.registers))
        yield from self._about_limits()
        for place, campaign in enumerate(self.campaigns):
            if campaign.controller not in controllers:
                yield Contradiction(
                    ("campaigns", place, "controller"),
                    f"{campaign.controller!r} is none of the controllers: {_known(controllers)}",
                )
            for name in campaign.registers:
                if name not in registers:
                    yield Contradiction(
                        ("campaigns", place, "registers"),
                        f"{name!r} is none of the registers: {_known(registers)}",
                    )

    def _about_limits(self) -> Iterator[Contradiction]:
        for place, controller in enumerate(self.controllers):
            counted = {
                each.id: each.counts_for_days for each in self.campaigns if each.controller == controller.id
            }
            longest = max(counted, key=lambda name: counted[name], default=None)
            if controller.calls_days is not None and longest and controller.calls_days < counted[longest]:
                yield Contradiction(
                    ("controllers", place, "calls_days"),
                    f"must be at least {counted[longest]}: for so many days {longest!r} counts its calls to a number",
                )

    def registers_of(self, campaign: Campaign) -> tuple[Register, ...]:
        """The registers that a campaign's numbers may not be in, each no older than the preset of its country asks."""
        rules = campaign.country_rules
        asked = rules.register_days if rules and rules.register_days else None
        return tuple(
            each if asked is None else each.model_copy(update={"max_age_days": min(asked, each.max_age_days)})
            for each in self.registers
            if each.id in campaign.registers
        )

    def registers_heeded_by(self, controller_id: str) -> tuple[Register, ...]:
        """The registers that act on a controller: those that a campaign of its own names, and no other."""
        heeded = {each for one in self.campaigns if one.controller == controller_id for each in one.registers}
        return tuple(each for each in self.registers if each.id in heeded)

    def asking(self, controller_id: str, purpose: str) -> tuple[str, ...]:
        """The controller's campaigns that rest on a consent to ``purpose``: what its withdrawal ends."""
        return tuple(
            each.id
            for each in self.campaigns
            if each.controller == controller_id and each.asks_consent_to == purpose
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
    """The policy that a TOML text declares.

    Raises
    ------
    PolicyError
        With every fault on a line of its own.
    """
    if len(text) > MOST_CHARACTERS:
        raise PolicyError([Fault(None, "", f"is no policy: it has more than {MOST_CHARACTERS} characters")])
    if found := _DEEP_KEY.search(text):
        raise PolicyError([Fault(text.count("\n", 0, found.start()) + 1, "", "no key has so many parts")])
    text = text.removeprefix("\ufeff")  # which some editors begin a file with
    document: dict[str, Any] = {}
    try:
        document = tomllib.loads(text)
        return Policy.model_validate(document)
    except ValidationError as error:
        raise PolicyError(faults.of_validation(text, document, Policy, error)) from None
    except RecursionError:
        raise PolicyError([Fault(None, "", "not TOML: nested too deeply")]) from None
    except ValueError as error:
        # what tomllib says, and what it lets through of Python's own
        raise PolicyError([faults.of_syntax(text, str(error))]) from None


def consents_asked(text: str) -> set[tuple[str, str, str]]:
    """Of a text that was applied once, each controller and campaign with the purpose of the consent that it asks for.

    As it was meant then: this ccari may refuse what an older one accepted. Raises ValueError if it is no TOML.
    """
    campaigns = [
        Campaign.model_construct(**each)
        for each in tomllib.loads(text.removeprefix("\ufeff")).get("campaigns", ())
    ]
    return {(each.controller, each.id, each.asks_consent_to) for each in campaigns}
