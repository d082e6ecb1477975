"""The calls that are played: their campaigns, and what the people on the telephones do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ccari.policy.call import Direction
from ccari.policy.declaration import Policy, read

if TYPE_CHECKING:
    from tests.unit.interleaving.run import Run

_POLICY = """
[[controllers]]
id = "acme"
name = "ACME Sp. z o.o."
country = "PL"
dpo = "iod@acme.example"
"""
_CAMPAIGN = """
[[campaigns]]
id = "{id}"
controller = "acme"
purpose = "odnowienie umowy"
legal_basis = "contract"
data_source = "umowa zawarta z ACME"
dial = "PJSIP/{{number}}@trunk"
agent = "{agent}"
transfer = "PJSIP/{{extension}}"
[campaigns.recording]
mode = "{mode}"
[campaigns.notice]
prompts = ["identity", "recording"]
[campaigns.keys]
"2" = "continue_unrecorded"
"7" = "erasure"
"8" = "access"
{more}
[campaigns.agent_keys]
"*1" = "pause_recording"
"*2" = "resume_recording"
"""
_AGREES = '"1" = "consent_recording"'
#: A campaign for each way to record, named after it; and one that rings the same agent each time.
_CAMPAIGNS = [
    *(
        {"id": mode, "mode": mode, "agent": "PJSIP/{agent}", "more": _AGREES if mode == "opt_in" else ""}
        for mode in ("notice", "opt_out", "opt_in", "off")
    ),
    {"id": "power", "mode": "opt_out", "agent": "PJSIP/anna", "more": ""},
]
POLICY: Policy = read(_POLICY + "".join(_CAMPAIGN.format(**each) for each in _CAMPAIGNS))

Act = Callable[["Run"], None]


def press(key: str) -> Act:
    return lambda run: run.press(key)


def hang_up(party: str) -> Act:
    return lambda run: run.hang_up(party)


def refer(run: "Run") -> None:
    run.refer("1002")


def lose(run: "Run") -> None:
    run.asterisk.lose()


def confuse(run: "Run") -> None:
    run.asterisk.confused = True
    run.asterisk.lose()


def kill(run: "Run") -> None:
    run.kill()


def end_recorder(run: "Run") -> None:
    run.end_recorder()


def type_code(code: str) -> Act:
    return lambda run: run.type_code(code)


@dataclass(frozen=True)
class Story:
    """``after``: what happens how many seconds after something has happened for the n-th time: ``("together", 1)``. ``withheld``: the
    caller withholds their number, so that no right of theirs can be registered.
    """

    campaign: str
    direction: Direction = Direction.OUTBOUND
    after: Mapping[tuple[str, int], tuple[tuple[float, Act], ...]] = field(default_factory=dict)
    answers: bool = True
    stereo: bool = False
    withheld: bool = False

    def reactions(self, what: str, nth: int) -> tuple[tuple[float, Act], ...]:
        return self.after.get((what, nth), ())


def _story(campaign: str, *after: tuple[str, float, Act], **more: Any) -> Story:
    found: dict[tuple[str, int], tuple[tuple[float, Act], ...]] = {}
    for what, seconds, act in after:
        found[what, 1] = (*found.get((what, 1), ()), (seconds, act))
    return Story(campaign, after=found, **more)


_TALK = ("together", 5.0, hang_up("callee"))
STORIES: dict[str, Story] = {
    "recorded": _story("opt_out", _TALK),
    "recorded in stereo": _story("notice", _TALK, stereo=True),
    "unrecorded": _story("off", _TALK),
    "agreed": _story("opt_in", ("played recording_opt_in", 0.5, press("1")), _TALK),
    "not agreed": _story("opt_in", _TALK),
    "refused in the notice": _story("opt_out", ("playing recording_opt_out", 0.7, press("2")), _TALK),
    "right in the talk": _story("opt_out", ("together", 2.0, press("7")), ("together", 12.0, hang_up("callee"))),
    "refused in the talk": _story("opt_out", ("together", 2.0, press("2")), ("together", 9.0, hang_up("agent"))),
    "callee hangs up in the notice": _story("opt_out", ("playing recording_opt_out", 0.7, hang_up("callee"))),
    "agent hangs up": _story("opt_out", ("together", 3.0, hang_up("agent"))),
    "refused after the agent has gone": _story("opt_out", ("together", 2.0, hang_up("agent")), ("together", 2.001, press("2")),
                                               ("together", 4.0, press("2"))),
    "paused": _story("opt_out", ("together", 1.5, type_code("*1")), ("together", 6.0, type_code("*2")),
                     ("together", 14.0, hang_up("callee"))),
    "recorder ends as it is paused": _story("opt_out", ("together", 1.5, type_code("*1")), ("together", 1.5015, end_recorder),
                                            ("together", 14.0, hang_up("callee"))),
    "transferred": _story("opt_out", ("together", 2.0, refer), ("transfer answered", 0.1, hang_up("agent")),
                          ("gone colleague", 0.1, hang_up("callee")), ("together", 25.0, hang_up("callee"))),
    "taken up": _story("opt_out", ("together", 2.0, lose), ("together", 6.0, press("8")), ("together", 16.0, hang_up("callee"))),
    "taken up after a surprise": _story("opt_out", ("together", 2.0, confuse), ("together", 6.0, press("8")),
                                        ("together", 16.0, hang_up("callee"))),
    "busy": _story("opt_out", answers=False),
    "inbound": _story("opt_out", _TALK, direction=Direction.INBOUND),
    "refused by nobody after the agent has gone": _story("opt_out", ("together", 2.0, hang_up("agent")), ("together", 2.001, press("2")),
                                                         direction=Direction.INBOUND, withheld=True),
    "refused by nobody in a talk that outlives its service": _story(
        "opt_out", ("together", 2.0, press("2")), ("together", 14.0, kill), ("together", 25.0, hang_up("callee")),
        direction=Direction.INBOUND, withheld=True,
    ),
    "placed for an agent": _story("opt_out", _TALK, direction=Direction.AGENT_FIRST),
    "placed by a dialler": _story("power", _TALK, direction=Direction.CALLEE_FIRST),
}  # fmt: skip
