"""What Asterisk tells between the connection and the first call that can be made over it."""

from structlog.testing import capture_logs

from ccari.calls.admission import Admission
from ccari.calls.link import _MOST_EARLY_EVENTS, _Ears
from ccari.calls.switchboard import Switchboard


def test_events_beyond_what_is_kept_are_dropped_without_a_word_or_with_thousands() -> None:
    ears = _Ears(Switchboard(Admission(1000)))
    with capture_logs() as logged:
        for number in range(_MOST_EARLY_EVENTS + 100):
            ears.take({"type": "StasisStart", "channel": {"id": f"pbx-{number}"}})
    assert [each["event"] for each in logged] == ["early_events_dropped"]
    # what is not known here is swept, so its agent is not left in silence
    assert len(ears.early_channels()) == _MOST_EARLY_EVENTS
