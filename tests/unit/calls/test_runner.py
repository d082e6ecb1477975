"""What a call that is flooded with events lets go of."""

from typing import cast

from ccari.calls.desk import Desk, Order
from ccari.calls.runner import INBOX_EVENTS, CallRunner
from ccari.policy.call import Direction, Event, Party
from ccari.policy.call import events as on


async def test_a_flood_of_keys_grows_without_bound_or_loses_a_right() -> None:
    """The call is not run, as if one command took for ever; its desk is never asked."""
    runner = CallRunner.of(
        Order(Direction.OUTBOUND, "+48600100001", "renewals", "agent-channel", "anna"), cast("Desk", None)
    )
    for digit in ["7", *"1" * (INBOX_EVENTS - 1), "8"]:
        runner.take({"type": "ChannelDtmfReceived", "channel": {"id": runner.ids.callee}, "digit": digit})
    left: list[Event] = [runner._inbox.get_nowait() for _ in range(runner._inbox.qsize())]
    assert left == [on.KeyPressed("7"), on.KeyPressed("1"), on.KeyPressed("8"), on.Withdrawn("overload")]


async def test_a_phone_that_hangs_up_as_it_transfers_takes_the_colleague_along() -> None:
    """Its end waits in the inbox while the transfer is decided, and is not the colleague's."""
    runner = CallRunner.of(
        Order(Direction.AGENT_FIRST, "+48600100001", "renewals", None, "anna"), cast("Desk", None)
    )
    gone = {"type": "ChannelDestroyed", "cause": 16}
    runner.take(gone | {"channel": {"id": runner.ids.agent}})
    runner.take({"type": "ChannelDtmfReceived", "channel": {"id": runner.ids.callee}, "digit": "7"})
    runner._forget_agent()
    runner.ids.hand_over()
    runner.take(gone | {"channel": {"id": runner.ids.agent}})
    left: list[Event] = [runner._inbox.get_nowait() for _ in range(runner._inbox.qsize())]
    assert left == [on.KeyPressed("7"), on.Gone(Party.AGENT, 16)]
