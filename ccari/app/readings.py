"""Metrics that are read from the parts at each scrape."""

from ccari.app.parts import Parts
from ccari.app.telephony import Telephony
from ccari.calls.switchboard import Switchboard
from ccari.metrics import catalogue


def register(parts: Parts, telephony: Telephony | None, calls: Switchboard) -> None:
    """Register the readings with the metrics. Without ARI no metric reports Asterisk as away, so no alert fires."""
    metrics, database = parts.metrics, parts.store.database

    def pool() -> dict[tuple[str, ...], float]:
        busy, idle, _ = database.connections
        return {("busy",): busy, ("idle",): idle}

    if telephony is not None:
        link, fence = telephony.link, telephony.fence
        metrics.number(catalogue.ASTERISK_UP, link.connected.is_set)
        metrics.number(catalogue.ASTERISK_CONNECTIONS, lambda: link.connections)
        metrics.number(catalogue.FENCE_HELD, lambda: fence.is_held)
    metrics.number(catalogue.UNDER_WAY, lambda: len(calls.under_way))
    metrics.number(catalogue.CALLS_MOST, lambda: parts.settings.calls.at_once)
    metrics.read(catalogue.POOL, pool)
    metrics.number(catalogue.POOL_MOST, lambda: database.connections[-1])
