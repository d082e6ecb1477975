"""What the service asks of the interpreter that it runs in."""

import gc


def settle() -> None:
    """Once all is loaded: what stays for good is not looked through for garbage again and again, which stops every call."""
    gc.collect()
    gc.freeze()
