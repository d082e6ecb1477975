"""Invariants 8 and 9: nothing forbidden in a log, and journals in which no entry is edited, missing or moved."""

import math
import re
from collections.abc import Iterator

from tests.soak.account import Account, CallRow
from tests.soak.checks.violation import Violation
from tests.soak.plan import Fault

#: Anything that may be a Polish mobile number of the laboratory, however it is written: 600 to 602 and six more digits.
_NUMBER = re.compile(
    r"(?<![0-9a-f-])(?:\+|00)?(?:48)?[ .-]?60[012][ .-]?\d{3}[ .-]?\d{3}(?![0-9a-f-])", re.IGNORECASE
)
#: Rows are dated by the database's clock, and journals by the service's: what is said of a call if that is an hour off.
_CLOCKS_DIFFER = re.compile(
    r"(the (opened|dialled|ended)_at of the call is|the notice of the call was heard at) 2"
)


def journal_fits(account: Account) -> Iterator[Violation]:
    for call in account.calls:
        if call.fault is not None and not _is_of_a_stepped_clock(account, call, call.fault):
            yield Violation(9, "a call's journal does not fit", call.id, call.fault)
    for request in account.requests:
        if request.fault is not None:
            yield Violation(
                9,
                "a request's journal does not fit",
                request.call_id,
                f"{request.reference}: {request.fault}",
            )


def nobody_tampered(account: Account) -> Iterator[Violation]:
    """In a run, nobody tampers with anything: whoever is told so would take it to an authority."""
    for words in account.accused:
        yield Violation(9, "it is said that somebody has tampered", "", words)


def _is_of_a_stepped_clock(account: Account, call: CallRow, fault: str) -> bool:
    # a call that was opened while the database was away is entered late, with the beginning that the service knew, and the database's end
    ended = call.ended_at if call.ended_at is not None else math.inf
    began, ended = sorted((call.opened_at, ended))
    return bool(_CLOCKS_DIFFER.match(fault)) and account.broken(began, ended, Fault.STEP_CLOCK)


def log_tells_too_much(account: Account) -> Iterator[Violation]:
    numbers = {digits[-9:] for _, digits in account.digests}
    for line in account.lines:
        call = str(line.told.get("call_id", ""))
        if any(re.sub(r"\D", "", found)[-9:] in numbers for found in _NUMBER.findall(line.text)):
            yield Violation(8, "a number in a log", call, line.source)
        if any(secret in line.text for secret in account.secrets):
            yield Violation(8, "a secret in a log", call, line.source)
