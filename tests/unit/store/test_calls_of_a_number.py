"""``ccari calls find``, run as a person runs it."""

from dataclasses import replace

from ccari.ports.keying import Digests
from tests.integration.service import Service
from tests.unit.store import made, person
from tests.unit.store.commands import AS_WRITTEN
from tests.unit.store.kept import Shelf
from tests.unit.store.test_subject_commands import ccari

__all__ = ["ccari"]


async def test_the_calls_of_a_number_are_not_found_or_are_anothers(ccari: Service, shelf: Shelf) -> None:
    store = shelf.store
    first = await person.called(shelf)
    blocked = made.call()
    await store.calls.open(blocked, made.question(blocked))
    await store.calls.close(blocked.id, "blocked", "suppressed_objection", ())
    await person.called(shelf, made.numbers(2)[1])
    # of another controller, whose secret is a copy
    digest = made.digests().newest
    copied = replace(made.call("beta"), keyed=Digests(digest, 1, (digest,)))
    await store.calls.open(copied, made.question(copied))
    found = await ccari.json("calls", "find", AS_WRITTEN, "--controller", "acme", "--why", "complaint 8")
    told = [(each["id"], each["outcome"], each["reason"]) for each in found]
    assert told == [
        (str(blocked.id), "blocked", "suppressed_objection"), (str(first.id), "bridged", ""),
    ]  # fmt: skip
    assert made.NUMBER.digits not in str(found)
    assert len(await ccari.json("calls", "find", AS_WRITTEN, "--limit", "1")) == 1
    nobody = await ccari.ccari("calls", "find", "600 100 077")
    assert (nobody.code, nobody.out) == (1, "there are no calls with this number\n")


async def test_a_call_that_was_erased_is_found_again(ccari: Service, shelf: Shelf) -> None:
    await person.called(shelf)
    reference = await person.asked(shelf)
    done = await ccari.ccari("subject", "erase", AS_WRITTEN, "--request", reference, "--yes")
    assert done.code == 0, done.err
    assert (await ccari.ccari("calls", "find", AS_WRITTEN)).code == 1
