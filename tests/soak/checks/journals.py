"""Invariants 8 and 9: nothing forbidden in a log, and journals in which no entry is edited, missing or moved."""

import re
from collections.abc import Iterator

from tests.soak.account import Account
from tests.soak.checks.violation import Violation

#: Anything that may be a Polish mobile number of the laboratory, however it is written: 600 to 602 and six more digits.
_NUMBER = re.compile(
    r"(?<![0-9a-f-])(?:\+|00)?(?:48)?[ .-]?60[012][ .-]?\d{3}[ .-]?\d{3}(?![0-9a-f-])", re.IGNORECASE
)


def journal_fits(account: Account) -> Iterator[Violation]:
    for call in account.calls:
        if call.fault is not None:
            yield Violation(9, "a call's journal does not fit", call.id, call.fault)
    for request in account.requests:
        if request.fault is not None:
            yield Violation(
                9,
                "a request's journal does not fit",
                request.call_id,
                f"{request.reference}: {request.fault}",
            )


def log_tells_too_much(account: Account) -> Iterator[Violation]:
    numbers = {digits[-9:] for _, digits in account.digests}
    for line in account.lines:
        call = str(line.told.get("call_id", ""))
        if any(re.sub(r"\D", "", found)[-9:] in numbers for found in _NUMBER.findall(line.text)):
            yield Violation(8, "a number in a log", call, line.source)
        if any(secret in line.text for secret in account.secrets):
            yield Violation(8, "a secret in a log", call, line.source)
