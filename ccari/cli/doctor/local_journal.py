"""The local journal: rights that were pressed while the database was away, and whether it could take one now."""

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
    """What waits to be registered, what is aside, and whether the folder can be written. Raises StoreError."""
    kept = LocalJournalFiles(settings.data_dir, JournalKey(settings.keys_dir).read)
    found = kept.standing()
    if found.waiting:
        since = f" since {found.since:%Y-%m-%d %H:%M:%S} UTC" if found.since else ""
        yield fault(_CHECK, f"{found.waiting} rights wait{since} to be registered: until then nobody is called",
                    "ccari serve does it as soon as the database takes them; or now: ccari requests replay")  # fmt: skip
    # that there is no key, its own check tells
    with contextlib.suppress(ConfigError):
        if others := kept.of_another_key():
            yield fault(_CHECK, f"{others} of them were encrypted by another journal.key than this node has now",
                        "restore the key that ccari requests spooled names: docs/outages.md")  # fmt: skip
    if found.full:
        yield fault(_CHECK, f"it is full, with {found.waiting} rights and {found.bytes >> 20} MiB: it takes none that is pressed",
                    "bring the database back, then: ccari requests replay")  # fmt: skip
    if found.aside:
        yield fault(_CHECK, f"{found.aside} are aside that cannot be registered, though they may have been confirmed: until "
                            "a person has seen to them nobody is called",
                    "ccari requests spooled tells why; once that is mended: ccari requests replay --aside")  # fmt: skip
    if found.torn:
        yield doubt(_CHECK, f"{found.torn} were cut off by a crash, before they were confirmed to anybody",
                    f"nothing can be read of them; remove them when you have seen to it: {kept.aside}")  # fmt: skip
    there = next(
        each for each in (kept.waiting.absolute(), *kept.waiting.absolute().parents) if each.exists()
    )
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        yield fault(_CHECK, f"{kept.folder}: {there} cannot be written by {user_name(os.geteuid())}: a right that is "
                            "pressed while the database is away would be lost",
                    "let ccari's user write there: check data_dir")  # fmt: skip
    elif not found.waiting and not found.aside and not found.torn:
        yield well(_CHECK, f"nothing waits, and {kept.folder} can be written")
