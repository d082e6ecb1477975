"""What is allowed, but questioned."""

from typing import Any

import pytest

from ccari.policy.declaration import Policy
from ccari.policy.doubts import doubts
from ccari.policy.parties import Controller, Register
from tests.unit.policy.campaigns import CONTROLLER, campaign

ALL_PROMPTS = {"prompts": ["identity", "purpose", "recording", "rights"]}
SALES: dict[str, Any] = {
    "marketing": True, "preset": "PL", "legal_basis": "consent", "notice": ALL_PROMPTS,
    "hours": {"days": "mon-fri", "from": "09:00", "to": "20:00"},
}  # fmt: skip


def told(controller: Controller = CONTROLLER, **changes: Any) -> list[str]:
    declared = campaign(**{"caller_id": "+48221234567"} | changes)
    registers = tuple(Register(id=each, name=each) for each in declared.registers)
    policy = Policy(controllers=(controller,), registers=registers, campaigns=(declared,))
    return list(doubts(policy))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        SALES,
        {"legal_basis": "legitimate_interest", "keys": {"2": "continue_unrecorded", "5": "objection"}},
        SALES | {"legal_basis": "legitimate_interest"},
        SALES | {"preset": "ES", "hours": ()},
        {"recording": {"mode": "off", "retention_days": 3000}},
        {"recording": {"mode": "mandatory", "legal_basis": "legal_obligation", "retention_days": 2557}},
        {"recording": {"mode": "opt_out", "retention_days": 400}},
        {"consent_required": False},
        SALES | {"abandoned": {"max_percent": 3}, "consent_channel": "automatic_calls"},
        SALES | {"answering_machine": {"message": False}},
        {"abandoned": {"max_percent": 3}, "answering_machine": {"message": True}},
        {"keys": {"2": "continue_unrecorded"}},
        {
            "recording": {"mode": "opt_in", "purpose": "szkolenia"},
            "keys": {"1": "consent_recording", "6": "withdraw_consent"},
        },
    ],
)
def test_a_prudent_policy_is_doubted(changes: dict[str, Any]) -> None:
    assert told(**changes) == []


@pytest.mark.parametrize(
    ("changes", "doubt", "settled"),
    [
        ({"notice": {"prompts": ["identity", "recording"]}}, "never tells people their rights", "add rights"),
        ({"notice": {"prompts": ["recording", "rights"]}}, "never says on whose behalf it calls (Art 14(1))", "add identity"),
        (SALES | {"notice": {"prompts": ["identity", "recording", "rights"]}}, "sells without saying so", "add purpose"),
        (SALES | {"legal_basis": "contract"}, "is marketing on the basis of contract", "set consent or legitimate_interest"),
        (SALES | {"legal_basis": "public_task"}, "is marketing on the basis of public_task", "set consent or legitimate_interest"),
        ({"recording": {"mode": "opt_out", "legal_basis": "legal_obligation"}},
         "lets people refuse (opt_out) a recording that rests on legal_obligation", "another recording.legal_basis"),
        (SALES | {"legal_basis": "legitimate_interest", "preset": "IT", "registers": ["rpo"], "consent_required": False},
         "consent_required = false: telephone law requires prior consent", "PKE Art 398"),
        (SALES | {"hours": ()}, "marketing at any hour of any day", "set hours"),
        (SALES | {"preset": None}, "without the calling rules of the controller's country", 'add preset = "PL"'),
        (SALES | {"preset": "GB"}, "the rules of its preset GB require one no older than 28 days", "[[registers]]"),
        (SALES | {"keys": {"2": "continue_unrecorded", "5": "objection_marketing"}},
         "no key to withdraw it, which must be as easy as giving it (Art 7(3))", "bind withdraw_consent"),
        ({"legal_basis": "legitimate_interest", "keys": {"2": "continue_unrecorded", "7": "erasure"}}, "no key to object (Art 21)", "bind objection"),
        ({"legal_basis": "public_task", "keys": {"2": "continue_unrecorded", "7": "erasure"}}, "no key to object (Art 21)", "bind objection"),
        (SALES | {"legal_basis": "legitimate_interest", "keys": {"2": "continue_unrecorded", "5": "objection"}},
         "no key to object (Art 21)", "bind objection_marketing"),
        ({"notice": {"prompts": ["identity", "recording", "rights"], "information": "first_contact"}},
         "treats everyone whose number answered once, even a mailbox, as informed", "set answering_machine"),
        (SALES | {"legal_basis": "legitimate_interest", "keys": {"2": "continue_unrecorded"}},
         "no key to object (Art 21)", "bind objection_marketing"),
        ({"recording": {"mode": "opt_in"}, "keys": {"1": "consent_recording", "2": "continue_unrecorded"}},
         "asks people to agree to be recorded, but does not say what for", "set recording.purpose"),
        ({"recording": {"mode": "opt_in", "purpose": "szkolenia"}, "keys": {"1": "consent_recording"}},
         "no key to withdraw the agreement", "bind continue_unrecorded"),
        ({"recording": {"mode": "opt_in", "purpose": "szkolenia", "legal_basis": "legitimate_interest"},
          "keys": {"1": "consent_recording", "2": "continue_unrecorded"}},
         "but is based on legitimate_interest: withdrawing it deletes no recording", "leave recording.legal_basis out"),
        (SALES | {"abandoned": {"max_percent": 3}}, "a machine calls (abandoned) on consents to calls by people", "automatic_calls"),
        (SALES | {"answering_machine": {"message": True}}, "a machine calls (answering_machine.message)", "automatic_calls"),
        ({"caller_id": None}, "Asterisk then calls anonymously, unless the trunk has from_user", "set caller_id"),
        ({"recording": {"mode": "mandatory"}}, "recording.legal_basis is legitimate_interest", "set legal_obligation"),
        ({"recording": {"mode": "opt_out", "retention_days": 401}}, "keeps recordings for 401 days (Art 5(1)(e))",
         "recording.retention_days"),
    ],
)  # fmt: skip
def test_what_an_officer_would_ask_about_goes_through_in_silence(
    changes: dict[str, Any], doubt: str, settled: str
) -> None:
    (said,) = told(**changes)
    assert said.startswith("'renewals' ")
    assert doubt in said
    assert settled in said


def test_a_withdrawal_that_takes_the_agreement_back_is_said_to_be_no_key_for_it() -> None:
    """Whatever the recording rests on."""
    recording = {"mode": "opt_in", "purpose": "szkolenia"}
    keys = {"1": "consent_recording", "6": "withdraw_consent"}
    assert told(recording=recording, keys=keys) == []
    (said,) = told(recording=recording | {"legal_basis": "contract"}, keys=keys)
    assert "is based on contract" in said


@pytest.mark.parametrize("mode", ["notice", "opt_out"])
def test_germans_are_recorded_without_an_agreement_in_silence(mode: str) -> None:
    german = CONTROLLER.model_copy(update={"country": "DE"})
    (said,) = told(german, recording={"mode": mode})
    assert "StGB §201" in said
    assert "opt_in" in said
    agreed = {"1": "consent_recording", "2": "continue_unrecorded"}
    assert told(german, recording={"mode": "opt_in", "purpose": "szkolenia"}, keys=agreed) == []
    assert told(german, recording={"mode": "off"}) == []


def test_germans_are_recorded_from_abroad_without_an_agreement_in_silence() -> None:
    (said,) = told(**SALES | {"preset": "DE"}, recording={"mode": "notice"})
    assert "StGB §201" in said


def test_a_controller_that_keeps_whose_calls_they_were_for_good_is_not_asked_why() -> None:
    (doubt,) = told(CONTROLLER.model_copy(update={"calls_days": None}))
    assert doubt.startswith(
        "'acme' keeps the link between calls and persons until those persons ask for erasure (Art 5(1)(e), 25(2)): set calls_days"
    )


@pytest.mark.parametrize(
    ("setting", "kept"),
    [
        ("requests_days", "the link between closed requests and persons for ever"),
        ("contacts_days", "contacts that are no longer on any list until the persons ask for erasure"),
        ("consents_days", "consents that have ended until the persons ask for erasure"),
    ],
)
def test_a_controller_that_has_no_limit_is_not_asked_why(setting: str, kept: str) -> None:
    (doubt,) = told(CONTROLLER.model_copy(update={setting: None}))
    assert doubt.startswith(f"'acme' keeps {kept} (Art 5(1)(e), 25(2)): set {setting}")


def test_a_controller_that_could_not_tell_a_person_who_has_their_data_is_not_asked_about() -> None:
    (doubt,) = told(CONTROLLER.model_copy(update={"recipients": ()}))
    assert doubt.startswith("'acme' names nobody who receives data")
    assert "C-154/21" in doubt
    assert "[[controllers.recipients]]" in doubt


def test_a_record_of_accesses_that_is_kept_for_longer_than_is_usual_is_not_asked_about() -> None:
    policy = Policy(controllers=(CONTROLLER,), campaigns=(campaign(caller_id="+48221234567"),))
    assert list(doubts(policy)) == list(doubts(policy.model_copy(update={"accesses_days": 365}))) == []
    (doubt,) = doubts(policy.model_copy(update={"accesses_days": 1097}))
    assert doubt.startswith(
        "the record of accesses is kept for 1097 days (Art 5(1)(e)): shorten accesses_days"
    )


def test_recordings_that_outlast_their_calls_limit_are_not_asked_about() -> None:
    limited = CONTROLLER.model_copy(update={"calls_days": 89})
    (doubt,) = told(limited)
    assert "keeps recordings for 90 days, and with them their calls, which are to expire after 89" in doubt
    duty = {"mode": "mandatory", "legal_basis": "legal_obligation", "retention_days": 2557}
    assert told(limited, recording=duty) == told(CONTROLLER.model_copy(update={"calls_days": 90})) == []


def test_a_country_without_rules_is_told_to_name_its_preset() -> None:
    elsewhere = CONTROLLER.model_copy(update={"country": "SE"})
    assert told(elsewhere, **SALES | {"preset": None}) == []
