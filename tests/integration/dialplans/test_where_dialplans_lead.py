"""The shipped dialplans as Asterisk has loaded them: every way to a dial passes the gate's ALLOW."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ccari.policy.call import Outcome
from tests.integration.dialplans.conftest import SHIPPED
from tests.lab.dialplan import Dialplan, Place, Way, follow, read
from tests.lab.foreign import ForeignPbx

pytestmark = pytest.mark.asyncio(loop_scope="session")

OUTCOMES = frozenset(outcome.value for outcome in Outcome)
#: An old verdict, which must not count.
STALE = {"CCARI_VERDICT": "ALLOW", "EMERGENCYROUTE": ""}
CARRIER = "vicidial-auto-external"
HOOK, DUNDI_HOOK = "macro-dialout-trunk-predial-hook", "macro-dialout-dundi-predial-hook"
#: How FreePBX itself refuses.
REFUSAL = "app-blackhole,congestion,1"


@dataclass(frozen=True)
class Rule:
    """How a context may be left other than by a hang-up or after the gate's ALLOW: only while each of the variables in
    ``left_with`` has one of its values, which are separated by |. ``given``: global variables that the admin has set.
    """

    left_with: Mapping[str, str] | None = None
    given: Mapping[str, str] = field(default_factory=dict)

    def keeps(self, way: Way) -> bool:
        if way.state.allowed or (way.what == "leaves" and way.step.data == REFUSAL):
            return True
        return (
            way.what == "leaves"
            and self.left_with is not None
            and all(way.state.known.get(name) in value.split("|") for name, value in self.left_with.items())
        )


RULES: Mapping[str, list[Rule]] = {
    "ccari-outbound": [Rule()],
    "ccari-amd": [Rule()],
    "ccari-inbound": [
        Rule(),
        Rule(given={"CCARI_INBOUND_WITHOUT": "refuse"}),
        Rule({"CCARI_OUTCOME": "unavailable|blocked"}, given={"CCARI_INBOUND_WITHOUT": "connect"}),
        # callers whom no agent has answered
        Rule({"CCARI_OUTCOME": "failed"}, given={"CCARI_INBOUND_NO_AGENT": "voicemail,s,1"}),
    ],
    "ccari-inbound-agi": [
        Rule({"CCARI_ALIVE": "yes"}),
        Rule({"CCARI_ALIVE": "yes"}, given={"CCARI_INBOUND_WITHOUT": "refuse"}),
        Rule({}, given={"CCARI_INBOUND_WITHOUT": "connect"}),
    ],
    # the calling dialplan tests the verdict
    "ccari-gate": [Rule({"CCARI_VERDICT": "DENY"})],
    "ccari-vicidial": [Rule({"CCARI_VERDICT": "DENY"})],
    "ccari-alive": [Rule({})],
    "ccari-rights": [Rule({})],
    HOOK: [Rule()],
    DUNDI_HOOK: [Rule()],
    CARRIER: [Rule()],
}


def faults(plan: Dialplan) -> list[str]:
    return [
        f"{context}: {way}"
        for context, rules in RULES.items()
        for rule in rules
        for exten in plan[context]
        for way in follow(plan, Place(context, exten), known(rule), OUTCOMES)
        if not rule.keeps(way)
    ]


def known(rule: Rule) -> Mapping[str, str]:
    return {**STALE, "CCARI_INBOUND_WITHOUT": "", "CCARI_INBOUND_NO_AGENT": "", **rule.given}


def shipped_contexts() -> Iterator[str]:
    for file in sorted(Path(SHIPPED).rglob("*.conf")):
        yield from re.findall(r"^\[([^\]]+)\]", file.read_text(), re.MULTILINE)


async def shown(pbx: ForeignPbx) -> str:
    return "".join([await pbx.cli(f"dialplan show {context}") for context in RULES])


async def test_a_shipped_context_has_no_rule() -> None:
    assert sorted([*shipped_contexts(), CARRIER]) == sorted(RULES)


async def test_a_way_leads_past_the_gate_on_asterisk_16(old: ForeignPbx) -> None:
    assert faults(read(await shown(old))) == []


async def test_a_way_leads_past_the_gate(current: ForeignPbx) -> None:
    assert faults(read(await shown(current))) == []


async def test_an_emergency_is_asked_about(current: ForeignPbx) -> None:
    plan = read(await shown(current))
    ways = list(follow(plan, Place(HOOK, "s"), {**STALE, "EMERGENCYROUTE": "YES"}, OUTCOMES))
    assert {way.step.app for way in ways} == {"MacroExit", "Return"}
    assert not any(way.state.allowed for way in ways)


@pytest.mark.parametrize(
    ("context", "what", "by"),
    [
        ("ccari-gate", "Set(CCARI_VERDICT=DENY)", "NoOp()"),
        ("ccari-outbound", "Set(CDR_PROP(disable)=1)", "Dial(PJSIP/${EXTEN}@trunk)"),
        ("ccari-outbound", "Set(CDR_PROP(disable)=1)", "Goto(from-internal,${EXTEN},1)"),
        ("ccari-outbound", "Hangup(19)", "Queue(sales)"),
        ("ccari-outbound", "Hangup()", "Return()"),
        ("ccari-inbound", '!= "connect"]?refuse', '!= "refuse"]?refuse'),
        ("ccari-inbound", '= "unavailable"]?without', '= "bridged"]?without'),
        ("ccari-inbound", '= "no"]?ready', '= "no"]?return'),
        ("ccari-inbound", "Congestion(10)", "Dial(PJSIP/anna)"),
        ("ccari-inbound", '!= "failed"]?over', '= "failed"]?over'),
        ("ccari-inbound", "ISNULL(${CCARI_INBOUND_NO_AGENT})", "ISNULL(${CCARI_CALL})"),
        ("ccari-inbound-agi", '!= "connect"]?refuse', '= "connect"]?refuse'),
        (HOOK, 'GotoIf($["${CCARI_VERDICT}" != "ALLOW"]?refused)', "NoOp()"),
        (HOOK, '!= "ALLOW"]?refused', '= "DENIED"]?refused'),
        (HOOK, f"Goto({REFUSAL})", "MacroExit()"),
        (HOOK, f"Goto({REFUSAL})", "NoOp()"),
        (HOOK, '"${EMERGENCYROUTE}" = "YES"', '"${EMERGENCYROUTE}" != "YES"'),
        (CARRIER, '!= "ALLOW"]?refused', '= "ALLOW"]?refused'),
        (CARRIER, "Hangup()", "Dial(PJSIP/${EXTEN:1}@other)"),
        (CARRIER, "Hangup(${CCARI_CAUSE})", "Dial(PJSIP/${EXTEN:1}@trunk,55,o)"),
    ],
)  # fmt: skip
async def test_a_way_past_the_gate_is_not_found(
    current: ForeignPbx, context: str, what: str, by: str
) -> None:
    answer = await current.cli(f"dialplan show {context}")
    assert what in answer
    whole = await shown(current)
    assert faults(read(whole.replace(answer, answer.replace(what, by))))
