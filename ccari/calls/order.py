"""The order for one call: what a dialplan asks for as it hands a channel over, unchecked."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ccari.gating.labels import NAMELESS, agent_name, label
from ccari.gating.means import RequestedCall
from ccari.policy.call import Direction


@dataclass(frozen=True, slots=True)
class Order(RequestedCall):
    """A call over Stasis as requested. ``channel``: the channel that the dialplan handed over, if any;
    ``made_as``: how it was made, such as ``PJSIP/anna``; ``answered``: whether it was answered before.
    """

    channel: str | None = None
    made_as: str = ""
    answered: bool = False

    @property
    def technology(self) -> str:
        return self.made_as.partition("/")[0]

    @property
    def rings_agent(self) -> bool:
        """False only for outbound calls, where the agent is already on the line."""
        return self.direction is not Direction.OUTBOUND


def order_of(channel: Mapping[str, Any], args: list[str]) -> Order:
    """Read ``Stasis(ccari,outbound,NUMBER,CAMPAIGN[,AGENT])`` or ``Stasis(ccari,inbound,CAMPAIGN[,DESTINATION])``.

    Asterisk has split the arguments at commas.
    """
    name = str(channel["name"])
    own = agent_name(name)
    order = functools.partial(
        Order, channel=channel["id"], made_as=name.rpartition("-")[0], answered=channel["state"] == "Up"
    )
    match args:
        case ["outbound", number, campaign]:
            return order(Direction.OUTBOUND, number, campaign or NAMELESS, own)
        case ["outbound", number, campaign, agent]:
            return order(Direction.OUTBOUND, number, campaign or NAMELESS, label(agent))
        case ["inbound", campaign]:
            return order(Direction.INBOUND, _caller(channel), campaign or NAMELESS, label(campaign))
        case ["inbound", campaign, destination]:
            caller = _caller(channel)
            return order(Direction.INBOUND, caller, campaign or NAMELESS, label(destination), destination)
        case ["inbound", *_]:
            return order(Direction.INBOUND, None, "", own)
        case _:
            return order(Direction.OUTBOUND, None, "", own)


def _caller(channel: Mapping[str, Any]) -> str:
    return str(channel["caller"]["number"])
