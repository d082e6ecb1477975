"""What people must be told of a policy, and what of it is missing (Articles 13 and 14)."""

from typing import Any

import pytest

from ccari.policy.activities import Datum, Kind, Subject, activities
from ccari.policy.bases import LegalBasis
from ccari.policy.declaration import Policy
from ccari.policy.informing import ARTICLES, Gap, Information, Missing, Processing, information
from ccari.policy.parties import Controller, Register
from ccari.policy.rights import Right
from tests.unit.policy.campaigns import CONTROLLER, campaign

BARE = Controller(id="acme", name="ACME Sp. z o.o.", country="PL", dpo="iod@acme.example")
SILENT = {"mode": "off"}
#: No policy says how long a hold is kept.
UNLIMITED = Gap(Missing.LIMIT, Kind.HOLDS)


def of(*campaigns: Any, controller: Controller = CONTROLLER, **others: Any) -> Information:
    policy = Policy(controllers=(controller,), campaigns=campaigns, **others)
    return information(policy, controller)


def one(kind: Kind, found: Information) -> Processing:
    (processing,) = (each for each in found.processing if each.activity.kind is kind)
    return processing


def missing(found: Information) -> set[Missing]:
    return {each.missing for each in found.gaps}


def test_the_data_of_staff_are_told_or_an_activity_of_the_person_is_not() -> None:
    registers = (Register(id="robinson", name="Lista Robinsonów"),)
    policy = Policy(
        controllers=(CONTROLLER,), registers=registers, campaigns=(campaign(marketing=True, registers=["robinson"]),)
    )  # fmt: skip
    found = information(policy, CONTROLLER)
    whole = activities(policy, CONTROLLER)
    assert [each.activity for each in found.processing] == [
        each for each in whole if Subject.CALLED in each.subjects
    ]
    assert Kind.AUTHORISATIONS not in {each.activity.kind for each in found.processing}
    told = {datum for each in found.processing for datum in each.data}
    assert told == set(Datum) - {Datum.AGENT, Datum.WHO, Datum.AUTHORISATION}
    assert all(each.data for each in found.processing)


@pytest.mark.parametrize(
    ("basis", "gap"),
    [
        (LegalBasis.CONSENT, None),
        (LegalBasis.CONTRACT, None),
        (LegalBasis.VITAL_INTEREST, None),
        (LegalBasis.LEGAL_OBLIGATION, Missing.LAW),
        (LegalBasis.PUBLIC_TASK, Missing.LAW),
        (LegalBasis.LEGITIMATE_INTEREST, Missing.INTEREST),
    ],
)
def test_an_interest_or_a_law_behind_a_call_is_not_asked_for(basis: LegalBasis, gap: Missing | None) -> None:
    found = of(campaign(legal_basis=basis, recording=SILENT))
    wanted = () if gap is None else (Gap(gap, Kind.CALLS, "renewals"),)
    assert one(Kind.CALLS, found).gaps == wanted
    assert set(wanted) <= set(found.gaps)
    assert {Missing.INTEREST, Missing.LAW} & missing(found) == {each.missing for each in wanted}


def test_the_law_that_demands_a_recording_is_not_asked_for() -> None:
    recording = {"mode": "mandatory", "legal_basis": "legitimate_interest"}
    found = one(Kind.RECORDINGS, of(campaign(recording=recording)))
    assert [each.missing for each in found.gaps] == [Missing.INTEREST, Missing.LAW]


def test_an_undeclared_limit_or_source_is_taken_for_told() -> None:
    found = of(
        campaign(data_source=None, keys={"2": "continue_unrecorded"}, legal_basis="consent"), controller=BARE
    )
    assert Gap(Missing.SOURCE, Kind.CALLS, "renewals", setting="campaigns.data_source") in found.gaps
    limits = [each.setting for each in found.gaps if each.missing is Missing.LIMIT]
    assert limits == [
        *(f"controllers.{each}_days" for each in ("calls", "contacts", "consents", "requests")), None
    ]  # fmt: skip
    limited = of(campaign(legal_basis="consent"))
    assert Missing.SOURCE not in missing(limited)
    assert [each for each in limited.gaps if each.missing is Missing.LIMIT] == [UNLIMITED]


def test_how_long_a_hold_is_kept_is_taken_for_told() -> None:
    found = of(campaign())
    assert one(Kind.HOLDS, found).gaps[-1] == UNLIMITED
    assert UNLIMITED in found.gaps


def test_calls_are_said_to_heed_a_register_that_their_campaign_does_not() -> None:
    registers = (Register(id="robinson", name="Lista Robinsonów"), Register(id="dnc", name="DNC"))
    heeding = campaign(id="offers", purpose="oferta", marketing=True, registers=["robinson"])
    other = campaign(id="survey", purpose="sonda", registers=["dnc"])
    found = one(Kind.REGISTERS, of(campaign(), heeding, other, registers=registers))
    assert found.heeded == (("oferta", ("Lista Robinsonów",)), ("sonda", ("DNC",)))


def test_the_interests_behind_a_list_or_a_duty_or_the_officer_are_not_asked_for() -> None:
    for each in (Missing.NUMBER_BASIS, Missing.DUTY):
        assert set(ARTICLES[Missing.INTEREST]) <= set(ARTICLES[each])
    # what rests on a consent may be withdrawn and carried elsewhere, whatever the campaigns rest on
    assert {"13(2)(b)", "13(2)(c)", "14(2)(c)", "14(2)(d)"} <= set(ARTICLES[Missing.NUMBER_BASIS])
    assert {"13(1)(b)", "14(1)(b)"} <= set(ARTICLES[Missing.CONTACT])


def test_what_no_policy_says_is_not_asked_for_or_asked_for_twice() -> None:
    policy = Policy(controllers=(CONTROLLER,), campaigns=(campaign(), campaign(id="survey")))
    found = information(policy, CONTROLLER, ("crm.example", "wall.example", "crm.example"))
    assert len(set(found.gaps)) == len(found.gaps)
    assert [each.host for each in found.gaps if each.missing is Missing.HOST] == [
        "crm.example",
        "wall.example",
    ]
    of_campaigns = {Missing.INTEREST, Missing.LAW, Missing.SOURCE, Missing.LIMIT}
    assert missing(found) >= set(Missing) - of_campaigns
    assert set(ARTICLES) == set(Missing)
    assert {each for processing in found.processing for each in processing.gaps} <= set(found.gaps)


def test_a_right_that_does_not_exist_is_promised_or_one_that_does_is_left_out() -> None:
    always = {Right.ACCESS, Right.RECTIFICATION, Right.ERASURE, Right.RESTRICTION}
    obliged = {"mode": "mandatory", "legal_basis": "legal_obligation"}
    for campaign_, more in (
        (campaign(legal_basis="legal_obligation", recording=SILENT, keys={}), set()),
        (campaign(legal_basis="legal_obligation", recording=obliged, keys={}), set()),
        (campaign(recording=SILENT, keys={}), {Right.PORTABILITY}),
        (campaign(legal_basis="public_task", recording=SILENT, keys={"0": "human_review"}), {Right.HUMAN_REVIEW}),
        (campaign(legal_basis="public_task", recording=SILENT, keys={}, agent_keys={"*7": "human_review"}), {Right.HUMAN_REVIEW}),
        (campaign(legal_basis="public_task", recording=SILENT, keys={}, consent_required=True), {Right.WITHDRAW_CONSENT}),
        (campaign(legal_basis="public_task", recording={"mode": "notice"}, keys={}), {Right.REFUSE_RECORDING}),
        (
            campaign(legal_basis="public_task", recording={"mode": "opt_in"}, keys={"1": "consent_recording"}),
            {Right.PORTABILITY, Right.WITHDRAW_CONSENT, Right.REFUSE_RECORDING},
        ),
        (
            campaign(legal_basis="public_task", recording={"mode": "opt_in", "legal_basis": "public_task"}, keys={"1": "consent_recording"}),
            {Right.WITHDRAW_CONSENT, Right.REFUSE_RECORDING},
        ),
    ):  # fmt: skip
        assert set(of(campaign_).rights) == always | more


def test_the_right_to_object_is_among_the_others_or_advertising_is_claimed() -> None:
    plain, marketing = of(campaign(recording=SILENT)), of(campaign(marketing=True))
    # what a contact rests on is not known
    assert plain.objections == (Right.OBJECTION,)
    assert plain.objectable == []
    assert marketing.objections == (Right.OBJECTION_MARKETING, Right.OBJECTION)
    assert [each.activity.kind for each in marketing.objectable] == [Kind.RECORDINGS]
    assert not {Right.OBJECTION, Right.OBJECTION_MARKETING} & {*plain.rights, *marketing.rights}


def test_another_controllers_calls_recordings_or_keys_are_told() -> None:
    other = BARE.model_copy(update={"id": "beta"})
    theirs = campaign(controller="beta", marketing=True, legal_basis="consent", agent="PJSIP/anna")
    mine = campaign(id="mine", recording=SILENT, keys={"8": "access"})
    policy = Policy(controllers=(CONTROLLER, other), campaigns=(theirs, mine))
    acme, beta = (information(policy, each) for each in (CONTROLLER, other))
    assert [each.campaign for each in acme.menus] == ["mine"]
    assert Kind.RECORDINGS not in {each.activity.kind for each in acme.processing}
    assert acme.objections == (Right.OBJECTION,)
    assert not {Right.REFUSE_RECORDING, Right.WITHDRAW_CONSENT} & set(acme.rights)
    assert [(each.campaign, each.inbound) for each in beta.menus] == [("renewals", True)]


def test_a_key_is_said_to_do_something_else_or_to_end_no_recording() -> None:
    recording = {"mode": "opt_in", "without": "hang_up"}
    keys = {
        "1": "consent_recording",
        "6": "withdraw_consent",
        "2": "continue_unrecorded",
        "5": "objection",
        "*": "repeat",
    }
    (menu,) = of(campaign(recording=recording, keys=keys)).menus
    assert list(menu.keys.items()) == [
        ("5", "menu_objection"), ("1", "menu_consent_recording"), ("2", "menu_refuse_recording"), ("6", "menu_withdraw_consent_or_end"),
    ]  # fmt: skip
    assert not menu.inbound
    assert of(campaign(recording=SILENT, keys={"2": "continue_unrecorded", "*": "repeat"})).menus == ()


def test_the_key_that_answers_the_notice_is_another() -> None:
    opt_out = one(Kind.RECORDINGS, of(campaign()))
    assert (opt_out.notice, opt_out.key) == ("recording_opt_out", "2")
    notice = one(Kind.RECORDINGS, of(campaign(recording={"mode": "notice"}, keys={})))
    assert (notice.notice, notice.key) == ("recording_notice", None)


def test_people_are_told_to_hang_up_who_can_refuse_by_key() -> None:
    keys = {"5": "continue_unrecorded"}
    for without, notice in (("continue", "recording_opt_out"), ("hang_up", "recording_opt_out_or_end")):
        declared = campaign(recording={"mode": "notice", "without": without}, keys=keys)
        found = one(Kind.RECORDINGS, of(declared))
        assert (found.notice, found.key) == (notice, "5")
    obliged = one(Kind.RECORDINGS, of(campaign(recording={"mode": "mandatory"}, keys=keys)))
    assert (obliged.notice, obliged.key) == ("recording_mandatory", None)


def test_a_key_that_objects_is_promised_where_there_is_none() -> None:
    assert of(campaign(keys={"2": "continue_unrecorded", "1": "objection"})).objects_by_key
    # objects to advertising that there is not
    keys = {"2": "continue_unrecorded", "5": "objection_marketing"}
    assert not of(campaign(keys=keys)).objects_by_key
    assert of(campaign(keys=keys, marketing=True)).objects_by_key
