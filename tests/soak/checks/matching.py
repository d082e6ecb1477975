"""Which call an INVITE belongs to, and in which call a callee heard something."""

from collections.abc import Iterable

from tests.soak.account import Account, CallRow, Heard, Invite
from tests.soak.campaigns import BY_CALLER, CAMPAIGNS

#: Between two readings of one machine's clock by two programs.
CLOCK_SECONDS = 0.1
#: From the INVITE to world's channel, on a busy machine.
CHANNEL_SECONDS = 3.0
#: The resolution of a channel's own time.
WHOLE_SECONDS = 1.0


def dialled_by(account: Account) -> list[tuple[Invite, CallRow | None]]:
    """Each INVITE with the call whose token it was sent on; None if no call had one left. One token allows one INVITE."""
    unspent = sorted(
        (each for each in account.calls if each.dialled_at is not None), key=lambda each: each.dialled_at or 0
    )
    matched: list[tuple[Invite, CallRow | None]] = []
    for invite in sorted(account.invites, key=lambda each: each.at):
        fitting = [each for each in unspent if _fits(account, each, invite)]
        # the newest: a call dialled long before has already rung, or never will
        taken = fitting[-1] if fitting else None
        if taken is not None:
            unspent.remove(taken)
        matched.append((invite, taken))
    return matched


def _fits(account: Account, call: CallRow, invite: Invite) -> bool:
    campaign = BY_CALLER.get(invite.caller)
    return (
        call.dialled_at is not None
        and call.dialled_at <= invite.at + CLOCK_SECONDS
        and (campaign is None or campaign == call.campaign)
        and account.is_number_of(call, invite.digits)
    )


def heard_in(account: Account) -> list[tuple[Heard, CallRow]]:
    """What callees heard, with the call, if that can be told for certain."""
    by_id, sent = account.by_id, dialled_by(account)
    found = []
    for heard in account.heard:
        if heard.agent_call:
            call = by_id.get(account.of_agent_call.get(heard.agent_call, ""))
        else:
            call = _only(
                of
                for invite, of in sent
                if of is not None
                and invite.digits == heard.digits
                and -CLOCK_SECONDS - WHOLE_SECONDS <= heard.began - invite.at <= CHANNEL_SECONDS
            )
        if call is not None and call.campaign in CAMPAIGNS:
            found.append((heard, call))
    return found


def _only(calls: Iterable[CallRow]) -> CallRow | None:
    found = list(calls)
    return found[0] if len(found) == 1 else None
