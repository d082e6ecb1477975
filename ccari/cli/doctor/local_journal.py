"""Checks the local journal: whether rights wait in it, and whether it could take one now."""

import contextlib
import os
from collections.abc import Iterator

from ccari.cli.doctor.configuration import user_name
from ccari.cli.doctor.findings import Finding, fault, ok, warning
from ccari.cli.doctor.folders import closed
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import ConfigError
from ccari.policy.sentences import in_utc
from ccari.store.local_journal import LocalJournalFiles

_CHECK = "local journal"


def local_journal(settings: Settings) -> Iterator[Finding]:
    """Rights that wait or were put aside, and whether the folder can be written. Raises StoreError."""
    journal = LocalJournalFiles.of(settings)
    standing = journal.standing()
    if standing.waiting:
        since = f" since {in_utc(standing.since)}" if standing.since else ""
        yield fault(_CHECK, f"{counted(standing.waiting, 'right has', 'rights have')} been waiting{since} to be registered: nobody is called until then",
                    "ccari serve registers them as soon as the database is available; or now: ccari requests replay")  # fmt: skip
    # another check reports a missing key
    with contextlib.suppress(ConfigError):
        if others := journal.of_another_key():
            yield fault(_CHECK, f"{counted(others, 'of them was', 'of them were')} encrypted with a journal.key that this node no longer has",
                        "restore the key that ccari requests spooled names: docs/outages.md")  # fmt: skip
    if standing.full:
        yield fault(_CHECK, f"it is full, with {counted(standing.waiting, 'right')} and {standing.bytes >> 20} MiB: a right that is pressed now cannot be kept",
                    "bring the database back, then: ccari requests replay")  # fmt: skip
    if standing.aside:
        yield fault(_CHECK, f"{counted(standing.aside, 'right')} that cannot be registered, but may have been confirmed to callees, {'was' if standing.aside == 1 else 'were'} put aside: nobody is called until "
                            "somebody has seen to that",
                    "ccari requests spooled shows why; once that is put right: ccari requests replay --aside")  # fmt: skip
    if standing.torn:
        yield warning(_CHECK, f"{counted(standing.torn, 'right was', 'rights were')} cut off by a crash, before being confirmed to anybody",
                      f"they cannot be read; remove them from this folder when you have noted that: {journal.aside}")  # fmt: skip
    if (shut := closed(journal.waiting)) is not None:
        yield fault(_CHECK, f"{journal.folder}: {shut} cannot be written by {user_name(os.geteuid())}: a right that is "
                            "pressed while the database is away would be lost",
                    "let ccari's user write there: check data_dir")  # fmt: skip
    elif not standing.waiting and not standing.aside and not standing.torn:
        yield ok(_CHECK, f"nothing waits, and {journal.folder} can be written")
