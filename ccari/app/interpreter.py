"""How the interpreter shares its time: the calls' loop comes first."""

import gc
import sys

#: How long the loop waits for a thread beside it that is at work in Python, instead of CPython's 5 ms: those who put away
#: recordings would keep a callee waiting for the notice.
SWITCH_SECONDS = 0.0005


def settle() -> None:
    """Once all is loaded: what stays for good is not looked through for garbage again and again."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
