"""What a terminal shows, and does not obey."""

#: No-break spaces, which are no letters to Python, and which people write in names and numbers.
_SPACES = "\u00a0\u202f"


def printable(text: str, *, but: str = "") -> str:
    """The text on one line, with whatever could control the terminal escaped; ``but``: these characters stay as they are.

    Whoever can write to the database, or has made a file, could otherwise have a command seem to say something else than it does.
    """
    return "".join(
        each if each.isprintable() or each in _SPACES or each in but else repr(each)[1:-1] for each in text
    )
