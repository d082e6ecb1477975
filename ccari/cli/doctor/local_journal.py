"""Checks the local journal: whether rights wait in it, and whether it could take one now."""

import contextlib
import os
from collections.abc import Iterator

from ccari.cli.doctor.configuration import user_name
from ccari.cli.doctor.findings import Finding, doubt, fault, well
from ccari.config import Settings
from ccari.errors import ConfigError
from ccari.store.journal_key import JournalKey
from ccari.store.local_journal import LocalJournalFiles

_CHECK = "local journal"


def local_journal(settings: Settings) -> Iterator[Finding]:
    """Rights that wait or were put aside, and whether the folder can be written. Raises StoreError."""
    journal = LocalJournalFiles(settings.data_dir, JournalKey(settings.keys_dir).read)
    standing = journal.standing()
    if standing.waiting:
        since = f" since {standing.since:%Y-%m-%d %H:%M:%S} UTC" if standing.since else ""
        yield fault(_CHECK, f"{standing.waiting} rights wait{since} to be registered: until then nobody is called",
                    "ccari serve does it as soon as the database takes them; or now: ccari requests replay")  # fmt: skip
    # another check reports a missing key
    with contextlib.suppress(ConfigError):
        if others := journal.of_another_key():
            yield fault(_CHECK, f"{others} of them were encrypted by another journal.key than this node has now",
                        "restore the key that ccari requests spooled names: docs/outages.md")  # fmt: skip
    if standing.full:
        yield fault(_CHECK, f"it is full, with {standing.waiting} rights and {standing.bytes >> 20} MiB: it takes none that is pressed",
                    "bring the database back, then: ccari requests replay")  # fmt: skip
    if standing.aside:
        yield fault(_CHECK, f"{standing.aside} are aside that cannot be registered, though they may have been confirmed: until "
                            "a person has seen to them nobody is called",
                    "ccari requests spooled tells why; once that is mended: ccari requests replay --aside")  # fmt: skip
    if standing.torn:
        yield doubt(_CHECK, f"{standing.torn} were cut off by a crash, before they were confirmed to anybody",
                    f"nothing can be read of them; remove them when you have seen to it: {journal.aside}")  # fmt: skip
    existing = next(
        each for each in (journal.waiting.absolute(), *journal.waiting.absolute().parents) if each.exists()
    )
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        yield fault(_CHECK, f"{journal.folder}: {existing} cannot be written by {user_name(os.geteuid())}: a right that is "
                            "pressed while the database is away would be lost",
                    "let ccari's user write there: check data_dir")  # fmt: skip
    elif not standing.waiting and not standing.aside and not standing.torn:
        yield well(_CHECK, f"nothing waits, and {journal.folder} can be written")
