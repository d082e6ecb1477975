"""What a record of processing says of a policy (Article 30)."""

import re
from pathlib import Path
from typing import Any

import pytest

from ccari.policy.activities import Activity, Datum, Kept, Kind, Subject, Until, activities
from ccari.policy.bases import LegalBasis
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller, Register
from ccari.policy.recording import RecordingMode
from tests.unit.policy.campaigns import CONTROLLER, campaign

SCHEMA = Path(__file__).parents[1] / "store" / "schema.txt"
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
        Kind.CALLS: 31, Kind.CONTACTS: 32, Kind.CONSENTS: 33, Kind.REQUESTS: 34, Kind.BARS: None, Kind.HOLDS: None, Kind.AUTHORISATIONS: None,
        Kind.ACCESSES: 400,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (Kind.CALLS, Kept(None, Until.ERASED, "calls_days")),
        (Kind.CONTACTS, Kept(None, Until.ERASED, "contacts_days")),
        (Kind.CONSENTS, Kept(None, Until.ERASED, "consents_days")),
        (Kind.REQUESTS, Kept(None, Until.ANSWER_PROVEN, "requests_days")),
        (Kind.BARS, Kept(None, Until.LEFT)),
        (Kind.HOLDS, Kept(None, Until.ALWAYS)),
        (Kind.AUTHORISATIONS, Kept(None, Until.ALWAYS)),
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
    assert only(Kind.REGISTERS, marketing).kept == Kept(until=Until.UNLISTED)
    assert only(Kind.CONSENTS, marketing).articles == ("7(1)",)


def test_another_controllers_purposes_are_in_the_record() -> None:
    other = BARE.model_copy(update={"id": "beta"})
    register = Register(id="robinson", name="Lista Robinsonów")
    theirs = campaign(controller="beta", purpose="ich cel", marketing=True, registers=["robinson"])
    policy = Policy(controllers=(BARE, other), registers=(register,), campaigns=(theirs,))
    assert {each.kind for each in activities(policy, BARE)} == {
        Kind.CONTACTS, Kind.REQUESTS, Kind.BARS, Kind.HOLDS, Kind.AUTHORISATIONS, Kind.ACCESSES,
    }  # fmt: skip
    assert only(Kind.CALLS, activities(policy, other)).purpose == "ich cel"


def test_agents_are_forgotten_as_data_subjects() -> None:
    for each in of(campaign()):
        theirs = each.kind in {Kind.CALLS, Kind.RECORDINGS, Kind.REQUESTS, Kind.AUTHORISATIONS}
        assert (Subject.AGENT in each.subjects) is theirs


def test_the_last_digits_of_a_call_are_left_out() -> None:
    for each in of(campaign()):
        shown = Datum.MASKED_NUMBER in each.data
        assert shown is (each.kind in {Kind.CALLS, Kind.RECORDINGS})


def test_an_activity_has_neither_a_legal_basis_nor_an_article() -> None:
    registers = (Register(id="robinson", name="Lista Robinsonów"),)
    for each in of(campaign(marketing=True, registers=["robinson"]), registers=registers):
        # each contact has a legal basis of its own
        assert bool(each.legal_basis or each.articles) is (each.kind is not Kind.CONTACTS)


#: The tables that hold a number, however it is kept, or the name of somebody of the centre; and where the record tells of them.
_TOLD = {
    "access_tokens": Kind.AUTHORISATIONS, "accesses": Kind.ACCESSES, "call_event_fields": Kind.CALLS, "calls": Kind.CALLS, "consents": Kind.CONSENTS,
    "contacts": Kind.CONTACTS, "controller_deletions": Kind.AUTHORISATIONS, "deletions": Kind.RECORDINGS, "erasures": Kind.AUTHORISATIONS,
    "forwards": Kind.REQUESTS, "heard_notices": Kind.CALLS, "holds": Kind.HOLDS, "policy_revisions": Kind.AUTHORISATIONS,
    "register_entries": Kind.REGISTERS, "register_loads": Kind.REGISTERS, "removed_suppressions": Kind.BARS,
    "request_event_details": Kind.REQUESTS, "rights_requests": Kind.REQUESTS, "suppressions": Kind.BARS,
}  # fmt: skip
_PERSONAL = re.compile(r"^    (?:digests?|number\w*|agent|who|fields|origin|\w+_by) ", re.MULTILINE)


def test_a_table_holds_somebodys_data_of_which_the_record_says_nothing() -> None:
    tables = SCHEMA.read_text("utf-8").split("\n\n")
    personal = {table.partition("\n")[0] for table in tables if _PERSONAL.search(table)}
    assert {each for each in personal if " " not in each} == _TOLD.keys()
    registers = (Register(id="robinson", name="Lista Robinsonów"),)
    found = of(campaign(marketing=True, registers=["robinson"]), registers=registers)
    assert {each.kind for each in found} >= set(_TOLD.values())


@pytest.mark.parametrize("kind", [Kind.CONTACTS, Kind.REQUESTS, Kind.BARS, Kind.HOLDS])
def test_whoever_entered_or_decided_something_is_left_out(kind: Kind) -> None:
    told = only(kind, of(campaign()))
    assert (Subject.STAFF in told.subjects, Datum.WHO in told.data) == (True, True)
