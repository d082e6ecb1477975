"""In which language a person is answered."""

import pytest

from ccari.office.subjects import language_of
from ccari.policy.declaration import read
from ccari.policy.rights import Level, RequestState, Right
from ccari.ports.subjects import Mandate

CONTROLLER = """
[[controllers]]
id = "{id}"
name = "{id}"
country = "PL"
dpo = "iod@{id}.example"
"""
CAMPAIGN = """
[[campaigns]]
id = "{controller}-{language}"
controller = "{controller}"
language = "{language}"
purpose = "odnowienie umowy"
legal_basis = "contract"
data_source = "umowa"
dial = "PJSIP/{{number}}@trunk"
[campaigns.recording]
mode = "off"
"""


@pytest.mark.parametrize(
    ("request_language", "campaigns", "answered"),
    [
        ("uk", ("pl",), "uk"),
        (None, ("pl",), "pl"),
        (None, ("pl", "de"), "en"),
        (None, (), "en"),
        ("fr", ("pl",), "en"),
    ],
)
def test_a_person_is_answered_in_a_language_that_nobody_has_spoken_to_them(
    request_language: str | None, campaigns: tuple[str, ...], answered: str
) -> None:
    mandate = Mandate(
        "ACME-2026-000001", "acme", Right.ACCESS, RequestState.IN_PROGRESS, Level.L2, request_language, ()
    )
    spoken = [("acme", each) for each in campaigns] + [("other", "en")]
    policy = read(
        "".join(CONTROLLER.format(id=each) for each in ("acme", "other"))
        + "".join(CAMPAIGN.format(controller=of, language=language) for of, language in spoken)
    )
    assert language_of(mandate, policy) == answered
