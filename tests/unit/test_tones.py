"""What the shipped Asterisk plays to somebody who has answered and waits for another phone."""

import configparser
import re

from tests.unit.documents.pages import CHECKOUT

CONFIGURED = CHECKOUT / "docker" / "asterisk"


def test_a_caller_waits_for_an_agent_in_silence() -> None:
    """indications.c knows no tones but those of the file, and skips a country without a description."""
    tones = configparser.ConfigParser(delimiters="=", comment_prefixes=(";", "#"))
    tones.read(CONFIGURED / "etc" / "indications.conf")
    country = tones[tones["general"]["country"]]
    assert {"description", "ring", "busy", "congestion"} <= set(country)


def test_a_file_that_is_shipped_is_emptied_on_the_way_into_the_image() -> None:
    (emptied,) = re.findall(r"for each in ([a-z_ ]+); do", (CONFIGURED / "Dockerfile").read_text())
    shipped = {each.stem for each in (CONFIGURED / "etc").glob("*.conf")}
    assert shipped.isdisjoint(emptied.split())
    assert "indications" in shipped
