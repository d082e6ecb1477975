"""The end of a controller's contract, Article 28(3)(g): what is deleted then, and what must end first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ccari.counting import counted
from ccari.policy.sentences import told


class Goes(StrEnum):
    """Data deleted with the controller, since nothing else ends them, in this order: what bars calls goes last."""

    CONTACTS = "contacts"
    CONSENTS = "consents"
    NOTICES = "notices"
    LIFTED = "lifted"
    SUPPRESSIONS = "suppressions"


class Keeps(StrEnum):
    """Data that end by themselves, or wait for somebody. Until then the rest is needed too: a bar may end a recording, a consent is the
    proof of its calls, and a person with an open request must be found.
    """

    OPEN_CALLS = "open_calls"
    OPEN_REQUESTS = "open_requests"
    UNTOLD = "untold"
    HOLDS = "holds"
    RECORDINGS = "recordings"
    CALLS = "calls"
    REQUESTS = "requests"


@dataclass(frozen=True, slots=True)
class Amount:
    """How many of one kind are held, and when the ``oldest`` came."""

    held: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Proofs:
    """The proofs of consents that the law still requires: how many, and ``until`` when the last of them, which is named in its time zone."""

    held: int
    until: datetime


def obstacles(campaigns: Iterable[str], kept: Mapping[Keeps, Amount], proofs: Proofs | None) -> list[str]:
    """Why a controller cannot be deleted yet, a line each, with what to do. ``campaigns``: those declared by the policy in force;
    ``proofs``: None if there are none, or a person has decided to delete them (Art 28(3)(g): "unless … law requires storage").
    """
    called = [
        f"the campaign {each!r} is in the policy in force: take it out, and apply the policy"
        for each in campaigns
    ]
    kept_by_law = [] if proofs is None else [_by_law(proofs)]
    return [*called, *(_words(kind, kept[kind].held) for kind in Keeps if kind in kept), *kept_by_law]


def _by_law(proofs: Proofs) -> str:
    return (
        f"the law has the proof of {counted(proofs.held, 'consent')} kept until {told(proofs.until)} (DE: §7a(2) UWG): wait, or hand it over "
        "to be kept, and add --drop-proof"
    )


def _words(kind: Keeps, held: int) -> str:
    match kind:
        case Keeps.OPEN_CALLS:
            return f"{counted(held, 'call is', 'calls are')} in progress: wait for the end"
        case Keeps.OPEN_REQUESTS:
            return f"{counted(held, 'request is open', 'requests are open')}: ccari requests list --open"
        case Keeps.UNTOLD:
            waits = counted(held, "step of a request waits", "steps of requests wait")
            return f"{waits} to be forwarded, which a running service sees to: ccari requests forwards"
        case Keeps.HOLDS:
            return f"{counted(held, 'legal hold stands', 'legal holds stand')}: ccari recordings holds"
        case Keeps.RECORDINGS:
            return (
                f"{counted(held, 'recording is', 'recordings are')} kept until the campaign's limit: ccari recordings list; to delete one "
                "now: ccari recordings purge RECORDING --reason WHY"
            )
        case Keeps.CALLS:
            whose = counted(held, "call has not expired", "calls have not expired")
            return f"{whose}: calls_days of the controller in the policy ends them; ccari calls purge shows what holds them"
        case Keeps.REQUESTS:
            whose = counted(held, "closed request has not expired", "closed requests have not expired")
            return f"{whose}: requests_days of the controller in the policy ends them; ccari requests purge shows what holds them"


def called_again(controller: str, begun: datetime, finished: datetime | None) -> str:
    """Why campaigns cannot be declared for a controller whose deletion was ``begun``, and ``finished``, with what to do. These
    moments are named in their time zones.
    """
    return (
        f"{_deleted(controller, begun, finished)}, and with it who had objected, so nothing may be called for under that "
        "id again: give the controller another id, and import the objections that it has (ccari suppress import) before its first call"
    )


def entered_again(controller: str, begun: datetime, finished: datetime | None) -> str:
    """Like :func:`called_again`: why nothing of the kinds in :class:`Goes` can be entered for it, or judged by them. A person's request
    can: it must be answered (Art 12(3)), whatever is left.
    """
    return (
        f"{_deleted(controller, begun, finished)}, and nobody is called for that id again: if it has come back, use the id that it has now; "
        "if a person has asked for something, enter that as a request (ccari requests add)"
    )


def _deleted(controller: str, begun: datetime, finished: datetime | None) -> str:
    what = f"is being deleted since {told(begun)}" if finished is None else f"was deleted on {told(finished)}"
    return f"the controller {controller!r} {what}"
