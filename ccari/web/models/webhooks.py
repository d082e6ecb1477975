"""The queue of messages to webhooks."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from ccari.policy.declared import Identifier
from ccari.ports.webhooks import DeliveryState
from ccari.ports.webhooks import Told as Event
from ccari.web.models.base import Given, Told
from ccari.web.models.fields import AfterId, Limit, NextId


class DeliveryPath(Given):
    number: Annotated[int, Field(ge=1, lt=2**63)]


class DeliveriesQuery(Given):
    controller: Identifier | None = None
    state: DeliveryState | None = None
    endpoint: Identifier | None = None
    limit: Limit = 100
    after: AfterId = None


class DeliveryRow(Told):
    """``message``: the `webhook-id`. ``subject``: the id of the call or recording, or the reference of the request."""

    id: int
    message: UUID
    endpoint: str
    event: Event
    subject: str
    controller: str | None
    state: str
    tries: int
    at: datetime
    first_try_at: datetime | None
    next_try_at: datetime | None
    settled_at: datetime | None
    fault: str


class DeliveryPage(Told):
    items: tuple[DeliveryRow, ...]
    next: NextId


class Retried(Told):
    retried: tuple[int, ...]
