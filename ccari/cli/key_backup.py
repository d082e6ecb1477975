"""``ccari keys backup`` and ``restore``: the keys folder in one encrypted file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ccari.counting import counted
from ccari.errors import CcariError, ConfigError
from ccari.keyring import keybackup
from ccari.keyring.files import read_given, refuse_taken

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        help="Read the passphrase from this file (readable by its owner only) instead of asking for it."
    ),
]

#: The minimum length of a new passphrase: anyone with the file can try as many as a machine can.
PASSPHRASE_CHARACTERS = 12


def backup(
    context: typer.Context,
    *,
    to: Annotated[
        Path, typer.Option("--to", help="The file to write; an existing file is never overwritten.")
    ],
    with_identity: Annotated[
        bool,
        typer.Option(
            "--with-identity", help="Include the identity that opens recordings, if it is still there."
        ),
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write the keys folder into one file, encrypted with a passphrase. `age -d FILE | tar x` also opens it."""
    keys_dir: Path = context.obj.settings().keys_dir
    refuse_taken(to, keybackup.WHAT)
    if to.absolute().parent.resolve().is_relative_to(keys_dir.resolve()):
        raise CcariError(f"{to} is in the folder that is to be backed up: name a file in another folder")
    packed = keybackup.pack(keys_dir, with_identity=with_identity)
    keybackup.write(packed, to, _passphrase(passphrase_file, new=True))
    typer.echo(
        f"{to}: {counted(len(packed.files), 'file')} of {keys_dir}; keep it, and its passphrase, on other machines"
    )
    for each in packed.left_out:
        typer.echo(
            f"left out: {each}, which opens recordings: give it to those who may listen, or include it by --with-identity"
        )


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A backup.")],
    *,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Restore a backup into the keys folder, which must be empty or missing. Run it as the service's user, or
    as root.
    """
    keys_dir: Path = context.obj.settings().keys_dir
    keybackup.refuse_full(keys_dir)
    tar = keybackup.read(file, lambda: _passphrase(passphrase_file, new=False))
    restored = keybackup.unpack(tar, keys_dir)
    typer.echo(
        f"{counted(len(restored), 'file is', 'files are')} in {keys_dir}; check the installation: ccari doctor"
    )


def _passphrase(file: Path | None, *, new: bool) -> str:
    """The passphrase, from the file or the terminal. Raises CcariError if there is neither, or a new one is too short."""
    if file is not None:
        given = _passphrase_of(file)
    elif sys.stdin.isatty():
        given = _typed(new=new)
    else:
        raise CcariError("there is no terminal to ask for the passphrase on: give --passphrase-file")
    if new and len(given) < PASSPHRASE_CHARACTERS:
        raise CcariError(
            f"the passphrase is too short: it protects every secret, so use {PASSPHRASE_CHARACTERS} characters or more"
        )
    return given


def _typed(*, new: bool) -> str:
    try:
        return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True))
    except UnicodeDecodeError:
        # the prompt's line is still open
        typer.echo(err=True)
        raise CcariError(
            "the terminal sends text that is not UTF-8: set it to UTF-8, or give --passphrase-file"
        ) from None


def _passphrase_of(file: Path) -> str:
    try:
        text = read_given(file).decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"cannot read {file}: No such file or directory") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.isprintable() or not text:
        raise ConfigError(f"{file} must contain the passphrase on one line, and nothing else")
    return text
