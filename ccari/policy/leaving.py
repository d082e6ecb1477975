"""The end of a controller's contract, Article 28(3)(g): what is deleted then, and what has to be over first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ccari.counting import counted


class Goes(StrEnum):
    """What is deleted with its controller, as nothing else ends it, in this order: what bars calls goes last."""

    CONTACTS = "contacts"
    CONSENTS = "consents"
    NOTICES = "notices"
    LIFTED = "lifted"
    SUPPRESSIONS = "suppressions"


class Keeps(StrEnum):
    """What has an end of its own, or waits for somebody. Until then the rest is needed with it: a bar may end a recording, a consent is
    the proof of its calls, and whoever has an open request must be found.
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
    """So much of one kind is held; the ``oldest`` of it came at that moment."""

    held: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Proofs:
    """So many consents whose proof the law has kept; that of the last one ``until`` that moment."""

    held: int
    until: datetime


def obstacles(campaigns: Iterable[str], kept: Mapping[Keeps, Amount], proofs: Proofs | None) -> list[str]:
    """Why a controller cannot be deleted yet, a line each, with what to do. ``campaigns``: those that the policy in force declares;
    ``proofs``: None also if a person has decided that they go (Art 28(3)(g): "unless … law requires storage").
    """
    called = [
        f"the campaign {each!r} is in the policy in force: take it out, and apply the policy"
        for each in campaigns
    ]
    kept_by_law = [] if proofs is None else [_by_law(proofs)]
    return [*called, *(_words(kind, kept[kind].held) for kind in Keeps if kind in kept), *kept_by_law]


def _by_law(proofs: Proofs) -> str:
    return (
        f"the law has the proof of {counted(proofs.held, 'consent')} kept until {proofs.until:%Y-%m-%d} (DE: §7a(2) UWG): wait, or hand it over "
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
    """Why no campaign of a controller can be declared whose deletion was ``begun``, and ``finished`` (both aware), with what to do."""
    return (
        f"{_deleted(controller, begun, finished)}, and with it who had objected, so nothing may be called for under that "
        "id again: give the controller another id, and import the objections that it has (ccari suppress import) before its first call"
    )


def entered_again(controller: str, begun: datetime, finished: datetime | None) -> str:
    """As :func:`called_again`, why nothing of the kinds in :class:`Goes` can be entered for it, or judged by them. What a person asks for
    can: it has to be answered (Art 12(3)), whatever is left.
    """
    return (
        f"{_deleted(controller, begun, finished)}, and nobody is called for that id again: if it has come back, use the id that it has now; "
        "if a person has asked for something, enter that as a request (ccari requests add)"
    )


def _deleted(controller: str, begun: datetime, finished: datetime | None) -> str:
    what = (
        f"is being deleted since {begun:%Y-%m-%d}"
        if finished is None
        else f"was deleted on {finished:%Y-%m-%d}"
    )
    return f"the controller {controller!r} {what}"
