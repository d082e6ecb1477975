"""Where a fault is in the policy file."""

import pytest

from ccari.policy.declaration import PolicyError, read
from ccari.policy.places import Path, Places

TEXT = """\
# a policy
[[controllers]]
id = "acme"

[[campaigns]]
id = "first"
[campaigns.recording]
mode = "off"
[campaigns.keys]
"5" = "erasure"

[[campaigns]]
id = "second"
hours = { timezone = "X", days = "mon" }
recording.mode = "off"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("controllers", 0, "id"), 3),
        (("campaigns", 0, "id"), 6),
        (("campaigns", 0, "recording", "mode"), 8),
        (("campaigns", 0, "keys", "5", "[key]"), 10),
        (("campaigns", 1, "id"), 13),
        (("campaigns", 1, "hours", "timezone"), 14),
        (("campaigns", 1, "recording", "mode"), 15),
        (("campaigns", 1, "dial"), 12),
        (("campaigns", 2, "dial"), None),
        ((), None),
    ],
)
def test_a_fault_is_looked_for_in_another_line_or_table(path: Path, line: int | None) -> None:
    assert Places(TEXT).line_of(path) == line


#: A text and an array over several lines, each of which looks like something else, and a character that does not end a
#: line.
WIDE = '''\
# one\u2028line
[[campaigns]]
purpose = """
[[campaigns]] \\"""
id = "x" """
data_source = """"quoted"""
registers = [
  "a", # ]
  [ "b" ]
]
id = 'first' # """
[[campaigns.hours]]
days = "mon"
[[campaigns.hours]]
days = "tue"
[[campaigns]]
[[campaigns.hours]]
days = "wed"
language = \'\'\'
id = 1\'\'\'
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("campaigns", 0, "id"), 11),
        (("campaigns", 0, "data_source"), 6),
        (("campaigns", 0, "registers", 1), 7),
        (("campaigns", 0, "hours", 0, "days"), 13),
        (("campaigns", 0, "hours", 1, "days"), 15),
        (("campaigns", 1, "hours", 0, "days"), 18),
        (("campaigns", 1, "hours", 1, "days"), 16),
        (("campaigns", 1, "id"), 16),
    ],
)
def test_what_stands_inside_a_text_or_an_array_is_taken_for_a_key_or_counted_otherwise(
    path: Path, line: int
) -> None:
    assert Places(WIDE).line_of(path) == line


def test_a_message_does_not_tell_the_line_of_its_key() -> None:
    with pytest.raises(PolicyError) as caught:
        read(TEXT)
    assert "line 14: campaigns[1].hours.timezone: must be a time zone such as Europe/Warsaw" in str(
        caught.value
    )


def test_a_faulty_controller_is_reported_as_a_missing_one_too() -> None:
    with pytest.raises(PolicyError) as caught:
        read('[[controllers]]\nid = "acme"\nname = "ACME"\ncountry = "XX"\ndpo = "dpo"\n')
    assert str(caught.value).startswith("line 4: controllers[0].country: must be one of AT,")
    assert "\n" not in str(caught.value)


def test_no_controller_at_all_is_accepted() -> None:
    with pytest.raises(PolicyError, match="controllers: declare at least one"):
        read("")
