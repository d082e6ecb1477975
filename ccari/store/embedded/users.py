"""The system user that runs the embedded server: PostgreSQL refuses to run as root, and ccari's commands may."""

import contextlib
import os
import pwd
from pathlib import Path
from typing import NamedTuple

from ccari.errors import StoreError

#: The users that run the server when ccari runs as root; the first that exists.
_SYSTEM_USERS = ("ccari", "postgres")


class User(NamedTuple):
    """A system user, with the group that the programs run in."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"uid {self.uid}"


def server_user(cluster: Path) -> User | None:
    """For root: the cluster's owner if there is a cluster, since the service may run as a user that root's commands would not choose;
    else the first of :data:`_SYSTEM_USERS`. None if this process is not root. Raises StoreError if root has none of these users.
    """
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(OSError):
        owner = cluster.stat()
        return User(owner.st_uid, owner.st_gid)
    for name in _SYSTEM_USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return User(entry.pw_uid, entry.pw_gid)
    raise StoreError(
        "PostgreSQL does not run as root: make a user for it (useradd --system ccari), or give [database] url"
    )
