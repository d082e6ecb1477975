"""Draws up what a person is told about their data: everything that Art 15(1) lists, or what they may take with them under Art 20."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign
from ccari.policy.mandate import PORTABLE
from ccari.policy.parties import Controller, Recipient
from ccari.policy.retention import OF_CONTROLLERS, Limited
from ccari.policy.rights import EFFECTS, Right, articles
from ccari.ports.subjects import AnswerLanguage, Holdings, Mandate

FORMAT = "ccari subject export 1"
#: Prefixes of an ``origin`` written by ccari: how something became known.
_WAYS = frozenset({"cli", "import", "token", "request", "call", "demo", "erasure", "erased"})
#: The criteria for data without a limit.
_UNTIL = {Limited.REQUESTS: "they are no longer needed as proof that they were answered (Art 5(2))"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks which controller for what. ``campaigns``: by revision and id, as that revision declared them. ``registers``: the names, by
    id, of those that may list the number. ``language``: of the page to read. From the policy in force, ``declared``: the controller's
    campaigns, by id; ``accesses_days``: the limit of the record of accesses. ``recipients``: those that the policy names, or named when
    the person was called.
    """

    mandate: Mandate
    controller: Controller
    number: str = field(repr=False)
    campaigns: Mapping[tuple[int, str], Campaign] = field(default_factory=dict, repr=False)
    registers: Mapping[str, str] = field(default_factory=dict)
    language: AnswerLanguage = "en"
    declared: Mapping[str, Campaign] = field(default_factory=dict, repr=False)
    accesses_days: int | None = None
    recipients: Sequence[Recipient] = ()

    @property
    def portability(self) -> bool:
        return self.mandate.right is Right.PORTABILITY


def account(asked: Asked, holdings: Holdings, audio: Mapping[str, str]) -> dict[str, Any]:
    """The whole account, for JSON and for the page. ``audio``: by recording id, the path of its audio in the export."""
    about: dict[str, Any] = {
        "format": FORMAT, "made_at": datetime.now(UTC), "reference": asked.mandate.reference,
        "right": asked.mandate.right, "article": EFFECTS[asked.mandate.right].article, "number": asked.number,
        "controller": {"id": asked.controller.id, "name": asked.controller.name, "country": asked.controller.country,
                       "dpo": asked.controller.dpo},
        "portability": asked.portability,
        "calls": [_call(each, asked) for each in holdings.calls if _is_due(each, asked)],
        "contacts": [_without_staff(_with_basis(each)) for each in holdings.contacts if _is_due(each, asked)],
        # disclosed on portability too: each is a consent
        "consents": [_without_staff(each) for each in holdings.consents],
        "recordings": [_recording(each, audio) for each in holdings.recordings if _is_due(each, asked)],
    }  # fmt: skip
    call_ids = {each["id"] for each in about["calls"]}
    about["heard"] = [
        dict(each) for each in holdings.heard if not asked.portability or each["call_id"] in call_ids
    ]
    if asked.portability:
        return about
    return about | {
        "purposes": _purposes(asked, holdings),
        "suppressions": [_bar(each, asked) for each in holdings.suppressions],
        "registers": [{"name": asked.registers.get(each["register"]), **each} for each in holdings.listings],
        "requests": [dict(each) for each in holdings.requests],
        # when their data were accessed, and why: CJEU C-579/21; and since when the record goes back
        "accesses": [dict(each) for each in holdings.accesses], "accesses_expired_before": holdings.accesses_expired_before,
        "recipients": _recipients(asked, holdings), "passed_on": _passed_on(holdings.forwards),
        "kept_for_claims": holdings.kept_for_claims,
        "retention": _retention(asked, holdings),
        "rights": [{"right": right, "article": articles(right)} for right in Right] + [
            {"right": "complaint to a supervisory authority", "article": "77"}],
        "automated_decisions": "none by this system, Art 22",
    }  # fmt: skip


def _is_due(row: Mapping[str, Any], asked: Asked) -> bool:
    """On portability, only data on a legal basis to which Art 20 applies."""
    basis = row["legal_basis"]
    return not asked.portability or (basis is not None and LegalBasis(basis) in PORTABLE)


def _with_basis(row: Mapping[str, Any]) -> dict[str, Any]:
    basis = row["legal_basis"]
    return {**row, "legal_basis_iri": LegalBasis(basis).iri if basis else None}


def _without_staff(row: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce ``origin`` to the way in which the row came: the rest names an employee (Art 15(4)), or is an imported list's own words,
    which may name one too.
    """
    way = row["origin"].partition(":")[0]
    return {**row, "origin": way if way in _WAYS else "import"}


def _purposes(asked: Asked, holdings: Holdings) -> list[dict[str, Any]]:
    """The purposes for which a number that was given to us may be called, Art 15(1)(a): a contact belongs to the controller, not to a
    campaign.
    """
    declared = asked.declared.values() if holdings.contacts else ()
    return [{"purpose": each.purpose, "legal_basis": each.legal_basis} for each in declared]


def _bar(row: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """The bar, with the purpose of its campaign if that campaign still exists."""
    campaign = asked.declared.get(row["campaign"])
    return {**_without_staff(row), "purpose": campaign.purpose if campaign else None}


def _call(row: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    campaign = asked.campaigns.get((row["revision"], row["campaign"]))
    return {
        **_with_basis(row), "number": asked.number, "purpose": campaign.purpose if campaign else None,
        "data_source": campaign.data_source if campaign else None,
    }  # fmt: skip


def _recording(row: Mapping[str, Any], audio: Mapping[str, str]) -> dict[str, Any]:
    """Without the path of its file and the number of keys that open it, which are not the person's data."""
    about = {name: value for name, value in _with_basis(row).items() if name not in {"file", "readers"}}
    return {**about, "audio": audio.get(str(row["id"]))}


def _recipients(asked: Asked, holdings: Holdings) -> list[dict[str, Any]]:
    """The recipients of the data, and the grounds for transfers to third countries: Art 15(1)(c) and (2)."""
    recipients: list[dict[str, Any]] = [
        {"who": asked.controller.name, "as": "controller", "what": "all of it"},
        {"who": "the contact centre, if it is not the controller's own", "as": "processor (Art 28)", "what": "all of it, on the controller's behalf"},
    ]  # fmt: skip
    if holdings.forwards:
        references = sorted({each["reference"] for each in holdings.forwards})
        recipients.append(
            {
                "who": asked.controller.name,
                "as": "controller",
                "what": "requests passed on",
                "references": references,
            }
        )
    return recipients + [
        {"who": each.name, "as": "recipient", "what": each.data, "country": each.country, "safeguard": each.safeguard}
        for each in asked.recipients
    ]  # fmt: skip


def _passed_on(forwards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"reference": each["reference"], "at": each["webhook_at"] or each["folder_at"] or each["settled_at"]}
        for each in forwards
    ]


def _retention(asked: Asked, holdings: Holdings) -> list[dict[str, Any]]:
    """How long data are kept, under Art 15(1)(d): in days for each campaign that recorded; otherwise the criteria."""
    by_campaign = {
        (campaign.id, campaign.recording.retention_days)
        for each in holdings.recordings
        if (campaign := asked.campaigns.get((each["revision"], each["campaign"])))
    }
    limits = {each: asked.controller.days(each) for each in OF_CONTROLLERS} | {
        Limited.ACCESSES: asked.accesses_days
    }
    return [
        *({"what": "recordings", "campaign": name, "days": days} for name, days in sorted(by_campaign)),
        *({"what": limited.value, "days": days} for limited, days in limits.items() if days is not None),
        *({"what": what.value, "until": until} for what, until in _UNTIL.items() if limits[what] is None),
        {
            "what": "suppressions",
            "until": "the bar is lifted, or nobody calls for the controller here any more; kept as a keyed digest of the number",
        },
        {"what": "all else", "until": "it is no longer needed for its purpose, or is erased (Art 17)"},
    ]
