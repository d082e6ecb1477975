"""What is said: in which order, with which words, and under which version."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ccari.policy import notices
from ccari.policy.bases import LegalBasis
from ccari.policy.declaration import Campaign, NoticePrompt
from ccari.policy.notices import Prompt, prompts, sequence, version
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
            "recording_opt_out": "unless {key}",
        }
        return spoken.get(id, f"{id}: {{key}}" if id.startswith("menu_") else id)

    def key_word(self, key: str, language: str) -> str:
        return f"<{key}>"

    def basis_words(self, basis: str, language: str) -> str:
        return f"<{basis}>"


def texts(declared: Campaign) -> dict[str, str]:
    return {prompt.id: prompt.text for prompt in prompts(CONTROLLER, declared, Echo())}


def notice(declared: Campaign) -> tuple[Prompt, ...]:
    told = sequence(declared, informed=False)
    return tuple(each for each in prompts(CONTROLLER, declared, SHIPPED) if each.id in told)


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


def test_what_the_campaign_declares_is_put_into_the_words() -> None:
    told = texts(campaign(notice=EVERYTHING))
    assert told["identity"] == "for ACME Sp. z o.o."
    assert told["purpose"] == "about odnowienie umowy"
    assert told["basis"] == "by <contract>"
    assert told["source"] == "from umowa zawarta z ACME"
    assert told["recording_opt_out"] == "unless <2>"


def test_the_menu_speaks_every_key_in_the_order_of_the_keys() -> None:
    """But for the one that is told with the recording."""
    assert texts(campaign())["rights"] == (
        "rights menu_portability: <#> menu_repeat: <*> menu_human_review: <0> menu_objection: <1> "
        "menu_restriction: <3> menu_rectification: <4> menu_objection_marketing: <5> menu_withdraw_consent: <6> "
        "menu_erasure: <7> menu_access: <8> menu_data_source: <9>"
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
@pytest.mark.parametrize("mode", ["off", "notice", "opt_out"])
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


@pytest.mark.parametrize("language", ["pl", "en"])
def test_the_shipped_catalogue_has_what_is_said_at_the_end_of_a_call(language: str) -> None:
    common = {prompt.id for prompt in prompts(CONTROLLER, campaign(language=language), SHIPPED)}
    assert common >= {*notices.CONFIRMATIONS.values(), "right_failed", "goodbye", "agent_blocked_suppressed",
                      "agent_blocked_policy", "agent_unavailable"}  # fmt: skip
