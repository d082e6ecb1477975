"""Whether this node can look a number up in the copies of registers."""

from collections.abc import Iterable, Sequence

from ccari.errors import SecretError
from ccari.policy.parties import Register
from ccari.ports.suppressions import RegisterStore


async def refuse_unseen(
    store: RegisterStore, heeded: Iterable[Register], listed_as: Sequence[tuple[str, bytes]]
) -> None:
    """Raise rather than let a number count as listed in no register if it could not be looked up in one of them.

    Raises
    ------
    SecretError
        If there is a copy of a ``heeded`` register for which ``listed_as`` has no digest: its secret is not on this node.
    StoreError
        If the database fails.
    """
    looked_in = {register for register, _ in listed_as}
    unseen = {each.id for each in heeded} - looked_in
    if not unseen:
        return
    copied = sorted(row["register"] for row in await store.ages() if row["register"] in unseen)
    if copied:
        raise SecretError(
            f"it cannot be looked up here who is in the register {copied[0]!r}, because its secret is on "
            f"another node: copy registers/{copied[0]} in the keys folder from the node where it was "
            "imported, or restore it from the backup, or import the register again",
            copied[0],
        )
