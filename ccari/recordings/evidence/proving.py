"""Makes evidence on demand: reads the account of a call or request, has it sealed to its end, and packs it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from ccari.errors import EvidenceError, UnfinishedError, UnknownError
from ccari.policy import chain
from ccari.policy.declaration import Policy
from ccari.policy.seal import Kind
from ccari.ports.evidence import Account, AccountStore, HeardSound
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.pack import pack, policy_of, refuse_unfit
from ccari.recordings.evidence.sealer import Sealer
from ccari.recordings.evidence.vcon import plain

#: How often to seal and read again: a journal may grow in between, but soon stops growing.
_TRIES = 5


class Prover:
    """:class:`ccari.ports.evidence.Proving`. ``heard`` finds the audio and words of the notices that the callee heard. It gets the call's
    policy, or None if that cannot be read, and the account.
    """

    def __init__(
        self,
        store: AccountStore,
        keys: SigningKeys,
        heard: Callable[[Policy | None, Account], list[HeardSound]],
    ) -> None:
        self._store = store
        self._keys = keys
        self._heard = heard

    async def sealed(
        self, which: str, sees: Callable[[str | None], bool] = lambda _controller: True
    ) -> Account:
        sealer = Sealer(self._store, self._keys)
        for _ in range(_TRIES):
            account = await self._account(which)
            # first, since "is not over yet" would reveal that another controller has such a call
            if not sees(account.subject["controller"]):
                raise UnknownError(f"there is no {which}")
            if account.kind is Kind.CALL and account.subject["ended_at"] is None:
                _refuse_reopened(account)
                raise UnfinishedError(f"the call {which} is not over yet")
            if account.seals and account.seals[-1].leaf.events == len(account.journal):
                break
            await sealer.seal_one(account.kind, account.id)
        return account

    def pack(self, account: Account, *, with_policy: bool = True) -> tuple[bytes, Sequence[HeardSound]]:
        # checked before ``heard`` uses anything from the journal
        refuse_unfit(account)
        played = self._heard(policy_of(account), account) if account.kind is Kind.CALL else []
        signers = [self._keys.public(each.seal.statement.key) for each in account.seals]
        key, now = self._keys.newest(), datetime.now(UTC)
        return pack(account, played, key, signers, now, with_policy=with_policy), played

    async def _account(self, which: str) -> Account:
        try:
            call = UUID(which)
        except ValueError:
            return await self._store.of_request(which.strip().upper())
        return await self._store.of_call(call)


def _refuse_reopened(account: Account) -> None:
    """Raise EvidenceError if the row of a call says that it goes on, and its journal that it does not: whoever takes the end out of the row
    must not keep the call from being looked into.
    """
    if fault := chain.fault_of_call(account.journal, plain(account.subject)):
        raise EvidenceError(f"call {account.id} is no longer valid evidence: {fault}")
