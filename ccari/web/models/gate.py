"""Asking the gate."""

from typing import Literal

from pydantic import Field

from ccari.policy.gate import Block
from ccari.web.models.base import Body, Told
from ccari.web.models.fields import CampaignId, NumberText


class GateAsk(Body):
    number: NumberText = Field(repr=False)
    campaign: CampaignId


class GateAnswer(Told):
    """``reason`` and ``why`` are empty if the call is allowed."""

    verdict: Literal["allow", "block"]
    reason: Block | Literal[""]
    why: str
    campaign: str
    number: str | None = None
    controller: str | None = None
    legal_basis: str | None = None
