"""The policy file: what is declared is read, and what is wrong is reported with its key."""

import contextlib
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign, Information, NoticePrompt
from ccari.policy.declaration import Policy, PolicyError, read
from ccari.policy.faults import Fault
from ccari.policy.keypad import KeyAction
from ccari.policy.numbers import Number
from ccari.policy.parties import Forwarding, Register
from ccari.policy.recording import RecordingMode, Without
from ccari.policy.rights import Right
from tests.unit.policy.campaigns import campaign

DECLARED = (Path(__file__).parent / "policy.toml").read_text(encoding="utf-8")

_NAMES = st.sampled_from(["mode", "from", "to", "days", "timezone", "max", "prompts", "2"])
#: Anything that TOML can hold, with names that mean something somewhere.
VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5) | st.times() | st.dates(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(_NAMES, each, max_size=3),
    max_leaves=6,
)
#: What is changed in the design's policy; the key that the fault names, what it says, and the text of its line, if that
#: is not the change itself.
FAULTS = [
    ('id = "acme"', 'id = "ACME Ltd"', "controllers[0].id", "lower-case letters, digits, - and _, such as"),
    ('country = "PL"', 'country = "XX"', "controllers[0].country", "must be one of AT, BE, "),
    ('name = "ACME Sp. z o.o."', 'name = " "', "controllers[0].name", "words on one line"),
    ('name = "ACME Sp. z o.o."', "name = 7", "controllers[0].name", "must be text in quotes"),
    ('dpo = "iod@acme.example"', "", "controllers[0].dpo", "is missing", "[[controllers]]"),
    ('dpo = "iod@acme.example"', 'dpo = ""', "controllers[0].dpo", "must have at least 1 character"),
    ("calls_days = 1461", "calls_days = 29", "controllers[0].calls_days", "must be greater than or equal to 30"),
    ("calls_days = 1461", "calls_days = 3661", "controllers[0].calls_days", "must be less than or equal to 3660"),
    ("requests_days = 1461", "requests_days = 29", "controllers[0].requests_days", "must be greater than or equal to 30"),
    ("calls_days = 1461", 'calls_days = "1461"', "controllers[0].calls_days", "must be a whole number, without quotes"),
    ('purpose = "odnowienie umowy"', f'purpose = "{"x" * 201}"', "campaigns[0].purpose", "must have at most 200 characters"),
    ('purpose = "odnowienie umowy"', r'purpose = "a\nb"', "campaigns[0].purpose", "words on one line"),
    ('"contract"', '"because"', "campaigns[0].legal_basis",
     "must be 'consent', 'contract', 'legal_obligation', 'vital_interest', 'public_task' or 'legitimate_interest'"),
    ("marketing = false", "markting = false", "campaigns[0].markting",
     "is not a known key; known are id, controller, purpose, legal_basis, marketing, "),
    ("marketing = false", 'marketing = "yes"', "campaigns[0].marketing", "must be true or false, without quotes"),
    ("marketing = false", "marketing = 1", "campaigns[0].marketing", "must be true or false, without quotes"),
    ('"pl"', '"polski"', "campaigns[0].language", "must be a language in two letters, such as pl"),
    ('"pl"', '"PL"', "campaigns[0].language", "must be a language in two letters, such as pl"),
    ('"pl"', '"pl-PL"', "campaigns[0].language", "must be a language in two letters, such as pl"),
    ("@trunk", "@trunk&PJSIP/evil", "campaigns[0].dial", "PJSIP/{number}@trunk"),
    ("{agent}", "{agent}&PJSIP/evil", "campaigns[0].agent", "such as PJSIP/{agent} or PJSIP/anna"),
    ("+48221234567", "22 123 45 67", "campaigns[0].caller_id", "+48221234567"),
    ("+48221234567", "+48 123", "campaigns[0].caller_id", "+48221234567"),
    ("Europe/Warsaw", "Warsaw", "campaigns[0].hours.timezone", "Europe/Warsaw"),
    ("Europe/Warsaw", "../etc/passwd", "campaigns[0].hours.timezone", "Europe/Warsaw"),
    ("mon-fri", "mon-friday", "campaigns[0].hours.days", "mon-fri"),
    ("mon-fri", "fri-mon", "campaigns[0].hours.days", "forward"),
    ("mon-fri", "", "campaigns[0].hours.days", "mon-fri", "hours ="),
    ('"mon-fri"', "[0, 9]", "campaigns[0].hours.days", "mon-fri"),
    ('"09:00"', '"9"', "campaigns[0].hours.from", "must be a time such as 09:00"),
    ('"09:00"', "9", "campaigns[0].hours.from", "must be a time such as 09:00"),
    ('"20:00"', '"24:00"', "campaigns[0].hours.to", "must be a time such as 09:00, without a zone, and 23:59 at the latest"),
    ('"09:00"', '"20:00"', "campaigns[0].hours.from", "must be earlier than to"),
    ('"09:00"', '"09:00Z"', "campaigns[0].hours.from", "must be a time such as 09:00"),
    ('"20:00"', '"20:00+01:00"', "campaigns[0].hours.to", "must be a time such as 09:00"),
    ("holidays = false", 'holidays = "no"', "campaigns[0].hours.holidays", "must be true or false"),
    ("holidays = false", "holliday = false", "campaigns[0].hours.holliday",
     "is not a known key; known are timezone, days, from, to, holidays"),
    ("max = 3", "max = 0", "campaigns[0].attempts.max", "must be greater than or equal to 1"),
    ("max = 3", 'max = "3"', "campaigns[0].attempts.max", "must be a whole number, without quotes"),
    ("max = 3", "max = 3.0", "campaigns[0].attempts.max", "must be a whole number"),
    ("max = 3", "max = true", "campaigns[0].attempts.max", "must be a whole number"),
    ("per_days = 7", "per_days = 400", "campaigns[0].attempts.per_days", "must be less than or equal to 366"),
    *(('language = "pl"', f'language = "pl"\n{key} = {value}', f"campaigns[0].{key}", words, f"{key} =") for key, value, words in (
        ("ring_seconds", "4", "must be greater than or equal to 5"), ("ring_seconds", "181", "must be less than or equal to 180"),
        ("ring_seconds", "45.0", "must be a whole number"), ("longest_minutes", "4", "must be greater than or equal to 5"),
        ("longest_minutes", "601", "must be less than or equal to 600"), ("longest_minutes", '"60"', "must be a whole number, without quotes"),
    )),
    ("retention_days = 90", "retention_days = 0", "campaigns[0].recording.retention_days", "greater"),
    ("retention_days = 90", "retention = 90", "campaigns[0].recording.retention",
     "is not a known key; known are mode, purpose, legal_basis, retention_days, without"),
    ('without = "continue"', 'without = "cry"', "campaigns[0].recording.without", "must be 'continue' or 'hang_up'"),
    ('without = "continue"', 'without = "hang_up"\non_transfer = "stop"', "campaigns[0].recording.on_transfer",
     "must not be stop where calls are not held without a recording", "on_transfer"),
    ('"legitimate_interest"', '"consent"', "campaigns[0].recording.legal_basis", "mode must be opt_in, not opt_out"),
    ('mode = "opt_out"', 'mode = "mandatory"', "campaigns[0].recording.without", "must be hang_up", "without ="),
    ('mode = "opt_out"', 'mode = "opt_in"', "campaigns[0].recording.mode", "opt_in needs a key for consent_recording"),
    ('"2" = "continue_unrecorded"', '"2" = "consent_recording"', "campaigns[0].keys",
     "consent_recording is for recording.mode opt_in, not opt_out", "[campaigns.keys]"),
    ('"first_contact"', '"maybe"', "campaigns[0].notice.information", "must be 'always', 'first_contact' or 'never'"),
    ('"identity", ', '"identity", "jingle", ', "campaigns[0].notice.prompts[1]",
     "must be 'identity', 'purpose', 'basis', 'source', 'recording' or 'rights'"),
    ('"identity", ', '"identity", "rights", ', "campaigns[0].notice.prompts", "rights is listed twice"),
    ('["identity", "purpose", "source", "recording", "rights"]', '"recording"', "campaigns[0].notice.prompts",
     "must be a list such as"),
    (' "recording",', "", "campaigns[0].notice.prompts", "must contain recording", "prompts ="),
    ('"2" = "continue_unrecorded"', "", "campaigns[0].recording.mode", "opt_out needs a key for continue_unrecorded",
     "mode ="),
    ('"8" = "access"', '"8" = "sing"', "campaigns[0].keys.8", "'access'"),
    ('"8" = "access"', '"88" = "access"', "campaigns[0].keys.88", "one key of a telephone: 0-9, * or #"),
    ('"8" = "access"', '"8" = "erasure"', "campaigns[0].keys.8", "erasure is bound to two keys: it is already on 7"),
    ('controller = "acme"', 'controller = "other"', "campaigns[0].controller", "is not one of the controllers: acme"),
    ("marketing = false", 'registers = ["robinson"]', "campaigns[0].registers", "is not one of the registers: none"),
    ("marketing = false", 'preset = "XX"', "campaigns[0].preset", "must be one of DE, ES, FR, GB, IT, PL, US"),
    ('"contract"', '"consent"\nconsent_required = false', "campaigns[0].consent_required",
     "must not be false where legal_basis is consent", "consent_required"),
    ("marketing = false", 'marketing = true\npreset = "PL"\nconsent_required = false', "campaigns[0].consent_required",
     "must not be false for marketing: the rules of the preset PL require consent", "consent_required"),
    ("marketing = false", 'consent_channel = "fax"', "campaigns[0].consent_channel", "phone"),
    ('"8" = "access"', '"8" = "language"', "campaigns[0].keys", "the key language needs another language to change to: set languages",
     "[campaigns.keys]"),
    ("[campaigns.keys]", '[campaigns.agent_keys]\n"*1" = "access"\n"*2" = "erasure"\n"*12" = "restriction"\n[campaigns.keys]',
     "campaigns[0].agent_keys.*12", "can never be entered: *1 is already a code", '"*12"'),
    ('data_source = "umowa zawarta z ACME"', "", "campaigns[0].notice.prompts", "the prompt source speaks the campaign's data_source",
     "prompts ="),
    ('data_source = "umowa zawarta z ACME"', "", "campaigns[0].keys", "the key data_source speaks the campaign's data_source",
     "[campaigns.keys]"),
    ('dpo = "iod@acme.example"', 'dpo = "x"\nforward = {}', "controllers[0].forward", "needs a url or a folder",
     "forward"),
    ('dpo = "iod@acme.example"', 'dpo = "x"\nforward = { url = "http://acme.example/" }', "controllers[0].forward.url",
     "must be https", "forward"),
    ('dpo = "iod@acme.example"', 'dpo = "x"\nforward = { url = "https://a:b@acme.example/" }',
     "controllers[0].forward.url", "must not contain a user and password", "forward"),
    ('dpo = "iod@acme.example"', 'dpo = "x"\nforward = { url = "acme" }', "controllers[0].forward.url",
     "must be a valid URL", "forward"),
    ('dpo = "iod@acme.example"', 'dpo = "x"\nforward = { folder = "requests" }', "controllers[0].forward.folder",
     "must be an absolute path such as", "forward"),
    ('dpo = "iod@acme.example"', 'dpo = "x"\nforward = "https://acme.example/"', "controllers[0].forward",
     "must be a table with url, folder", "forward"),
    ("attempts = {", "attempts = 3 # {", "campaigns[0].attempts", "must be a table with max, per_days, total"),
    ("consents_days = 1461", 'consents_days = 1461\n[[controllers.recipients]]\nname = "CRM"\ndata = "calls"\ncountry = "US"',
     "controllers[0].recipients[0].safeguard", "US is not in the EEA: say what the transfer rests on", "[[controllers.recipients]]"),
    ("consents_days = 1461",
     'consents_days = 1461\n[[controllers.recipients]]\nname = "CRM"\ndata = "calls"\ncountry = "IS"\nsafeguard = "SCC"',
     "controllers[0].recipients[0].safeguard", "IS is in the EEA, where none is needed", "safeguard"),
    ("consents_days = 1461", 'consents_days = 1461\nrecipients = [{ name = "CRM", data = "calls", country = "Poland" }]',
     "controllers[0].recipients[0].country", "must be two capital letters, such as DE", "recipients"),
    ("hours = {", "hours = [] # {", "campaigns[0].hours", "must be at least one span of time"),
    ("hours = {", 'hours = "9-20" # {', "campaigns[0].hours", "must be a list of tables with timezone, days, from, to, holidays"),
]  # fmt: skip


def changed(old: str, new: str) -> str:
    assert DECLARED.count(old) == 1
    return DECLARED.replace(old, new)


def faults(text: str) -> tuple[Fault, ...]:
    with pytest.raises(PolicyError) as refused:
        read(text)
    return refused.value.faults


def fault(text: str) -> str:
    return "\n".join(map(str, faults(text)))


def test_a_default_that_hangs_on_a_missing_key_is_told_as_a_fault_in_the_words_of_a_library() -> None:
    without = DECLARED.replace('mode = "opt_out"', "", 1).replace(
        'legal_basis = "legitimate_interest"', "", 1
    )
    assert [(each.key, each.words) for each in faults(without)] == [
        ("campaigns[0].recording.mode", "is missing")
    ]


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


@pytest.mark.parametrize("case", FAULTS, ids=[f"{case[2]}-{case[3]}" for case in FAULTS])
def test_a_fault_names_another_line_or_key_or_not_what_is_allowed(case: tuple[str, ...]) -> None:
    old, new, key, words, *line = case
    text = changed(old, new)
    with pytest.raises(PolicyError) as refused:
        read(text)
    (found,) = [each for each in refused.value.faults if each.key == key and words in each.words]
    assert found.line is not None
    assert (line[0] if line else new) in text.split("\n")[found.line - 1]
    assert f"line {found.line}: {key}: " in str(refused.value)


def test_only_the_first_of_the_faults_is_told_or_not_from_the_top_down() -> None:
    wrong = changed('country = "PL"', 'country = "XX"').replace("max = 3", "max = 0")
    # the controllers are not the first thing in this file
    text = f'[[campaigns]]\nid = "other"\n{wrong}'
    with pytest.raises(PolicyError) as refused:
        read(text)
    lines = [each.line or 0 for each in refused.value.faults]
    assert lines == sorted(lines)
    keys = {each.key for each in refused.value.faults}
    assert {"controllers[0].country", "campaigns[1].attempts.max", "campaigns[0].purpose"} <= keys


def test_only_the_first_contradiction_of_a_campaign_is_told() -> None:
    keys = {
        each.key for each in faults(changed('data_source = "umowa zawarta z ACME"', 'registers = ["x", "x"]'))
    }
    assert keys >= {"campaigns[0].keys", "campaigns[0].notice.prompts", "campaigns[0].registers"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed('"8" = "access"', '"8" = "access"\n"8" = "erasure"'), 'line 38: "8": is declared twice'),
        (changed("marketing = false", "marketing = false\nmarketing = true"), "line 17: marketing: is declared twice"),
        (changed("max = 3", "max = 3, max = 4"), "line 23: attempts: is declared twice"),
        (f"{DECLARED}[campaigns.keys]\n", "line 40: [campaigns.keys]: is declared twice"),
        ("a = 1\na = 2", "line 2: a: is declared twice"),
        ("a = 1\n\nsecret = \n", "line 3: is not TOML: Invalid value"),
        ("[[controllers]]\nid = “acme”\n", "line 2: is not TOML: Invalid value: text needs straight quotes"),
        ("a = 1\nthis is no policy\n\n", "line 2: is not TOML: Expected '=' after a key in a key/value pair"),
        ("a = [1,\n2\n\n", "line 2: is not TOML: Unclosed array"),
        ("a = " + "[" * 5000, "not TOML: nested too deeply"),
        ("a = " + "1" * 5000, "not TOML: Exceeds the limit"),
        ("a = 2026-02-30", "line 1: is not TOML: Invalid date or datetime"),
        ("\ufeffid = 1", "line 1: id: is not a known key; known are accesses_days, controllers, registers, campaigns"),
    ],
)  # fmt: skip
def test_what_is_no_toml_or_is_written_twice_is_taken_or_raises(text: str, said: str) -> None:
    assert said in fault(text)


@pytest.mark.parametrize("kind", ["controllers", "campaigns", "registers"])
def test_a_table_in_one_bracket_is_answered_with_how_a_list_of_words_is_written(kind: str) -> None:
    text = f'[{kind}]\nid = "acme"\n'
    assert f"line 1: {kind}: write [[{kind}]], in double brackets, for each" in fault(text)


@pytest.mark.parametrize("kind", ["controllers", "campaigns", "registers"])
@pytest.mark.parametrize("second", ["[{}]", "[[{}]]"])
def test_of_two_tables_in_one_bracket_the_second_is_said_to_be_one_too_many(kind: str, second: str) -> None:
    text = f'# each\n[{kind}]\nid = "acme"\n{second.format(kind)}\nid = "other"\n'
    assert fault(text) == f"line 2: {kind}: write [[{kind}]], in double brackets, for each"


@pytest.mark.parametrize(
    ("old", "new", "line"), [("[campaigns.keys]", "[campaign.keys]", "[campaign.keys]"), ("[[campaigns]]", "[[campaign]]", "[[campaign]]")]
)  # fmt: skip
def test_a_mistyped_header_is_said_to_stand_twice(old: str, new: str, line: str) -> None:
    campaigns = "[[campaigns]]" + DECLARED.partition("[[campaigns]]")[2]
    text = (DECLARED + campaigns).replace(old, new)
    at = text[: text.index(line)].count("\n") + 1
    known = "accesses_days, controllers, registers, campaigns"
    assert fault(text) == f"line {at}: campaign: is not a known key; known are {known}"


@pytest.mark.parametrize("kind", ["controllers", "campaigns", "registers"])
def test_a_name_that_is_declared_twice_is_accepted(kind: str) -> None:
    table = {
        "controllers": '[[controllers]]\nid = "acme"\nname = "A"\ncountry = "PL"\ndpo = "x"\n',
        "campaigns": f"[[campaigns]]{DECLARED.partition('[[campaigns]]')[2]}",
        "registers": '[[registers]]\nid = "robinson"\nname = "Lista Robinsonów"\n',
    }[kind]
    text = DECLARED + table + (table if kind == "registers" else "")
    (found,) = faults(text)
    name = {"controllers": "acme", "campaigns": "renewals", "registers": "robinson"}[kind]
    assert (found.key, found.words) == (f"{kind}[1].id", f"{name!r} is declared twice")
    assert found.line == text[: text.rindex(f'id = "{name}"')].count("\n") + 1


@pytest.mark.parametrize("text", ["", "controllers = []", "campaigns = []"])
def test_a_policy_without_a_controller_is_refused(text: str) -> None:
    assert "controllers" in fault(text)


RECORDED = {"prompts": ["recording"]}


@pytest.mark.parametrize(
    ("changes", "must"),
    [
        ({"recording": {"mode": "off", "without": "hang_up", "legal_basis": "consent"}, "notice": {"prompts": []}}, False),
        ({"recording": {"mode": "notice"}}, False),
        ({"recording": {"mode": "notice", "without": "hang_up"}}, True),
        ({"recording": {"mode": "opt_out"}}, False),
        ({"recording": {"mode": "mandatory"}}, True),
        ({"recording": {"mode": "mandatory", "without": "hang_up"}}, True),
        ({"recording": {"mode": "opt_in", "legal_basis": "consent"}, "keys": {"1": "consent_recording"}}, False),
        ({"data_source": None, "keys": {"2": "continue_unrecorded"}, "notice": RECORDED}, False),
        ({"data_source": None, "keys": {"2": "continue_unrecorded"}, "notice": {}}, False),
        ({"attempts": {"max": 100, "per_days": 366, "total": 1000}}, False),
        ({"recording": {"mode": "opt_out", "retention_days": 3660}}, False),
        ({"attempts": {"max": 1, "per_days": 1, "total": 1}}, False),
        ({"recording": {"mode": "opt_out", "retention_days": 1}}, False),
        ({"purpose": "ż" * 200}, False),
    ],
)  # fmt: skip
def test_what_hangs_together_is_refused_or_a_call_goes_on_that_must_be_recorded(
    changes: dict[str, Any], *, must: bool
) -> None:
    assert campaign(**changes).recording.must is must


@pytest.mark.parametrize("pause", ["pause_recording", "resume_recording"])
def test_a_code_of_the_agent_leaves_out_what_a_law_has_recorded(pause: str) -> None:
    assert campaign(recording={"mode": "mandatory"}, agent_keys={"*1": "stop_recording"}).recording.must
    with pytest.raises(ValueError, match=f"{pause} cannot be used with recording.mode mandatory"):
        campaign(recording={"mode": "mandatory"}, agent_keys={"*1": pause})


@pytest.mark.parametrize(
    ("table", "key", "most"),
    [
        ("attempts", {"max": 101, "per_days": 1}, 100),
        ("attempts", {"max": 1, "per_days": 367}, 366),
        ("attempts", {"max": 1, "per_days": 1, "total": 1001}, 1000),
        ("recording", {"mode": "opt_out", "retention_days": 3661}, 3660),
    ],
)
def test_a_limit_is_taken_that_limits_nothing(table: str, key: dict[str, Any], most: int) -> None:
    with pytest.raises(ValueError, match=f"less than or equal to {most}"):
        campaign(**{table: key})


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("364", "must be greater than or equal to 365"),
        ("3661", "must be less than or equal to 3660"),
        ('"1096"', "must be a whole number, without quotes"),
        ("false", "must be a whole number, without quotes"),
    ],
)
def test_the_record_of_accesses_is_kept_for_good_or_gone_too_soon(written: str, words: str) -> None:
    assert read(DECLARED).accesses_days == 1096
    assert [read(f"accesses_days = {days}\n{DECLARED}").accesses_days for days in (365, 3660)] == [365, 3660]
    (found,) = faults(f"accesses_days = {written}\n{DECLARED}")
    assert (found.line, found.key, found.words) == (1, "accesses_days", words)


def test_calls_are_counted_for_longer_than_one_knows_whose_they_were() -> None:
    counted = DECLARED.replace("per_days = 7", "per_days = 60")
    assert read(counted.replace("1461", "60")).controllers[0].calls_days == 60
    with pytest.raises(PolicyError) as wrong:
        read(counted.replace("1461", "59"))
    (fault,) = wrong.value.faults
    assert (fault.line, fault.key) == (6, "controllers[0].calls_days")
    assert fault.words == "must be at least 60, the days over which 'renewals' counts its calls to a number"
    of_preset, of_both = campaign(preset="FR"), campaign(preset="FR", attempts={"max": 1, "per_days": 7})
    assert [each.counts_for_days for each in (campaign(), of_preset, of_both)] == [0, 30, 30]


def test_what_a_register_and_a_recording_leave_out_is_another_time() -> None:
    register = Register(id="robinson", name="Lista Robinsonów")
    assert (register.max_age_days, register.consent_overrides) == (31, False)
    assert Register(id="old", name="old", max_age_days=366).max_age_days == 366
    with pytest.raises(ValueError, match="less than or equal to 366"):
        Register(id="old", name="old", max_age_days=367)
    assert campaign().recording.retention_days == 90


@pytest.mark.parametrize(
    "forward",
    [{"url": "https://acme.example/hook"}, {"folder": "/srv/requests"}, {"url": "http://127.0.0.1:8000/hook"},
     {"url": "http://[::1]/hook"}, {"url": "http://localhost/hook"}],
)  # fmt: skip
def test_one_way_to_forward_is_not_enough_or_a_receiver_on_the_machine_is_refused(
    forward: dict[str, str],
) -> None:
    assert Forwarding.model_validate(forward).model_dump(mode="json", exclude_none=True) == forward


@pytest.mark.parametrize("person", ["user", "user:word", ":word"])
def test_a_url_with_a_password_in_it_is_logged(person: str) -> None:
    with pytest.raises(ValueError, match="must not contain a user and password"):
        Forwarding.model_validate({"url": f"https://{person}@acme.example/"})


def test_a_campaign_without_any_controller_is_told_no_more_than_that_its_own_is_unknown() -> None:
    said = fault(DECLARED.partition("[[campaigns]]")[1] + DECLARED.partition("[[campaigns]]")[2])
    assert "'acme' is not one of the controllers: none is declared" in said
    assert "controllers: declare at least one" in said


@pytest.mark.parametrize("basis", ["legal_obligation", "vital_interest"])
def test_advertising_is_declared_a_duty_and_so_escapes_every_bar(basis: str) -> None:
    with pytest.raises(ValueError, match=f"legal_basis: must not be {basis} where marketing is true"):
        campaign(legal_basis=basis, marketing=True)


def test_a_policy_is_not_changed_once_it_is_read() -> None:
    declared = read(DECLARED).campaigns[0]
    with pytest.raises(ValueError, match="frozen"):
        declared.marketing = True


def test_a_caller_id_is_kept_in_the_form_that_goes_into_the_header() -> None:
    assert campaign(caller_id="+48 (22) 123-45-67").caller_id == "+48221234567"


@pytest.mark.parametrize(
    ("days", "numbers", "written"),
    [
        ("sat", (5,), "sat"),
        ("mon-sun", tuple(range(7)), "mon-sun"),
        ("sat, mon", (0, 5), "mon,sat"),
        ("MON-WED,tue-thu", (0, 1, 2, 3), "mon-thu"),
        ("mon,tue,thu-sat,sun", (0, 1, 3, 4, 5, 6), "mon-tue,thu-sun"),
    ],
)
def test_days_are_read_or_written_otherwise_than_people_do(
    days: str, numbers: tuple[int, ...], written: str
) -> None:
    (hours,) = campaign(hours={"timezone": "UTC", "days": days, "from": "09:00", "to": "10:00"}).hours
    assert hours.days == numbers
    assert hours.model_dump()["days"] == written


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


@pytest.mark.parametrize(
    "agent",
    ["PJSIP/{agent}", "PJSIP/anna", "Local/100@agents", "PJSIP/desk-{agent}@pbx.example", "SIP/sip:7@pbx"],
)
def test_a_usual_way_to_reach_an_agent_is_refused(agent: str) -> None:
    assert campaign(agent=agent).agent == agent


@pytest.mark.parametrize(
    "agent",
    ["", "PJSIP/", "PJSIP/@pbx", "{agent}", "PJSIP/{number}", "PJSIP/{agent}{agent}", "PJSIP/{agent},30",
     "PJSIP/{agent}&PJSIP/boss", "PJSIP/{agent}/n", "PJSIP/{agent}\n", "PJSIP/${EXTEN}", "PJSIP/{agent!r}"],
)  # fmt: skip
def test_an_agent_that_forks_or_adds_options_is_accepted(agent: str) -> None:
    with pytest.raises(ValueError, match="agent"):
        campaign(agent=agent)


SPAN = 'days = "mon-fri"\nfrom = "10:00"\nto = 13:00:00\n'


@pytest.mark.parametrize(
    ("written", "spans"),
    [
        ('hours = { days = "sat", from = "10:00", to = "13:00" }\n', 1),
        ('hours = [{ days = "sat", from = "10:00", to = "13:00" }, { days = "mon", from = "9:00", to = "9" }]\n', 0),
        ('hours = [{ days = "sat", from = "10:00", to = "13:00" }, { days = "mon", from = "09:00", to = "10:00" }]\n', 2),
        (f"[campaigns.hours]\n{SPAN}", 1),
        (f"[[campaigns.hours]]\n{SPAN}[[campaigns.hours]]\n{SPAN}", 2),
    ],
)  # fmt: skip
def test_hours_are_refused_as_a_table_or_as_a_list_of_tables(written: str, spans: int) -> None:
    line = next(each for each in DECLARED.splitlines() if each.startswith("hours"))
    text = DECLARED.replace(line, "") + written if written[0] == "[" else DECLARED.replace(line, written)
    if spans:
        assert len(read(text).campaigns[0].hours) == spans
    else:
        assert [each.key for each in faults(text)] == [
            "campaigns[0].hours[1].from",
            "campaigns[0].hours[1].to",
        ]


@pytest.mark.parametrize("form", ["[campaigns.hours]", "[[campaigns.hours]]"])
def test_a_fault_in_a_table_of_hours_is_looked_for_at_its_head(form: str) -> None:
    line = next(each for each in DECLARED.splitlines() if each.startswith("hours"))
    text = DECLARED.replace(line, "") + f"{form}\n{SPAN}".replace("10:00", "14:00")
    (found,) = faults(text)
    assert found.key == f"campaigns[0].hours{'[0]' if '[[' in form else ''}.from"
    assert found.line == text[: text.index("from =")].count("\n") + 1


def test_a_register_may_be_older_than_the_preset_of_the_campaign_says() -> None:
    text = changed(
        "marketing = false", 'marketing = true\npreset = "IT"\nregisters = ["rpo", "own"]'
    ) + "".join(
        f'[[registers]]\nid = "{name}"\nname = "{name}"\nmax_age_days = {age}\n'
        for name, age in (("rpo", 31), ("other", 31), ("own", 7))
    )
    policy = read(text)
    asked = policy.registers_of(policy.campaigns[0])
    assert [(each.id, each.max_age_days) for each in asked] == [("rpo", 15), ("own", 7)]
    assert policy.register("rpo") == policy.registers[0]


def test_a_controller_is_not_passed_its_requests_on_where_it_says() -> None:
    forward = 'dpo = "x"\nforward = { url = "https://acme.example/hook", folder = "/srv/requests" }'
    declared = read(changed('dpo = "iod@acme.example"', forward)).controllers[0].forward
    assert declared is not None
    assert (str(declared.url), declared.folder) == ("https://acme.example/hook", "/srv/requests")


def test_a_policy_that_is_written_as_json_is_another_one_when_it_is_read() -> None:
    text = changed("marketing = false", 'marketing = true\npreset = "FR"')
    policy = read(text)
    assert Policy.model_validate(policy.model_dump(mode="json", by_alias=True)) == policy


@given(st.data())
def test_an_edit_of_the_file_raises_anything_but_a_policy_error(data: st.DataObject) -> None:
    lines = DECLARED.split("\n")
    place = data.draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    cut = data.draw(st.integers(0, len(line)))
    pieces = st.sampled_from(
        ['"', "'", '"""', "[", "]", "{", "}", "=", "#", ",", "\\", "\x00", "\r", "\u2028", "é", "1", "true"]
    )
    edited = [line[:cut] + data.draw(pieces) + line[cut + data.draw(st.integers(0, 3)) :]]
    text = "\n".join(
        [
            *lines[:place],
            *data.draw(st.sampled_from([edited, [], [line, line], [line, *edited]])),
            *lines[place + 1 :],
        ]
    )
    found: tuple[Fault | None, ...] = ()
    try:
        read(text)
    except PolicyError as error:
        found = error.faults or (None,)
    for each in found:
        assert each is not None
        assert str(each).isprintable()
        assert each.line is None or 1 <= each.line <= text.count("\n") + 1


@pytest.mark.parametrize(
    "written", [r'"\u001b[31m" = 1', '"\u2028" = 1\n"\u2028" = 2', r'"a\nb" = { c = 1 }']
)
def test_the_name_of_a_key_writes_to_the_terminal(written: str) -> None:
    assert all(str(each).isprintable() for each in faults(written))


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


@given(VALUES)
def test_no_value_of_any_key_raises_anything_but_a_fault(value: Any) -> None:
    # each of them: one that is drawn with the value would meet a text once in three runs
    for key in Campaign.model_fields:
        with contextlib.suppress(ValueError):
            campaign(**{key: value})
