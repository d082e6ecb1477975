"""Calls in progress."""

from pydantic import RootModel

from ccari.policy.declared import Identifier
from ccari.ports.live import LiveCall
from ccari.web.models.base import Given
from ccari.web.models.fields import OneLine


class LiveQuery(Given):
    controller: Identifier | None = None
    campaign: OneLine | None = None


class LiveCallEvent(RootModel[LiveCall]):
    """``data`` of an event ``call``."""
