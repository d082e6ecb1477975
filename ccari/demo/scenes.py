"""The scenes of the demo: who is called, what they do, and how the call must end."""

from dataclasses import dataclass

from ccari.policy.call import Outcome
from ccari.policy.suppression import Reason


@dataclass(frozen=True, slots=True)
class Scene:
    """One call, and how it must end. ``number``: one that the far Asterisk has a behaviour for. ``agent``: what the agent's phone does.
    ``invites``: how many INVITEs to the number the far Asterisk must have received by then.

    Before the call, ``suppressed`` bars the number, and ``consented`` enters its consent to marketing.
    """

    title: str
    number: str
    campaign: str
    agent: str
    outcome: Outcome
    reason: str
    recorded: bool
    invites: int
    suppressed: Reason | None = None
    consented: bool = False


SCENES = (
    Scene(
        "A callee listens to the notice, then talks to the agent",
        "+48600100001", "renewals", "drops-5", Outcome.BRIDGED, "", recorded=True, invites=1,
    ),
    Scene(
        "A callee presses 1 when asked in the notice: recorded, by consent",
        "+48600301906", "survey", "drops-5", Outcome.BRIDGED, "", recorded=True, invites=1,
    ),
    Scene(
        "A number that never consented to marketing is on the list of an offer",
        "+48600100007", "offers", "talks", Outcome.BLOCKED, "no_consent", recorded=False, invites=0,
    ),
    Scene(
        "A callee who has consented, and objected since, is on the list of an offer",
        "+48600100002", "offers", "talks", Outcome.BLOCKED, "suppressed_objection_marketing", recorded=False,
        invites=0, suppressed=Reason.OBJECTION_MARKETING, consented=True,
    ),
    Scene(
        "A callee who has consented presses 6 in the notice of the offer: consent withdrawn",
        "+48600306308", "offers", "talks", Outcome.RIGHT_EXERCISED, "withdraw_consent", recorded=False, invites=1,
        consented=True,
    ),
    Scene(
        "A callee presses 7 in the notice: erasure",
        "+48600307303", "renewals", "talks", Outcome.RIGHT_EXERCISED, "erasure", recorded=False, invites=1,
    ),
    Scene(
        "The same callee is called again",
        "+48600307303", "renewals", "talks", Outcome.BLOCKED, "suppressed_erasure", recorded=False, invites=1,
    ),
    Scene(
        "A callee presses 2 in the notice: no recording, the talk goes on",
        "+48600302904", "renewals", "drops-5", Outcome.BRIDGED, "recording_refused", recorded=False, invites=1,
    ),
    Scene(
        "A callee hangs up during the notice",
        "+48600400205", "renewals", "talks", Outcome.CALLEE_HANGUP, "", recorded=False, invites=1,
    ),
)  # fmt: skip
