"""Private files, above all the keys: readable only by their owner and those root allows, and written whole or not at all."""

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from io import BufferedRandom
from pathlib import Path
from typing import BinaryIO

from ccari.errors import ConfigError, why
from ccari.regular import open_regular

#: The suffixes of public files: others may read them, but not write them.
PUBLIC_SUFFIXES = frozenset({".pub", ".recipients"})
PRIVATE_MODE, FOLDER_MODE = 0o600, 0o700
#: Of what root writes into a folder of its own that it lets a group read.
_GROUPS_FILE_MODE, _GROUPS_FOLDER_MODE = 0o640, 0o750
#: The folder that a file system has at its root, readable by root only: keys and recordings may be on a disk of their own.
LOST_AND_FOUND = "lost+found"
#: The advice for a missing key.
RESTORE = "restore it from the backup, or if there has never been one run: ccari keys init"
#: The beginning of every age identity: a private key that opens recordings.
_IDENTITY = b"AGE-SECRET-KEY-"
#: Bits of a file's mode.
_ANY_ACCESS_BY_OTHERS, _MORE_THAN_ROOT_GIVES, _WRITTEN_BY_OTHERS = 0o077, 0o037, 0o022
_DRAFT = ".draft"
#: How much :func:`check_room` writes: the size of the largest key.
ROOM_BYTES = 256


def is_draft(path: Path) -> bool:
    """Whether the file was left half written by a killed command."""
    return path.name.startswith(".") and path.suffix == _DRAFT


def holds_identity(content: bytes) -> bool:
    """Whether the content of a file contains an age identity."""
    return _IDENTITY in content.upper()


def is_there(path: Path) -> bool:
    """Whether the file exists. Raises ConfigError if that cannot be told: an unreadable file must not pass for missing."""
    try:
        return path.exists()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {why(error)}") from None


def is_open(path: Path, status: os.stat_result) -> bool:
    """Whether others have access they must not have: reading a private file, or writing to a public one or to
    a folder. The suffix and the mode decide.

    A file owned by root may be readable by its group, as PostgreSQL allows for a private key: root decides
    who is in the group. Systemd's credentials have such modes (an access list's mask takes the place of the
    group's bits), and so do Kubernetes secrets with an ``fsGroup``.
    """
    if stat.S_ISDIR(status.st_mode) or path.suffix in PUBLIC_SUFFIXES:
        return bool(status.st_mode & _WRITTEN_BY_OTHERS)
    return bool(status.st_mode & (_ANY_ACCESS_BY_OTHERS if status.st_uid else _MORE_THAN_ROOT_GIVES))


def read_guarded(path: Path) -> bytes:
    """The content of a file that must not be open to others (:func:`is_open`).

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    ConfigError
        If it is open to others, this process cannot read it, or it is a pipe or a device.
    """
    return _read(path, open_regular)


def read_given(path: Path) -> bytes:
    """Like :func:`read_guarded`, for a file named on the command line. It may be a pipe, such as a shell's
    ``<(age -d …)`` or ``/dev/stdin``, so that the key to everything else is never on a disk. For commands
    only: reading a pipe waits for its writer.
    """
    return _read(path, _open_any)


def check_folder(folder: Path) -> None:
    """Check the modes of everything in the keys folder.

    Raises
    ------
    ConfigError
        For the first file that others can read or replace.
    """
    for path in (folder, *sorted(folder.rglob("*"))):
        # for a link, its target's mode counts; a broken link or an unreadable disk is reported when the file is needed
        with contextlib.suppress(OSError):
            _refuse_open(path, path.stat())


def make_folder(folder: Path) -> None:
    """Create a folder that only its owner can use. If root creates it, :func:`give_as_above` says who can.

    Raises
    ------
    ConfigError
        If it cannot be created.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True)
        give_as_above(folder)
        with contextlib.suppress(PermissionError):
            settle(folder.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise _unwritable(folder, error) from None


def give_as_above(folder: Path) -> None:
    """If this process is root, give the folder to the owner of the folder above: a service, which must read
    it. If that is root, which lets a group in, let the group into this one too. Raises OSError.
    """
    if os.geteuid() == 0:
        above = folder.parent.stat()
        os.chown(folder, above.st_uid, above.st_gid, follow_symlinks=False)
        if _lets_a_group_in(above):
            folder.chmod(_GROUPS_FOLDER_MODE)


def write_new(path: Path, content: bytes) -> bool:
    """Write a new file. False, and nothing is done, if it exists.

    Raises
    ------
    ConfigError
        If it cannot be written.
    """
    make_folder(path.parent)
    try:
        with draft_of(path, content, for_folder=True) as draft:
            # a link fails if another process has just created the file, which a rename would replace
            path.hardlink_to(draft)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(path, error) from None
    settle(path.parent)
    return True


def write_over(path: Path, content: bytes, before: Callable[[], object] = lambda: None) -> None:
    """Write a file, or replace it. ``before``: called once there is room for it and it is written, just before it gets its name.

    Raises
    ------
    ConfigError
        If it cannot be written, and what ``before`` raises. The file is then as it was.
    """
    make_folder(path.parent)
    try:
        with draft_of(path, content, for_folder=True) as draft:
            before()
            draft.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    settle(path.parent)


def check_room(folder: Path) -> None:
    """Create the folder if needed, and raise ConfigError if it cannot be written to: it is read-only, or the disk is full."""
    make_folder(folder)
    try:
        with draft_of(folder / "room", b"." * ROOM_BYTES):
            pass
    except OSError as error:
        raise _unwritable(folder / "key", error) from None


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock the keys folder against changes by other commands; create it if needed. Raises ConfigError if that fails."""
    make_folder(folder)
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unwritable(folder / "key", error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def draft_of(path: Path, content: bytes, *, for_folder: bool = False) -> Iterator[Path]:
    """Write the content to disk under a temporary name beside ``path``, and remove that name afterwards. Raises OSError.

    ``for_folder``: if root writes it, give it to the folder's owner, a running service that must read it; or, if the owner is root,
    to the group that it lets in. No service needs an identity.
    """
    with open_draft(path) as (draft, file):
        if for_folder and os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            if _lets_a_group_in(owner) and not holds_identity(content):
                os.fchmod(file.fileno(), _GROUPS_FILE_MODE)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        yield draft


@contextlib.contextmanager
def open_draft(path: Path) -> Iterator[tuple[Path, BufferedRandom]]:
    """Create a private file beside ``path`` under a temporary name, open for writing and reading.

    Rename it to ``path``, or link it there, before the context ends, which removes the temporary name. Raises OSError.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_DRAFT}")
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_MODE), "w+b") as file:
            yield draft, file
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def refuse_taken(path: Path, what: str) -> None:
    """Raise ConfigError if ``path`` exists, or if that cannot be told. ``what`` names the file to be written there."""
    try:
        if path.exists() or path.is_symlink():
            raise ConfigError(f"{path} already exists, and no {what} is overwritten: give another name")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {why(error)}") from None


def put_in_place(draft: Path, path: Path, what: str) -> None:
    """Give a draft its final name, which must not be taken. Raises ConfigError as :func:`refuse_taken`, and OSError."""
    try:
        # a link fails if another process has just created the file, which a rename would replace
        path.hardlink_to(draft)
    except FileExistsError:
        refuse_taken(path, what)
        raise
    except OSError:
        # some file systems, such as a USB stick's, have no hard links
        refuse_taken(path, what)
        draft.rename(path)
    settle(path.parent)


def settle(folder: Path) -> None:
    """Flush the folder to disk, so that new and removed names in it survive a power failure. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lets_a_group_in(folder: os.stat_result) -> bool:
    """Whether root keeps the folder, and lets a group other than its own read it: that of a service that must not change its keys. Where all
    others may read it as well, nobody has chosen that group.
    """
    entered = stat.S_IRGRP | stat.S_IXGRP
    return folder.st_uid == 0 and folder.st_gid != 0 and folder.st_mode & (entered | stat.S_IRWXO) == entered


def _read(path: Path, opened: Callable[[Path], BinaryIO]) -> bytes:
    try:
        with opened(path) as file:
            _refuse_open(path, os.fstat(file.fileno()))
            return file.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {why(error)}") from None


def _open_any(path: Path) -> BinaryIO:
    return path.open("rb")


def _refuse_open(path: Path, status: os.stat_result) -> None:
    if not is_open(path, status):
        return
    if stat.S_ISDIR(status.st_mode):
        raise ConfigError(
            f"other users can put files into {path}: chmod go-w it, and find out whether anybody has done so"
        )
    if path.suffix in PUBLIC_SUFFIXES:
        raise ConfigError(
            f"{path} can be written by others: chmod go-w it, and find out whether anybody has written it"
        )
    raise ConfigError(f"{path} can be read by others: chmod 600 it, and find out whether anybody has read it")


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot write {path.name} in {path.parent}: {why(error)}: check [keys] dir")
