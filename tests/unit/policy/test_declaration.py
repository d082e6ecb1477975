"""The policy file: what is declared is read, and what is wrong is said with its key."""

import contextlib
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccari.policy.bases import LegalBasis
from ccari.policy.declaration import (
    Campaign,
    Information,
    KeyAction,
    NoticePrompt,
    PolicyError,
    RecordingMode,
    Without,
    read,
)
from ccari.policy.numbers import Number
from ccari.policy.rights import Right
from tests.unit.policy.campaigns import campaign

DECLARED = (Path(__file__).parent / "policy.toml").read_text(encoding="utf-8")

_NAMES = st.sampled_from(["mode", "from", "to", "days", "timezone", "max", "prompts", "2"])
#: Whatever TOML can hold, with names that mean something somewhere.
VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5) | st.times() | st.dates(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(_NAMES, each, max_size=3),
    max_leaves=6,
)
#: What is changed in the policy of the design, the key that the fault names, and what it says of it.
FAULTS = [
    ('id = "acme"', 'id = "ACME Ltd"', "controllers[0].id", "pattern"),
    ('country = "PL"', 'country = "XX"', "controllers[0].country", "must be one of AT, "),
    ('name = "ACME Sp. z o.o."', 'name = " "', "controllers[0].name", "words on one line"),
    ('dpo = "iod@acme.example"', "", "controllers[0].dpo", "required"),
    ('purpose = "odnowienie umowy"', r'purpose = "a\nb"', "campaigns[0].purpose", "words on one line"),
    ('"contract"', '"because"', "campaigns[0].legal_basis", "'contract'"),
    ("marketing = false", "markting = false", "campaigns[0].markting", "no known key"),
    ("marketing = false", 'marketing = "perhaps"', "campaigns[0].marketing", "boolean"),
    ("@trunk", "@trunk&PJSIP/evil", "campaigns[0].dial", "PJSIP/{number}@trunk"),
    ("+48221234567", "22 123 45 67", "campaigns[0].caller_id", "+48221234567"),
    ("+48221234567", "+48 123", "campaigns[0].caller_id", "+48221234567"),
    ("Europe/Warsaw", "Warsaw", "campaigns[0].hours.timezone", "Europe/Warsaw"),
    ("Europe/Warsaw", "../etc/passwd", "campaigns[0].hours.timezone", "Europe/Warsaw"),
    ("mon-fri", "mon-friday", "campaigns[0].hours.days", "mon-fri"),
    ("mon-fri", "fri-mon", "campaigns[0].hours.days", "forward"),
    ("mon-fri", "", "campaigns[0].hours.days", "mon-fri"),
    ('"mon-fri"', "[0, 9]", "campaigns[0].hours.days", "mon-fri"),
    ('"09:00"', '"9"', "campaigns[0].hours.from", "time"),
    ('"09:00"', '"20:00"', "campaigns[0].hours", "earlier"),
    ('"09:00"', '"09:00Z"', "campaigns[0].hours.from", "09:00"),
    ('"20:00"', '"20:00+01:00"', "campaigns[0].hours.to", "09:00"),
    ("max = 3", "max = 0", "campaigns[0].attempts.max", "greater"),
    ("per_days = 7", "per_days = 400", "campaigns[0].attempts.per_days", "less"),
    ("retention_days = 90", "retention_days = 0", "campaigns[0].recording.retention_days", "greater"),
    ("retention_days = 90", "retention = 90", "campaigns[0].recording.retention", "no known key"),
    ('without = "continue"', 'without = "cry"', "campaigns[0].recording.without", "'hang_up'"),
    ('"legitimate_interest"', '"consent"', "campaigns[0].recording", "act of consent"),
    ('"first_contact"', '"maybe"', "campaigns[0].notice.information", "'first_contact'"),
    ('"identity", ', '"identity", "jingle", ', "campaigns[0].notice.prompts[1]", "'identity'"),
    (' "recording",', "", "campaigns[0]", "notice.prompts lacks recording"),
    ('"2" = "continue_unrecorded"', "", "campaigns[0]", "recording.mode opt_out needs a key"),
    ('"8" = "access"', '"8" = "sing"', "campaigns[0].keys.8", "'access'"),
    ('"8" = "access"', '"88" = "access"', "campaigns[0].keys.88", "pattern"),
    ('"8" = "access"', '"8" = "erasure"', "campaigns[0]", "keys: erasure is bound to two keys"),
    ('controller = "acme"', 'controller = "other"', "campaigns", "none of acme"),
]


def changed(old: str, new: str) -> str:
    assert DECLARED.count(old) == 1
    return DECLARED.replace(old, new)


def fault(text: str) -> str:
    with pytest.raises(PolicyError) as refused:
        read(text)
    return str(refused.value)


def test_the_policy_of_the_design_is_read_as_it_is_written() -> None:
    policy = read(DECLARED)
    (controller,), (declared,) = policy.controllers, policy.campaigns
    assert (controller.id, controller.name, controller.country) == ("acme", "ACME Sp. z o.o.", "PL")
    assert policy.controller_of(declared) is controller
    assert policy.campaign("renewals") is declared
    assert policy.campaign("other") is None
    assert (declared.legal_basis, declared.marketing, declared.language) == (LegalBasis.CONTRACT, False, "pl")
    (hours,) = declared.hours
    assert (hours.days, hours.from_, hours.to) == ((0, 1, 2, 3, 4), time(9), time(20))
    assert declared.attempts is not None
    assert (declared.attempts.max, declared.attempts.per_days) == (3, 7)
    assert declared.recording.mode is RecordingMode.OPT_OUT
    assert declared.recording.legal_basis is LegalBasis.LEGITIMATE_INTEREST
    assert (declared.recording.retention_days, declared.recording.without) == (90, Without.CONTINUE)
    assert declared.notice.information is Information.FIRST_CONTACT
    assert declared.notice.prompts == (
        NoticePrompt.IDENTITY,
        NoticePrompt.PURPOSE,
        NoticePrompt.SOURCE,
        NoticePrompt.RECORDING,
        NoticePrompt.RIGHTS,
    )
    assert declared.keys["2"] is KeyAction.CONTINUE_UNRECORDED
    assert declared.keys["*"] is KeyAction.REPEAT


def test_what_is_left_out_is_the_prudent_choice() -> None:
    declared = campaign()
    assert declared.marketing is False
    assert declared.recording.without is Without.CONTINUE
    assert declared.recording.legal_basis is not LegalBasis.CONSENT
    assert campaign(notice={}).notice.information is Information.ALWAYS


@pytest.mark.parametrize("mode", ["opt-in", "always", ""])
def test_a_mode_that_is_not_offered_names_the_key_and_those_that_are(mode: str) -> None:
    said = fault(changed('mode = "opt_out"', f'mode = "{mode}"'))
    assert "campaigns[0].recording.mode" in said
    assert all(f"'{each}'" in said for each in RecordingMode)


@pytest.mark.parametrize(("old", "new", "key", "words"), FAULTS, ids=[case[2] for case in FAULTS])
def test_a_fault_names_its_key_and_what_is_allowed(old: str, new: str, key: str, words: str) -> None:
    said = fault(changed(old, new))
    assert key in said
    assert words in said


def test_all_faults_are_told_at_once() -> None:
    said = fault(
        changed('country = "PL"', 'country = "XX"').replace("@trunk", "").replace("max = 3", "max = 0")
    )
    keys = ("controllers[0].country", "campaigns[0].dial", "campaigns[0].attempts.max")
    assert [key in said for key in keys] == [True, False, True]


def test_a_key_that_is_bound_twice_is_no_toml() -> None:
    said = fault(changed('"8" = "access"', '"8" = "access"\n"8" = "erasure"'))
    assert said == 'line 35: "8" = "erasure": is there already'


@pytest.mark.parametrize("kind", ["controllers", "campaigns"])
def test_a_name_that_is_declared_twice_is_refused(kind: str) -> None:
    one, _, other = DECLARED.partition("[[campaigns]]")
    text = f"{one}{DECLARED}" if kind == "controllers" else f"{DECLARED}\n[[campaigns]]{other}"
    assert f"{kind}: '{'acme' if kind == 'controllers' else 'renewals'}' is declared twice" in fault(text)


@pytest.mark.parametrize("text", ["", "controllers = []", "campaigns = []"])
def test_a_policy_without_a_controller_is_refused(text: str) -> None:
    assert "controllers" in fault(text)


def test_a_policy_is_not_changed_once_it_is_read() -> None:
    declared = read(DECLARED).campaigns[0]
    with pytest.raises(ValueError, match="frozen"):
        declared.marketing = True


def test_a_caller_id_is_kept_in_the_form_that_goes_into_the_header() -> None:
    assert campaign(caller_id="+48 (22) 123-45-67").caller_id == "+48221234567"


@pytest.mark.parametrize(
    ("days", "numbers"),
    [("sat", (5,)), ("mon-sun", tuple(range(7))), ("sat, mon", (0, 5)), ("MON-WED,tue-thu", (0, 1, 2, 3))],
)
def test_days_are_read_as_people_write_them(days: str, numbers: tuple[int, ...]) -> None:
    (hours,) = campaign(hours={"timezone": "UTC", "days": days, "from": "09:00", "to": "10:00"}).hours
    assert hours.days == numbers


@pytest.mark.parametrize(
    "dial",
    [
        "PJSIP/{number}@trunk",
        "PJSIP/0048{number}@trunk-1.example",
        "Local/{number}@outbound",
        "SIP/{number}",
        "PJSIP/sip:{number}@192.0.2.1:5060",
    ],
)
def test_the_usual_ways_to_dial_are_accepted(dial: str) -> None:
    assert campaign(dial=dial).dial == dial


@pytest.mark.parametrize(
    "dial",
    [
        "",
        "{number}",
        "PJSIP/112@trunk",
        "PJSIP/{number}{number}@trunk",
        "PJSIP/{number}@trunk&PJSIP/{number}@other",
        "PJSIP/{number}@trunk,30,g",
        "PJSIP/{number}@trunk|30",
        "PJSIP/{number}@trunk;x=y",
        "PJSIP/{number}@trunk/n",
        "PJSIP/{number}@trunk\n",
        "PJSIP/{number}@${EVIL}",
        "PJSIP/{number}@a@b",
        "PJSIP/{number!r}@trunk",
        "PJSIP/{number}@",
        "PJSIP /{number}@trunk",
        "PJSIP/{number}@trünk",
    ],
)
def test_a_dial_string_that_forks_or_adds_options_is_refused(dial: str) -> None:
    with pytest.raises(ValueError, match="dial"):
        campaign(dial=dial)


_TEMPLATES = st.from_regex(
    r"[A-Za-z]{1,6}/(sip:)?[0-9A-Za-z_.+#*-]{0,6}\{number\}(@[A-Za-z0-9_.:-]{1,12})?", fullmatch=True
)
_NOISE = st.text(st.sampled_from("AZ09/@&;,|{}number:.\n\r ${}()"), max_size=24).map(
    lambda text: f"PJSIP/{text}"
)


@given(st.one_of(_TEMPLATES, _NOISE), st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
@example("PJSIP/{number}@trunk\n", "+48221234567")
def test_what_is_accepted_dials_one_channel_with_the_digits_and_nothing_else(dial: str, e164: str) -> None:
    try:
        declared = campaign(dial=dial)
    except ValueError:
        return
    dialled = declared.dial_string(Number(e164))
    assert e164[1:] in dialled
    assert dialled.isascii()
    assert dialled.isprintable()
    assert not set(dialled) & set("&,;|{}$ ")
    assert dialled.count("/") == 1
    assert dialled.count("@") <= 1


@pytest.mark.parametrize(
    ("action", "right"),
    [
        (KeyAction.CONTINUE_UNRECORDED, Right.REFUSE_RECORDING),
        (KeyAction.OBJECTION_MARKETING, Right.OBJECTION_MARKETING),
        (KeyAction.WITHDRAW_CONSENT, Right.WITHDRAW_CONSENT),
        (KeyAction.ERASURE, Right.ERASURE),
        (KeyAction.ACCESS, Right.ACCESS),
        (KeyAction.DATA_SOURCE, None),
        (KeyAction.REPEAT, None),
    ],
)
def test_a_key_exercises_the_right_it_is_named_after(action: KeyAction, right: Right | None) -> None:
    assert action.right is right


@given(VALUES, st.sampled_from(sorted(Campaign.model_fields)))
def test_no_value_of_any_key_raises_anything_but_a_fault(value: Any, key: str) -> None:
    with contextlib.suppress(ValueError):
        campaign(**{key: value})
