"""Whether a user can read or write somebody else's file."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

READ, WRITE, ENTER = 0o4, 0o2, 0o1
_ACL = "system.posix_acl_access"


@dataclass(frozen=True, slots=True)
class Reader:
    """A user; ``uid`` None: a user whom no file names."""

    uid: int | None = None
    groups: frozenset[int] = frozenset()

    @classmethod
    def of(cls, uid: int) -> "Reader":
        """The user, with their groups as far as the system knows them; for this process's own user, also the groups that the process was
        given.
        """
        given = {os.getegid(), *os.getgroups()} if uid == os.geteuid() else set()
        try:
            who = pwd.getpwuid(uid)
        except KeyError:
            return cls(uid, frozenset(given))
        return cls(uid, frozenset(given | set(os.getgrouplist(who.pw_name, who.pw_gid))))

    def may(self, path: Path, wanted: int) -> bool:
        """Whether the mode permits it. If the file has an access control list, the answer is yes: the mode does not show the list."""
        stat = path.stat()
        if self.uid == 0:
            return True
        shift = {"u": 6, "g": 3, "o": 0}[self.class_of(path)]
        return bool(stat.st_mode >> shift & wanted) or _has_acl(path)

    def class_of(self, path: Path) -> str:
        """Which bits of the mode apply to this user, in chmod(1)'s letters: ``u`` the owner's, ``g`` the group's, ``o`` others'."""
        stat = path.stat()
        return "u" if stat.st_uid == self.uid else "g" if stat.st_gid in self.groups else "o"


def _has_acl(path: Path) -> bool:
    try:
        return _ACL in os.listxattr(path)
    except OSError:
        # the file system has no access control lists
        return False
