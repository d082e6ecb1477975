"""What the service asks of the interpreter that it runs in."""

import gc


def settle() -> None:
    """Once all is loaded, exempt it from garbage collection: looking through it again and again would hold up every call."""
    gc.collect()
    gc.freeze()
