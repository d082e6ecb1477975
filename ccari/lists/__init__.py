"""Files of telephone numbers, as people and registers send them: read as a stream, never held whole."""

from ccari.lists.numberlist import NumberList, Row

__all__ = ["NumberList", "Row"]
