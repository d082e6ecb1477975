"""What a call that is flooded with events lets go of."""

from typing import cast

from ccari.calls.desk import Desk, Order
from ccari.calls.runner import INBOX_EVENTS, CallRunner
from ccari.policy.messages import Direction, Event, KeyPressed, Withdrawn


async def test_a_flood_of_keys_grows_without_bound_or_loses_a_right() -> None:
    """The call is not run, as if one command took for ever; its desk is never asked."""
    runner = CallRunner(
        Order(Direction.OUTBOUND, "+48600100001", "renewals", "agent-channel", "anna"), cast("Desk", None)
    )
    for digit in ["7", *"1" * (INBOX_EVENTS - 1), "8"]:
        runner.take({"type": "ChannelDtmfReceived", "channel": {"id": runner.ids.callee}, "digit": digit})
    left: list[Event] = [runner._inbox.get_nowait() for _ in range(runner._inbox.qsize())]
    assert left == [KeyPressed("7"), KeyPressed("1"), KeyPressed("8"), Withdrawn("overload")]
