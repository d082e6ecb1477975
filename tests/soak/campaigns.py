"""The consequences of ``policy.toml``, written by hand: the checker does not ask the product what is right."""

from dataclasses import dataclass, field

from tests.integration.studio import TONES

#: What bars a call under a contract, and what bars one for direct marketing (Art 21(2), 7(3)). Nothing bars a call that
#: a law demands.
_CONTRACT = frozenset({"erasure", "restriction", "do_not_call"})
_MARKETING = _CONTRACT | {"objection_marketing", "objection", "withdraw_consent"}
#: The bars that a right enters at once, and the rights that end the recording.
BARRED_BY_RIGHT = {"erasure": "erasure", "objection_marketing": "objection_marketing"}
STOPS_RECORDING = frozenset({"erasure", "refuse_recording"})
RIGHTS = frozenset({"refuse_recording", "erasure", "access", "objection_marketing"})
PAUSE, RESUME = "pause", "resume"
_RECORDED = ("identity", "recording_notice")


@dataclass(frozen=True)
class Declared:
    """A campaign. ``caller``: the digits it calls from, "" if people call it; ``mode``: as in the policy.

    ``notice``: the prompts that must be heard before an agent is; ``keys``: the callee's keys and their meanings;
    ``codes``: the agent's codes; ``transfers``: whether the agent may transfer the callee to a colleague.
    """

    controller: str
    caller: str
    mode: str
    barred_by: frozenset[str]
    keys: dict[str, str]
    notice: tuple[str, ...] = _RECORDED
    codes: dict[str, str] = field(default_factory=dict)
    transfers: bool = False

    @property
    def inbound(self) -> bool:
        return not self.caller

    @property
    def notice_tones(self) -> tuple[float, ...]:
        """In Hz, as the studio records them."""
        return tuple(TONES[each] for each in self.notice)


_ERASE_AND_ASK = {"7": "erasure", "8": "access"}
_REFUSE = {"2": "refuse_recording", **_ERASE_AND_ASK}
_PAUSES = {"*1": PAUSE, "*2": RESUME}
_ALL_CODES = {**_PAUSES, "*0": "refuse_recording", "*7": "erasure", "*8": "access"}
CAMPAIGNS = {
    "renewals": Declared(
        "acme", "48221110001", "opt_out", _CONTRACT, _REFUSE, codes=_ALL_CODES, transfers=True
    ),
    "offers": Declared(
        "acme", "48221110002", "notice", _MARKETING, {"5": "objection_marketing", **_ERASE_AND_ASK}
    ),
    "survey": Declared(
        "acme",
        "48221110003",
        "opt_in",
        _CONTRACT,
        {"1": "agree", "2": "refuse_recording", "7": "erasure"},
        codes=_PAUSES,
    ),
    "helpline": Declared("acme", "", "opt_out", _CONTRACT, _REFUSE, transfers=True),
    "visits": Declared(
        "bravo", "48221110004", "opt_out", _CONTRACT, _REFUSE, codes=_ALL_CODES, transfers=True
    ),
    "orders": Declared(
        "bravo", "48221110005", "mandatory", frozenset(), _ERASE_AND_ASK, codes={"*8": "access"}
    ),
    "reminders": Declared(
        "bravo", "48221110006", "off", _CONTRACT, _ERASE_AND_ASK, notice=("identity", "purpose")
    ),
}
CONTROLLERS = ("acme", "bravo")
BY_CALLER = {each.caller: name for name, each in CAMPAIGNS.items() if each.caller}
