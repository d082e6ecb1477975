"""Policies for the tests of the law, as short as each test allows."""

from typing import Any

from ccari.policy.campaign import Campaign
from ccari.policy.parties import Controller, Recipient

CONTROLLER = Controller(
    id="acme",
    name="ACME Sp. z o.o.",
    country="PL",
    dpo="iod@acme.example",
    calls_days=1461,
    requests_days=1461,
    contacts_days=730,
    consents_days=1461,
    recipients=(Recipient(name="Linia Sp. z o.o.", data="wszystkie", country="PL"),),
)

#: A key for every action except agreement to a recording.
ALL_KEYS = {
    "0": "human_review",
    "1": "objection",
    "2": "continue_unrecorded",
    "3": "restriction",
    "4": "rectification",
    "5": "objection_marketing",
    "6": "withdraw_consent",
    "7": "erasure",
    "8": "access",
    "9": "data_source",
    "*": "repeat",
    "#": "portability",
}


def campaign(**changes: Any) -> Campaign:
    """A contract's campaign, recorded with a way out, and with all keys; ``changes`` override its fields."""
    declared: dict[str, Any] = {
        "id": "renewals",
        "controller": "acme",
        "purpose": "odnowienie umowy",
        "legal_basis": "contract",
        "data_source": "umowa zawarta z ACME",
        "dial": "PJSIP/{number}@trunk",
        "recording": {"mode": "opt_out"},
        "notice": {"prompts": ["identity", "recording", "rights"]},
        "keys": ALL_KEYS,
    }
    return Campaign.model_validate(declared | changes)
