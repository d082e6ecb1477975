"""The queue of messages to webhooks, over HTTP, with those that were given up."""

from typing import Protocol

from ccari.ports.webhooks import DeliveryLog
from ccari.web.front import Ask, Ports, Reply
from ccari.web.models.webhooks import DeliveriesQuery, DeliveryPage, DeliveryPath, Retried
from ccari.web.paging import cut
from ccari.web.problems import not_there


class WebhookPorts(Ports, Protocol):
    @property
    def webhooks(self) -> DeliveryLog: ...


async def list_deliveries(ask: Ask[WebhookPorts]) -> Reply[DeliveryPage]:
    """Messages to webhooks, the newest first: delivered, waiting, or `given_up`."""
    query: DeliveriesQuery = ask.query
    rows = await ask.front.webhooks.page(
        query.limit + 1, state=query.state, endpoint=query.endpoint, controllers=await ask.narrowed(query.controller),
        after=query.after,
    )  # fmt: skip
    page, then = cut(rows, query.limit, lambda row: row["id"])
    return Reply(DeliveryPage.model_validate({"items": page, "next": then}))


async def retry(ask: Ask[WebhookPorts]) -> Reply[Retried]:
    """Try again at once a message that was given up, or waits for its next try, as if for the first time."""
    path: DeliveryPath = ask.path
    retried = await ask.front.webhooks.retry(path.number, controllers=ask.controllers)
    if not retried:
        raise not_there()
    return Reply(Retried(retried=tuple(retried)))
