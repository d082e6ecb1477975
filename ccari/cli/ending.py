"""Ends a command cleanly on SIGTERM or SIGHUP: like Ctrl-C, it removes half-written files."""

import signal
from types import FrameType

#: SIGTERM comes from a service manager or an operator, SIGHUP when a terminal closes.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
#: The exit status after Ctrl-C, by the shells' convention.
INTERRUPTED = 128 + signal.SIGINT


class Ending:
    """Handles the signals, and remembers which one came."""

    def __init__(self) -> None:
        self._received: int | None = None

    def heed(self) -> None:
        """Install the handlers, except for ignored signals: after nohup, the terminal may close."""
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._end)

    def status(self) -> int:
        """The exit status of a command that was interrupted."""
        return INTERRUPTED if self._received is None else 128 + self._received

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._received == number == signal.SIGHUP:
            # when a terminal closes, both the kernel and the shell send SIGHUP: the second must not interrupt the clean-up
            return
        self._received = number
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):
            # Ctrl-C is ignored, as in a command that a script runs in the background
            raise KeyboardInterrupt
        # while a loop runs, this is asyncio's handler, which cancels the task; an exception raised here could be lost in a callback
        interrupt(signal.SIGINT, frame)


ending = Ending()
