"""A setting of the Python interpreter."""

import gc


def settle() -> None:
    """Once everything is loaded, exempt it from garbage collection: scanning it again and again would hold up every call."""
    gc.collect()
    gc.freeze()
