"""Numbers of things, in words for people."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 call``, ``2 calls``. ``many``: the plural, if it is not ``one`` with an s; with a verb: ``"right
    waits", "rights wait"``.
    """
    return f"{number} {one}" if number == 1 else f"{number} {many or f'{one}s'}"
