"""What is hashed is the same whoever writes it: by RFC 8785, as another library writes it."""

from typing import Any

import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from ccari.policy.canonical import canonical

_VALUES = st.text() | st.integers() | st.floats() | st.booleans() | st.none()
#: Characters that sort differently by UTF-8 than by UTF-16, or are escaped.
_NAMES = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    'a\x00\x1f\x7f"\\/\n\b\uffff\U00010000é', max_size=4
)


def _by_the_library(told: Any) -> bytes | None:
    try:
        return rfc8785.dumps(told)
    except ValueError:
        return None


def _by_ours(told: Any) -> bytes | None:
    try:
        return canonical(told)
    except ValueError:
        return None


@given(st.dictionaries(_NAMES, _NAMES))
@example({"\uffff": "1", "\U00010000": "2"})
@example({"b": "\x7f\u2028\u2029\x1f</script>", "a": '\b\f\n\r\t"\\/'})
def test_fields_are_written_otherwise_than_rfc_8785_says(told: dict[str, str]) -> None:
    assert canonical(told) == rfc8785.dumps(told)


@given(st.dictionaries(st.text("ab"), _VALUES) | st.lists(_VALUES))
@example([2**53])
@example(["\ud800"])
@example({"a": "\udfff"})
@example({"\ud800": "a"})
@example({"a": 1.0})
@example({"a": ["b"]})
def test_what_is_no_text_is_written_otherwise_or_accepted(told: Any) -> None:
    """Somebody who tampers with a pack or a table puts it there."""
    assert _by_ours(told) == _by_the_library(told)
