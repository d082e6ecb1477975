"""What a person is told of their data: the list of Art 15(1), or what Art 20 lets them take along."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign
from ccari.policy.mandate import PORTABLE
from ccari.policy.parties import Controller
from ccari.policy.retention import Limited
from ccari.policy.rights import EFFECTS, Right
from ccari.ports.subjects import Holdings, Mandate

FORMAT = "ccari subject export 1"
#: How something came to be known, as `origin` begins where ccari has written it.
_WAYS = frozenset({"cli", "import", "token", "request", "call", "demo", "erased"})
#: Of what has no limit, the criteria.
_UNTIL = {Limited.REQUESTS: "they are no longer needed as proof that they were answered (Art 5(2))"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks whom for what. ``campaigns``: as they were declared in each revision, by its number and their id;
    ``registers``: what those that may list the number are called, by their id.
    """

    mandate: Mandate
    controller: Controller
    number: str = field(repr=False)
    campaigns: Mapping[tuple[int, str], Campaign] = field(default_factory=dict, repr=False)
    registers: Mapping[str, str] = field(default_factory=dict)

    @property
    def portability(self) -> bool:
        return self.mandate.right is Right.PORTABILITY


def account(asked: Asked, holdings: Holdings, audio: Mapping[str, str]) -> dict[str, Any]:
    """All of it, for JSON and for the page. ``audio``: where the audio of a recording is in the file, by its id."""
    told: dict[str, Any] = {
        "format": FORMAT, "made_at": datetime.now(UTC), "reference": asked.mandate.reference,
        "right": asked.mandate.right, "article": EFFECTS[asked.mandate.right].article, "number": asked.number,
        "controller": {"id": asked.controller.id, "name": asked.controller.name, "country": asked.controller.country,
                       "dpo": asked.controller.dpo},
        "portability": asked.portability,
        "calls": [_call(each, asked) for each in holdings.calls if _may(each, asked)],
        "contacts": [_entered(_based(each)) for each in holdings.contacts if _may(each, asked)],
        # each is on consent
        "consents": [_entered(each) for each in holdings.consents],
        "recordings": [_recording(each, audio) for each in holdings.recordings if _may(each, asked)],
    }  # fmt: skip
    of_calls = {each["id"] for each in told["calls"]}
    told["heard"] = [
        dict(each) for each in holdings.heard if not asked.portability or each["call_id"] in of_calls
    ]
    if asked.portability:
        return told
    return told | {
        "suppressions": [_entered(each) for each in holdings.suppressions],
        "registers": [{"name": asked.registers.get(each["register"]), **each} for each in holdings.listings],
        "requests": [dict(each) for each in holdings.requests],
        # when, and what for: CJEU C-579/21
        "accesses": [dict(each) for each in holdings.accesses],
        "recipients": _recipients(asked, holdings), "passed_on": _passed_on(holdings.forwards),
        "kept_for_claims": holdings.kept_for_claims,
        "retention": _retention(asked, holdings),
        "rights": [{"right": right, "article": EFFECTS[right].article} for right in Right] + [
            {"right": "complaint to a supervisory authority", "article": "77"}],
        "automated_decisions": "none, Art 22",
    }  # fmt: skip


def _may(row: Mapping[str, Any], asked: Asked) -> bool:
    basis = row["legal_basis"]
    return not asked.portability or (basis is not None and LegalBasis(basis) in PORTABLE)


def _based(row: Mapping[str, Any]) -> dict[str, Any]:
    basis = row["legal_basis"]
    return {**row, "legal_basis_iri": LegalBasis(basis).iri if basis else None}


def _entered(row: Mapping[str, Any]) -> dict[str, Any]:
    """By which way it came; the rest of that names who works there (Art 15(4)), and what a list says of itself may do so too."""
    way = row["origin"].partition(":")[0]
    return {**row, "origin": way if way in _WAYS else "import"}


def _call(row: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    campaign = asked.campaigns.get((row["revision"], row["campaign"]))
    return {
        **_based(row), "number": asked.number, "purpose": campaign.purpose if campaign else None,
        "data_source": campaign.data_source if campaign else None,
    }  # fmt: skip


def _recording(row: Mapping[str, Any], audio: Mapping[str, str]) -> dict[str, Any]:
    """Without the place where it lies and the number of those who can open it, which are nobody's data."""
    told = {name: value for name, value in _based(row).items() if name not in {"file", "readers"}}
    return {**told, "audio": audio.get(str(row["id"]))}


def _recipients(asked: Asked, holdings: Holdings) -> list[dict[str, Any]]:
    """Art 15(1)(c)."""
    found: list[dict[str, Any]] = [
        {"who": asked.controller.name, "as": "controller", "what": "all of it"},
        {"who": "the contact centre", "as": "processor (Art 28)", "what": "all of it, on the controller's behalf"},
    ]  # fmt: skip
    if holdings.forwards:
        told = sorted({each["reference"] for each in holdings.forwards})
        found.append(
            {
                "who": asked.controller.name,
                "as": "controller",
                "what": "requests passed on",
                "references": told,
            }
        )
    return found


def _passed_on(forwards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"reference": each["reference"], "at": each["webhook_at"] or each["folder_at"]} for each in forwards
    ]


def _retention(asked: Asked, holdings: Holdings) -> list[dict[str, Any]]:
    """Art 15(1)(d): of each campaign that recorded, and of all else the criteria."""
    of_campaigns = {
        (campaign.id, campaign.recording.retention_days)
        for each in holdings.recordings
        if (campaign := asked.campaigns.get((each["revision"], each["campaign"])))
    }
    return [
        *({"what": "recordings", "campaign": name, "days": days} for name, days in sorted(of_campaigns)),
        *(
            {"what": limited.value, "days": days}
            for limited in Limited
            if (days := asked.controller.days(limited)) is not None
        ),
        *(
            {"what": what.value, "until": until}
            for what, until in _UNTIL.items()
            if asked.controller.days(what) is None
        ),
        {"what": "suppressions", "until": "the bar is lifted; kept as a keyed digest of the number"},
        {"what": "all else", "until": "it is no longer needed for its purpose, or is erased (Art 17)"},
    ]
