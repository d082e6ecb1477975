"""Invariant 3: no two parties are bridged before the notice was heard, according to the journal and to the callee's
ear.
"""

from collections.abc import Iterator

from tests.lab.callees import AGENT_TONE_HZ
from tests.soak.account import Account
from tests.soak.campaigns import CAMPAIGNS
from tests.soak.checks.matching import heard_in
from tests.soak.checks.violation import Violation

#: The least that must be heard of a prompt of 0.8 s, allowing for edges and lost packets.
WHOLE_SECONDS = 0.5


def bridged_too_early(account: Account) -> Iterator[Violation]:
    for call in account.calls:
        if not account.calm and call.ended_at is None:
            # its row and its journal were read one after the other
            continue
        bridged, heard = call.first("call_bridged"), call.first("notice_heard")
        if bridged is not None and (heard is None or heard.seq > bridged.seq or call.heard_at is None):
            yield Violation(3, "bridged before the notice was heard", call.id, f"entry {bridged.seq}")
    for told, call in heard_in(account):
        agent = next((each for each in told.tones if each.hz == AGENT_TONE_HZ), None)
        if agent is None:
            continue
        for hz in CAMPAIGNS[call.campaign].notice_tones:
            before = sum(
                each.seconds for each in told.tones if each.hz == hz and each.ended <= agent.began + 0.1
            )
            if before < WHOLE_SECONDS:
                yield Violation(
                    3, "the callee heard the agent before the notice", call.id,
                    f"agent at {agent.began:.1f} s, of {hz:.0f} Hz {before:.1f} s before",
                )  # fmt: skip
