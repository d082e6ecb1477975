"""What a record of processing says of a policy (Article 30)."""

from typing import Any

import pytest

from ccari.policy.activities import Activity, Kept, Kind, Subject, Until, activities
from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import RecordingMode
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller, Register
from tests.unit.policy.campaigns import CONTROLLER, campaign

BARE = Controller(id="acme", name="ACME Sp. z o.o.", country="PL", dpo="iod@acme.example")


def of(*campaigns: Any, controller: Controller = CONTROLLER, **others: Any) -> list[Activity]:
    policy = Policy(controllers=(controller,), campaigns=campaigns, **others)
    return activities(policy, controller)


def only(kind: Kind, found: list[Activity]) -> Activity:
    (activity,) = (each for each in found if each.kind is kind)
    return activity


def test_a_campaign_or_its_recording_is_missing_or_on_the_wrong_legal_basis() -> None:
    found = of(
        campaign(),
        campaign(id="offers", purpose="nowa oferta", recording={"mode": "off"}, data_source=None, keys={}),
        campaign(id="survey", recording={"mode": "mandatory", "legal_basis": "legal_obligation", "purpose": "dowód", "retention_days": 5}),
    )  # fmt: skip
    declared = [(each.kind, each.campaign, each.purpose, each.legal_basis) for each in found if each.campaign]
    assert declared == [
        (Kind.CALLS, "renewals", "odnowienie umowy", LegalBasis.CONTRACT),
        (Kind.RECORDINGS, "renewals", "odnowienie umowy", LegalBasis.LEGITIMATE_INTEREST),
        (Kind.CALLS, "offers", "nowa oferta", LegalBasis.CONTRACT),
        (Kind.CALLS, "survey", "odnowienie umowy", LegalBasis.CONTRACT),
        (Kind.RECORDINGS, "survey", "dowód", LegalBasis.LEGAL_OBLIGATION),
    ]
    assert [each.source for each in found if each.kind is Kind.CALLS] == [
        "umowa zawarta z ACME", None, "umowa zawarta z ACME",
    ]  # fmt: skip
    recorded = [(each.mode, each.kept) for each in found if each.kind is Kind.RECORDINGS]
    assert recorded == [(RecordingMode.OPT_OUT, Kept(90)), (RecordingMode.MANDATORY, Kept(5))]


def test_the_limit_of_one_kind_of_data_is_told_of_another() -> None:
    limits = {"calls_days": 31, "contacts_days": 32, "consents_days": 33, "requests_days": 34}
    found = of(campaign(legal_basis="consent"), controller=BARE.model_copy(update=limits), accesses_days=400)
    kept = {each.kind: each.kept.days for each in found if each.kind is not Kind.RECORDINGS}
    assert kept == {
        Kind.CALLS: 31, Kind.CONTACTS: 32, Kind.CONSENTS: 33, Kind.REQUESTS: 34, Kind.BARS: None, Kind.ACCESSES: 400,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (Kind.CALLS, Kept(None, Until.ERASED, "calls_days")),
        (Kind.CONTACTS, Kept(None, Until.ERASED, "contacts_days")),
        (Kind.CONSENTS, Kept(None, Until.ERASED, "consents_days")),
        (Kind.REQUESTS, Kept(None, Until.ANSWER_PROVEN, "requests_days")),
        (Kind.BARS, Kept(None, Until.LIFTED)),
    ],
)
def test_data_without_a_limit_are_said_to_have_one_or_the_setting_is_not_named(
    kind: Kind, kept: Kept
) -> None:
    found = of(campaign(legal_basis="consent"), controller=BARE)
    assert only(kind, found).kept == kept


def test_consents_or_registers_that_no_campaign_needs_are_in_the_record() -> None:
    registers = (Register(id="robinson", name="Lista Robinsonów"), Register(id="dnc", name="DNC"))
    plain = of(campaign(), registers=registers)
    assert not {Kind.CONSENTS, Kind.REGISTERS} & {each.kind for each in plain}
    marketing = of(campaign(marketing=True, registers=["robinson"]), registers=registers)
    assert only(Kind.REGISTERS, marketing).registers == ("Lista Robinsonów",)
    assert only(Kind.REGISTERS, marketing).kept == Kept(until=Until.NEXT_COPY)
    assert only(Kind.CONSENTS, marketing).articles == ("7(1)",)


def test_another_controllers_purposes_are_in_the_record() -> None:
    other = BARE.model_copy(update={"id": "beta"})
    register = Register(id="robinson", name="Lista Robinsonów")
    theirs = campaign(controller="beta", purpose="ich cel", marketing=True, registers=["robinson"])
    policy = Policy(controllers=(BARE, other), registers=(register,), campaigns=(theirs,))
    assert {each.kind for each in activities(policy, BARE)} == {
        Kind.CONTACTS, Kind.REQUESTS, Kind.BARS, Kind.ACCESSES,
    }  # fmt: skip
    assert only(Kind.CALLS, activities(policy, other)).purpose == "ich cel"


def test_agents_are_forgotten_as_data_subjects_of_calls() -> None:
    for each in of(campaign()):
        talks = each.kind in {Kind.CALLS, Kind.RECORDINGS}
        assert (Subject.AGENT in each.subjects) is talks
