"""Text that a terminal shows but does not act on."""

#: No-break spaces, which Python does not count as printable, and which people write in names and numbers.
_SPACES = "\u00a0\u202f"


def printable(text: str, *, but: str = "") -> str:
    """The text on one line, with terminal control characters escaped; ``but``: characters to leave as they are.

    Otherwise anyone who can write to the database, or has made a file, could make a command appear to say something else.
    """
    return "".join(
        each if each.isprintable() or each in _SPACES or each in but else repr(each)[1:-1] for each in text
    )
