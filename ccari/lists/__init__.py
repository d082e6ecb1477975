"""Files of telephone numbers, from people and registers: read as a stream, never held whole."""

from ccari.lists.numberlist import NumberList, Row

__all__ = ["NumberList", "Row"]
