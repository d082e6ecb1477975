"""The invariants of DESIGN 2, asserted about what a run has left behind. Each check yields the violations that it
finds.
"""

from collections.abc import Callable, Iterator

from tests.soak.account import Account
from tests.soak.checks.calm import is_over_and_whole, nothing_failed_inside
from tests.soak.checks.dialling import one_controllers_own, suppressed_is_dialled
from tests.soak.checks.exits import ended_by_itself, goes_on_though_told_to_end
from tests.soak.checks.journals import journal_fits, log_tells_too_much, nobody_tampered
from tests.soak.checks.presses import press_lost
from tests.soak.checks.recording import recorded_too_early, untagged_audio
from tests.soak.checks.rights import confirmed_unregistered, effect_missing, right_lost
from tests.soak.checks.stopping import goes_on_after_pause, goes_on_after_refusal
from tests.soak.checks.talk import bridged_too_early
from tests.soak.checks.violation import Violation

Check = Callable[[Account], Iterator[Violation]]
CHECKS: tuple[Check, ...] = (
    suppressed_is_dialled,
    recorded_too_early,
    bridged_too_early,
    untagged_audio,
    confirmed_unregistered,
    right_lost,
    press_lost,
    effect_missing,
    goes_on_after_refusal,
    goes_on_after_pause,
    one_controllers_own,
    log_tells_too_much,
    journal_fits,
    nobody_tampered,
    is_over_and_whole,
    nothing_failed_inside,
    ended_by_itself,
    goes_on_though_told_to_end,
)


def violations(account: Account) -> list[Violation]:
    return [found for check in CHECKS for found in check(account)]
