"""What is said: in which order, with which words, and under which version."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from ccari.policy import confirmations, notices, wording
from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign, Information, NoticePrompt
from ccari.policy.notices import information, sequence
from ccari.policy.rights import EFFECTS, Right
from ccari.policy.sentences import ended_once
from ccari.policy.wording import Prompt, prompts, version
from ccari.sounds.catalogue import Catalogue
from tests.unit.policy.campaigns import ALL_KEYS, CONTROLLER, campaign

SHIPPED = Catalogue.load(Path(__file__).parents[3] / "sounds" / "catalogue.toml")
EVERYTHING = {"prompts": [prompt.value for prompt in NoticePrompt]}


@dataclass(frozen=True)
class Echo:
    """Words that show what was filled in where."""

    def template(self, id: str, language: str) -> str:  # noqa: A002 - the catalogue's own word
        spoken = {
            "identity": "for {controller}",
            "purpose": "about {purpose}",
            "basis": "by {legal_basis_words}",
            "source": "from {data_source}",
            "recording_purpose": "for {recording_purpose}",
            "recording_opt_out": "unless {key}",
        }
        return spoken.get(id, f"{id}: {{key}}" if id.startswith("menu_") else id)

    def key_word(self, key: str, language: str) -> str:
        return f"<{key}>"

    def basis_words(self, basis: str, language: str) -> str:
        return f"<{basis}>"


def texts(declared: Campaign, words: wording.Words | None = None) -> dict[str, str]:
    return {prompt.id: prompt.text for prompt in prompts(CONTROLLER, declared, words or Echo())}


def notice(declared: Campaign) -> tuple[Prompt, ...]:
    told = sequence(declared, informed=False)
    return tuple(each for each in prompts(CONTROLLER, declared, SHIPPED) if each.id in told)


@pytest.mark.parametrize("language", SHIPPED.languages)
def test_a_name_that_ends_with_a_full_stop_ends_its_sentence_twice(language: str) -> None:
    short = "odnowienie, itd."
    declared = campaign(
        purpose=short, data_source="targi, itp.", notice=EVERYTHING, language=language,
        recording={"mode": "opt_out", "purpose": short}, keys=ALL_KEYS, answering_machine={"message": True},
    )  # fmt: skip
    told = prompts(CONTROLLER, declared, SHIPPED)
    assert CONTROLLER.name.endswith("o.o.")
    assert [each.id for each in told if ".." in each.text] == []
    assert {"identity", "purpose", "source", "machine_message"} <= {each.id for each in told}
    assert ".." not in wording.source("targi, itp.", SHIPPED, language).text


def test_an_ellipsis_is_cut_short() -> None:
    assert ended_once("Wait... ACME Sp. z o.o.. Then.") == "Wait... ACME Sp. z o.o. Then."


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        (
            {"notice": EVERYTHING},
            ("identity", "purpose", "basis", "source", "recording_opt_out", "rights"),
        ),
        ({"recording": {"mode": "notice"}}, ("identity", "recording_notice", "rights")),
        ({"recording": {"mode": "off"}}, ("identity", "rights")),
        ({"recording": {"mode": "off"}, "keys": {}}, ("identity", "rights_no_keys")),
        (
            {"notice": EVERYTHING | {"information": "never"}},
            ("recording_opt_out", "rights"),
        ),
        (
            {"notice": EVERYTHING | {"information": "first_contact"}},
            ("identity", "purpose", "basis", "source", "recording_opt_out", "rights"),
        ),
        ({"notice": {"prompts": ["rights", "recording"]}}, ("rights", "recording_opt_out")),
    ],
    ids=["all", "notice", "off", "no keys", "no information", "first contact", "another order"],
)
def test_the_notice_says_what_mode_keys_and_information_ask_for(
    changes: dict[str, Any], ids: tuple[str, ...]
) -> None:
    assert sequence(campaign(**changes), informed=False) == ids


WHOLE = ("identity", "purpose", "basis", "source", "recording_opt_out", "rights")


@pytest.mark.parametrize(
    ("information", "marketing", "informed", "ids"),
    [
        ("always", False, False, WHOLE),
        ("always", False, True, WHOLE),
        ("always", True, True, WHOLE),
        ("first_contact", False, False, WHOLE),
        ("first_contact", True, False, WHOLE),
        # Art 13(4), 14(5)(a): not again
        ("first_contact", False, True, ("recording_opt_out",)),
        # but a sales call says who calls and why each time
        ("first_contact", True, True, ("identity", "purpose", "recording_opt_out")),
        # Art 21(4): the rights at the first contact, whoever gives the other information
        ("never", False, False, ("recording_opt_out", "rights")),
        ("never", True, False, ("identity", "purpose", "recording_opt_out", "rights")),
        ("never", False, True, ("recording_opt_out",)),
        ("never", True, True, ("identity", "purpose", "recording_opt_out")),
    ],
)
def test_a_number_is_told_again_only_what_it_must_be(
    information: str, ids: tuple[str, ...], *, marketing: bool, informed: bool
) -> None:
    declared = campaign(notice=EVERYTHING | {"information": information}, marketing=marketing)
    assert sequence(declared, informed=informed) == ids


@pytest.mark.parametrize(
    ("mode", "without", "recording"),
    [
        ("off", "continue", None),
        ("notice", "continue", "recording_notice"),
        ("notice", "hang_up", "recording_notice"),
        ("opt_out", "continue", "recording_opt_out"),
        ("opt_out", "hang_up", "recording_opt_out_or_end"),
        ("opt_in", "continue", "recording_opt_in"),
        ("opt_in", "hang_up", "recording_opt_in_or_end"),
        ("mandatory", "hang_up", "recording_mandatory"),
    ],
)
def test_no_call_is_recorded_unannounced_nor_a_source_invented(
    mode: str, without: str, recording: str | None
) -> None:
    for source, basis, way in product((None, "formularz"), LegalBasis, Information):
        prompts = ["identity", "basis", *(["source"] if source else []), "recording", "rights"]
        declared = campaign(
            legal_basis=basis, data_source=source, recording={"mode": mode, "without": without},
            keys={"1": "consent_recording"} if mode == "opt_in" else {"2": "continue_unrecorded"},
            notice={"prompts": prompts, "information": way},
        )  # fmt: skip
        for informed in (False, True):
            ids, case = sequence(declared, informed=informed), (source, basis, way, informed)
            told = [each for each in ids if each.startswith("recording")]
            assert told == ([recording] if recording else []), case
            told_all = not informed or way is Information.ALWAYS
            assert ("basis" in ids) == (told_all and way is not Information.NEVER), case
            assert ("source" in ids) == ("basis" in ids and source is not None), case
            assert ({"rights", "rights_no_keys"} & set(ids) != set()) == told_all, case


@pytest.mark.parametrize("informed", [False, True])
def test_a_campaign_whose_numbers_have_sources_of_their_own_names_none(*, informed: bool) -> None:
    keys = {"2": "continue_unrecorded"}
    declared = campaign(data_source=None, keys=keys, notice={"information": "always"})
    assert "source" not in sequence(declared, informed=informed)


@pytest.mark.parametrize(
    ("changes", "another"),
    [
        ({"purpose": "nowa umowa"}, True),
        ({"data_source": "formularz"}, True),
        ({"legal_basis": "public_task"}, True),
        ({"language": "en"}, True),
        ({"keys": ALL_KEYS | {"8": "data_source", "9": "access"}}, True),
        ({"id": "offers"}, True),
        # the recording is announced in every call anyway
        ({"recording": {"mode": "notice"}, "keys": {"5": "objection_marketing"}}, False),
        ({"recording": {"mode": "notice", "retention_days": 7}, "keys": {"5": "objection_marketing"}}, False),
    ],
)
def test_a_number_is_told_again_when_the_words_of_the_information_change(
    changes: dict[str, Any], *, another: bool
) -> None:
    def informed_of(declared: Campaign) -> str:
        said = {each.id: each for each in prompts(CONTROLLER, declared, SHIPPED)}
        return version(tuple(said[each] for each in information(declared)))

    before: dict[str, Any] = {"notice": EVERYTHING | {"information": "first_contact"}}
    if not another:
        before |= {"recording": {"mode": "off"}, "keys": {"5": "objection_marketing"}}
    assert (informed_of(campaign(**before)) != informed_of(campaign(**before | changes))) is another


def test_the_information_of_a_campaign_that_tells_none_is_empty() -> None:
    assert information(campaign(notice={"prompts": ["recording"]})) == ()
    assert information(campaign(notice=EVERYTHING | {"information": "never"})) == ("rights",)


def test_what_is_told_of_the_recording_is_what_will_happen() -> None:
    """A callee who is told that the call goes on without a recording must not find it ended, nor the other way round."""
    for mode, action in (("opt_out", "continue_unrecorded"), ("opt_in", "consent_recording")):
        told = [
            texts(campaign(recording={"mode": mode, "without": without}, keys={"2": action}), SHIPPED)
            for without in ("continue", "hang_up")
        ]
        assert [f"recording_{mode}" in each for each in told] == [True, False]
        assert "zakończymy" in told[1][f"recording_{mode}_or_end"]


@pytest.mark.parametrize(
    ("recording", "sentence"),
    [
        ({"mode": "off"}, None),
        ({"mode": "notice"}, "menu_continue_unrecorded: <2>"),
        ({"mode": "notice", "without": "hang_up"}, "menu_refuse_recording: <2>"),
        ({"mode": "opt_out"}, None),
        ({"mode": "opt_in"}, "menu_continue_unrecorded: <2>"),
        ({"mode": "mandatory"}, "menu_refuse_recording: <2>"),
    ],
)
def test_the_key_that_refuses_is_told_in_the_menu_where_the_recording_does_not_tell_it(
    recording: dict[str, Any], sentence: str | None
) -> None:
    keys = {"2": "continue_unrecorded", "8": "access"}
    if recording["mode"] == "opt_in":
        keys |= {"1": "consent_recording"}
    menu = texts(campaign(recording=recording, keys=keys))["rights"]
    assert (sentence or "") in menu
    assert menu.count("<2>") == (1 if sentence else 0)


@pytest.mark.parametrize(
    ("changes", "by_voice"),
    [
        ({"keys": {"2": "continue_unrecorded", "9": "data_source"}}, True),
        ({"keys": {"2": "continue_unrecorded", "8": "access"}}, False),
        ({"keys": {"2": "continue_unrecorded", "8": "access"}, "legal_basis": "legitimate_interest"}, True),
        ({"keys": {"2": "continue_unrecorded", "8": "access"}, "marketing": True}, True),
        ({"keys": {"1": "objection", "2": "continue_unrecorded"}, "marketing": True}, True),
        (
            {
                "keys": {"1": "objection_marketing", "2": "continue_unrecorded"},
                "legal_basis": "legitimate_interest",
            },
            True,
        ),
        ({"keys": ALL_KEYS, "legal_basis": "legitimate_interest", "marketing": True}, False),
    ],
    ids=[
        "no right",
        "contract",
        "interest without objection",
        "marketing without objection",
        "marketing with the other",
        "interest with the other",
        "all keys",
    ],
)
def test_who_may_object_is_told_of_it_though_no_key_does_it(
    changes: dict[str, Any], *, by_voice: bool
) -> None:
    assert ("rights_no_keys" in texts(campaign(**changes))["rights"]) is by_voice


def test_keys_that_are_all_told_with_the_recording_leave_the_rights_to_the_agent() -> None:
    """A menu without a single key would be an unfinished sentence."""
    ids = sequence(campaign(keys={"2": "continue_unrecorded"}), informed=False)
    assert ids == ("identity", "recording_opt_out", "rights_no_keys")


@pytest.mark.parametrize("right", list(Right))
def test_every_right_has_its_confirmation(right: Right) -> None:
    words = confirmations.confirmation(right, recorded=False)
    assert set(words) <= set(notices.COMMON)
    # a refused recording and an objection to marketing are carried out at once
    assert ("answer_within_month" in words) == EFFECTS[right].refusable


def test_what_the_campaign_declares_is_put_into_the_words() -> None:
    told = texts(campaign(notice=EVERYTHING))
    assert told["identity"] == "for ACME Sp. z o.o."
    assert told["purpose"] == "about odnowienie umowy"
    assert told["basis"] == "by <contract>"
    assert told["source"] == "from umowa zawarta z ACME"
    assert told["recording_opt_out"] == "unless <2>"


def test_who_is_recorded_is_not_told_what_for_or_a_call_that_is_not_for_what_it_might_be() -> None:
    why = {"purpose": "szkolenia"}
    assert (
        texts(campaign(recording={"mode": "opt_out"} | why))["recording_opt_out"]
        == "for szkolenia unless <2>"
    )
    assert (
        texts(campaign(recording={"mode": "notice"} | why))["recording_notice"]
        == "for szkolenia recording_notice"
    )
    told = texts(campaign(recording={"mode": "off"} | why))
    assert not [text for text in told.values() if "szkolenia" in text]
    # its own sound, if the words are not those of all campaigns
    own = {
        prompt.id: prompt.campaign
        for prompt in prompts(CONTROLLER, campaign(recording={"mode": "notice"} | why), Echo())
    }
    assert own["recording_notice"] == "renewals"


@pytest.mark.parametrize(
    ("recording", "sentence"),
    [
        ({"mode": "off"}, "menu_withdraw_consent: <6>"),
        ({"mode": "opt_out"}, "menu_withdraw_consent: <6>"),
        ({"mode": "opt_in"}, "menu_withdraw_consent_recording: <6>"),
        (
            {"mode": "opt_in", "legal_basis": "legitimate_interest"},
            "menu_withdraw_consent_recording: <6>",
        ),
        ({"mode": "opt_in", "without": "hang_up"}, "menu_withdraw_consent_or_end: <6>"),
        ({"mode": "mandatory"}, "menu_withdraw_consent: <6>"),
    ],
)
def test_who_withdraws_their_consent_is_not_told_that_it_ends_the_recording_too(
    recording: dict[str, Any], sentence: str
) -> None:
    keys = {"2": "continue_unrecorded", "6": "withdraw_consent"}
    if recording["mode"] == "opt_in":
        keys |= {"1": "consent_recording"}
    assert sentence in texts(campaign(recording=recording, keys=keys))["rights"]


def test_the_menu_leaves_a_key_out_or_hides_the_objection_among_the_others() -> None:
    """Article 21(4): clearly and separately, except for the key that is named with the recording."""
    assert texts(campaign())["rights"] == (
        "rights menu_objection: <1> menu_objection_marketing: <5> menu_portability: <#> menu_human_review: <0> "
        "menu_restriction: <3> menu_rectification: <4> menu_withdraw_consent: <6> menu_erasure: <7> menu_access: <8> "
        "menu_repeat: <*> menu_data_source: <9>"
    )


def test_words_with_braces_are_said_as_they_are() -> None:
    assert (
        texts(campaign(notice=EVERYTHING, purpose="{controller} {0}"))["purpose"] == "about {controller} {0}"
    )


def test_the_source_is_there_to_be_asked_for_though_the_notice_does_not_tell_it() -> None:
    assert "source" in texts(campaign())
    assert "source" not in texts(campaign(keys={"2": "continue_unrecorded"}))


def test_each_prompt_is_there_once() -> None:
    made = prompts(CONTROLLER, campaign(notice=EVERYTHING), SHIPPED)
    assert len({prompt.id for prompt in made}) == len(made)
    assert len({prompt.key for prompt in made}) == len(made)


def test_only_what_is_the_campaigns_own_lies_in_its_folder() -> None:
    keys = {prompt.id: prompt.key for prompt in prompts(CONTROLLER, campaign(), SHIPPED)}
    assert keys["identity"] == "pl/renewals/identity"
    assert keys["goodbye"] == "pl/goodbye"


def test_the_version_of_a_notice_is_the_same_in_every_process() -> None:
    said = (Prompt("identity", "pl", "Dzień dobry", "renewals"), Prompt("goodbye", "pl", "Do widzenia"))
    assert version(said) == "92a6133fe6bbbd16"


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "nowa oferta"},
        {"data_source": "formularz"},
        {"legal_basis": "consent"},
        {"language": "en"},
        {"recording": {"mode": "notice"}},
        {"recording": {"mode": "opt_out", "without": "hang_up"}},
        {"keys": ALL_KEYS | {"8": "data_source", "9": "access"}},
        {"keys": {key: action for key, action in ALL_KEYS.items() if key != "8"}},
        {"notice": {"prompts": list(reversed(EVERYTHING["prompts"]))}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_words_are_another_version(changes: dict[str, Any]) -> None:
    assert version(notice(campaign(**{"notice": EVERYTHING} | changes))) != version(
        notice(campaign(notice=EVERYTHING))
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"dial": "PJSIP/{number}@other"},
        {"marketing": True},
        {"recording": {"mode": "opt_out", "retention_days": 7}},
        {"attempts": {"max": 1, "per_days": 1}},
        {"keys": dict(reversed(ALL_KEYS.items()))},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_same_words_are_the_same_version(changes: dict[str, Any]) -> None:
    assert version(notice(campaign(**{"notice": EVERYTHING} | changes))) == version(
        notice(campaign(notice=EVERYTHING))
    )


def test_words_that_move_from_one_prompt_to_the_next_are_another_version() -> None:
    one, other = Prompt("identity", "pl", "a b"), Prompt("purpose", "pl", "c")
    assert version((one, other)) != version((replace(one, text="a"), replace(other, text="b c")))


@pytest.mark.parametrize("language", ["pl", "en"])
@pytest.mark.parametrize("mode", ["off", "notice", "opt_out", "mandatory"])
@pytest.mark.parametrize("basis", list(LegalBasis))
@pytest.mark.parametrize("keys", [ALL_KEYS, {"2": "continue_unrecorded"}], ids=["all keys", "one key"])
def test_the_shipped_catalogue_has_words_for_every_prompt_of_every_campaign(
    language: str, mode: str, basis: LegalBasis, keys: dict[str, str]
) -> None:
    declared = campaign(
        language=language, legal_basis=basis, recording={"mode": mode}, keys=keys, notice=EVERYTHING
    )
    for prompt in prompts(CONTROLLER, declared, SHIPPED):
        assert prompt.text.strip()
        assert "{" not in prompt.text


def test_who_changes_the_language_hears_on_in_the_one_that_the_call_began_in() -> None:
    """Only the offer of the next language is in that language."""
    declared = campaign(language="pl", languages=["en", "uk"], keys=ALL_KEYS | {"#": "language"})
    for language, offered in (("pl", "en"), ("en", "uk"), ("uk", "pl")):
        spoken = {each.id: each.language for each in prompts(CONTROLLER, declared, SHIPPED, language)}
        assert spoken.pop("language_offer") == offered
        assert set(spoken.values()) == {language}


@pytest.mark.parametrize("language", ["pl", "en"])
def test_the_shipped_catalogue_has_what_is_said_at_the_end_of_a_call(language: str) -> None:
    common = {prompt.id for prompt in prompts(CONTROLLER, campaign(language=language), SHIPPED)}
    assert common >= {*confirmations.CONFIRMATIONS.values(), "right_failed", "goodbye", "agent_blocked_suppressed",
                      "agent_blocked_policy", "agent_unavailable"}  # fmt: skip
