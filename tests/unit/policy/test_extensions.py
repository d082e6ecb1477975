"""Whom calls may name to be rung: nobody who could be reached over a trunk without the gate."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy.declaration import Policy
from ccari.policy.doubts import doubts
from ccari.policy.extensions import MOST_DIGITS, is_extension
from tests.unit.policy.campaigns import CONTROLLER, campaign

NUMBERS = {
    "plain": "48600100001", "with a plus": "+48600100001", "with dashes": "48-600-100-001",
    "with dots": "0048.600.100.001", "national": "600100001", "seven digits": "6001000",
    "between letters": "a6b0c0d1e0f0g1", "behind a code": "*72*600100001", "short with a plus": "+112",
}  # fmt: skip
OWN = ["anna", "7", "112", "1002", "100001", "desk-12.34.56", "*98", "anna_maria.k"]


@pytest.mark.parametrize("name", NUMBERS.values(), ids=NUMBERS)
def test_a_number_is_rung_as_an_agent_or_a_colleague(name: str) -> None:
    trusting = campaign(agent="PJSIP/{agent}@trunk", transfer="PJSIP/{extension}@trunk")
    assert trusting.agent_string(name) is None
    assert trusting.transfer_string(name) is None
    # although nobody is rung by that name
    assert campaign(agent="PJSIP/anna").agent_string(name) is None


@pytest.mark.parametrize("name", OWN)
def test_an_extension_is_refused_as_an_agent_or_a_colleague(name: str) -> None:
    ours = campaign(agent="PJSIP/{agent}", transfer="Local/{extension}@agents")
    assert ours.agent_string(name) == f"PJSIP/{name}"
    assert ours.transfer_string(name) == f"Local/{name}@agents"


@pytest.mark.parametrize(
    "name", ["", " ", "anna@trunk", "anna/n", "anna&bert", "anna,30", "anna\n", "x" * 41, "żaneta", "\u0661"]
)
def test_what_a_dial_string_would_take_apart_gets_into_one(name: str) -> None:
    assert not is_extension(name)


@given(
    st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)),
    st.sampled_from(["", "00", "."]),
    st.text("-._*#x", max_size=3),
)
def test_a_country_has_numbers_that_pass_for_extensions(region: str, prefix: str, between: str) -> None:
    """In every country, in whichever way they are written."""
    number = phonenumbers.example_number(region)
    assert number is not None
    digits = f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    assert len(digits) > MOST_DIGITS
    assert not is_extension(prefix + between.join(digits))


@pytest.mark.parametrize(
    ("changes", "doubted"),
    [
        ({"agent": "PJSIP/{agent}@trunk"}, "set agent"),
        ({"agent": "pjsip/9{agent}@Trunk"}, "set agent"),
        ({"transfer": "PJSIP/{extension}@trunk"}, "set transfer"),
        ({"agent": "PJSIP/{agent}"}, None),
        ({"agent": "PJSIP/{agent}@phones", "transfer": "Local/{extension}@trunk"}, None),
        ({"agent": "PJSIP/anna@trunk"}, None),
        ({"agent": "PJSIP/{agent}", "dial": "PJSIP/{number}"}, None),
    ],
)
def test_agents_who_are_rung_over_the_trunk_are_not_asked_about_or_others_are(
    changes: dict[str, str], doubted: str | None
) -> None:
    said = list(
        doubts(Policy(controllers=(CONTROLLER,), campaigns=(campaign(caller_id="+48221234567", **changes),)))
    )
    assert len(said) == (doubted is not None)
    assert all(doubted in each and "112" in each for each in said if doubted)
