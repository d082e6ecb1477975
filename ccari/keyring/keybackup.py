"""Backs up the keys folder to one file, encrypted with a passphrase, and restores it. Lost keys cannot be recreated.

The file is a tar in an age file, so ``age -d FILE | tar x`` opens it without ccari.
"""

import contextlib
import glob
import io
import os
import secrets
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyrage

from ccari.errors import ConfigError, why
from ccari.keyring.files import (
    FOLDER_MODE,
    LOST_AND_FOUND,
    PRIVATE_MODE,
    draft_of,
    give_as_above,
    holds_identity,
    is_draft,
    lock_folder,
    put_in_place,
    refuse_taken,
    settle,
    write_new,
)

#: What error texts call this file.
WHAT = "backup"
#: The largest file that a backup may contain; every key is smaller.
MOST_BYTES = 1 << 20
#: age refuses a passphrase whose work factor is far more than the machine does in a second, which it measures then and
#: there. A busy machine looks too slow, so opening is retried. It sleeps in between: the scheduler favours a process that
#: has just slept, while one that keeps measuring has used up its share and stays too slow.
TRIES = 100
BREATH_SECONDS = 0.2
_TOO_MUCH = "Excessive work"
_RESTORING = ".restoring"
_AGE = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")


@dataclass(frozen=True, slots=True)
class Packed:
    """A backup before encryption. ``files``: the paths in the keys folder that ``tar`` contains.
    ``left_out``: the paths left out because they hold an identity, which opens recordings.
    """

    tar: bytes
    files: tuple[str, ...]
    left_out: tuple[str, ...]


def pack(folder: Path, *, with_identity: bool = False) -> Packed:
    """Pack the whole keys folder, as it is at one moment.

    Raises
    ------
    ConfigError
        If something there cannot be read or is neither file nor folder, or there is no key. Otherwise an incomplete backup would be noticed
        only when it is needed.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no {folder} to back up: check [keys] dir, or run: ccari keys init")
    stream, files, left_out = io.BytesIO(), [], []
    with lock_folder(folder), tarfile.open(fileobj=stream, mode="w") as tar:
        for path in _content(folder):
            name, entry = str(path.relative_to(folder)), tarfile.TarInfo(str(path.relative_to(folder)))
            if not name.isprintable():
                raise ConfigError(f"{str(path)!r} could not be restored under that name: rename it")
            entry.mtime = int(path.lstat().st_mtime)
            if path.is_dir() and not path.is_symlink():
                entry.type, entry.mode = tarfile.DIRTYPE, FOLDER_MODE
                tar.addfile(entry)
                continue
            content = _read(path)
            if holds_identity(content) and not with_identity:
                left_out.append(name)
                continue
            entry.mode, entry.size = PRIVATE_MODE, len(content)
            tar.addfile(entry, io.BytesIO(content))
            files.append(name)
    if not files:
        raise ConfigError(
            f"there is no key in {folder} to back up: check [keys] dir, or run: ccari keys init"
        )
    return Packed(stream.getvalue(), tuple(files), tuple(left_out))


def unpack(tar: bytes, folder: Path) -> tuple[str, ...]:
    """Restore the files of a tar into a folder that is empty or missing; gives their paths. Only their owner
    can read them. If root restores, that is the owner of the folder, or of the folder above it.

    Restores all files or none: all are checked before the first is written, and they are moved into place at the end.

    Raises
    ------
    ConfigError
        If the folder is not empty, the tar is damaged or contains anything but plain files with paths below the folder, or a file cannot be
        written.
    """
    refuse_full(folder)
    content = _checked(tar)
    try:
        with _staged(folder) as staging:
            for path, data in content.items():
                for parent in reversed(path.parents[:-1]):
                    # one by one, since mkdir(parents=True) would leave the upper ones open to others
                    (staging / parent).mkdir(mode=FOLDER_MODE, exist_ok=True)
                    give_as_above(staging / parent)
                if not write_new(staging / path, data):
                    raise ConfigError(f"{path} is in the backup twice")
    except OSError as error:
        raise ConfigError(f"cannot write in {folder}: {why(error)}: check [keys] dir") from None
    return tuple(map(str, content))


def refuse_full(folder: Path) -> None:
    """Raise ConfigError if the folder is not empty: keys are never overwritten, nor mixed with others. What a killed restore has left there
    does not count: :func:`unpack` removes it.
    """
    try:
        if set(folder.iterdir()).difference(_left(folder, folder), {folder / LOST_AND_FOUND}):
            raise ConfigError(
                f"{folder} is not empty, and keys are never overwritten: set [keys] dir to an empty folder, "
                "restore into that, and compare"
            )
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"cannot read {folder}: {why(error)}: check [keys] dir") from None


def write(packed: Packed, to: Path, passphrase: str) -> None:
    """Encrypt and write a backup that only its owner can read: all of it or nothing.

    Raises
    ------
    ConfigError
        If the name is taken, or the file cannot be written.
    """
    refuse_taken(to, WHAT)
    encrypted = pyrage.passphrase.encrypt(packed.tar, passphrase)
    try:
        with draft_of(to, encrypted) as draft:
            put_in_place(draft, to, WHAT)
    except OSError as error:
        raise ConfigError(f"cannot write {to}: {why(error)}") from None


def read(file: Path, ask: Callable[[], str]) -> bytes:
    """Decrypt a backup; gives its tar. ``ask`` is called for the passphrase, but only if the file is a backup.

    Raises
    ------
    ConfigError
        If it cannot be read, is not an age file, has another passphrase or is damaged, or if the machine is too slow.
    """
    try:
        encrypted = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {why(error)}") from None
    if not encrypted.startswith(_AGE):
        raise ConfigError(f"{file} is not a backup of keys: it is not encrypted with age")
    passphrase = ask()
    for _ in range(TRIES):
        try:
            return pyrage.passphrase.decrypt(encrypted, passphrase)
        except pyrage.DecryptError as error:
            if _TOO_MUCH not in str(error):
                raise ConfigError(
                    f"{file} cannot be opened: the passphrase is wrong, or the file is damaged or cut off"
                ) from None
        time.sleep(BREATH_SECONDS)
    raise ConfigError(
        f"{file} cannot be opened here: this machine is too busy, or too slow, for the work that its "
        "passphrase takes: try again, or use another machine"
    )


def _content(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise ConfigError(f"cannot read {error.filename}: {why(error)}")

    for where, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(each for each in folders if each != LOST_AND_FOUND)
        yield from (Path(where, each) for each in folders)
        yield from (path for each in sorted(files) if not is_draft(path := Path(where, each)))


def _read(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise ConfigError(
            f"{path} is not a regular file, and would not be backed up: replace it by the file itself"
        )
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {why(error)}") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(
            f"{path} is too large for a key, and no backup with it could be restored: move it elsewhere"
        )
    return content


def _checked(tar: bytes) -> dict[PurePosixPath, bytes]:
    """The content of each file, by its path. Folders are skipped: they are created for the files in them."""
    content: dict[PurePosixPath, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as opened:
            for member in opened:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or not member.name.isprintable():
                    raise ConfigError(
                        f"the backup contains a path that leads out of the folder: {member.name!r}"
                    )
                if member.isdir():
                    continue
                file = opened.extractfile(member) if member.isreg() and member.size <= MOST_BYTES else None
                if file is None or not path.parts:
                    raise ConfigError(f"the backup contains something that is not a key: {member.name!r}")
                if path in content:
                    raise ConfigError(f"the backup contains {str(path)!r} twice")
                content[path] = file.read()
    except (tarfile.TarError, EOFError, ValueError):
        raise ConfigError("the backup is damaged: what is encrypted in it is not a tar archive") from None
    if not content:
        raise ConfigError("there is no key in the backup")
    return content


@contextlib.contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A folder to write into, renamed to ``folder`` at the end. If ``folder`` exists (it may be a mount
    point), the content is moved into it instead. At the end it is all on disk.
    """
    inside = folder.is_dir()
    above = folder if inside else folder.parent
    staging = above / f".{folder.name}.{secrets.token_hex(4)}{_RESTORING}"
    moved: list[Path] = []
    try:
        for left in _left(above, folder):
            shutil.rmtree(left)
        staging.mkdir(mode=FOLDER_MODE, parents=True)
        give_as_above(staging)
        yield staging
        if inside:
            for path in sorted(staging.iterdir()):
                moved.append(path.rename(folder / path.name))  # noqa: PERF401 - removed again if the next one fails
        else:
            staging.rename(folder)
        with contextlib.suppress(PermissionError):
            settle(above)
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _left(above: Path, folder: Path) -> list[Path]:
    """What killed restores into ``folder`` have left in ``above``."""
    return list(above.glob(f".{glob.escape(folder.name)}.*{_RESTORING}"))
