"""What a command does when it is told to end: as after Ctrl-C it takes away what is half written."""

import signal
from types import FrameType

#: Of a service manager or an operator, and of a terminal that closes.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
#: The exit status after Ctrl-C, as shells have it.
INTERRUPTED = 128 + signal.SIGINT


class Ending:
    """Which signal it was, if it was not Ctrl-C."""

    def __init__(self) -> None:
        self._told: int | None = None

    def heed(self) -> None:
        """Left alone is what somebody has had ignored: after nohup the terminal may close."""
        for each in _SIGNALS:
            if signal.getsignal(each) is signal.SIG_DFL:
                signal.signal(each, self._end)

    def status(self) -> int:
        """The exit status of a command that was interrupted."""
        return INTERRUPTED if self._told is None else 128 + self._told

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._told == number == signal.SIGHUP:
            # a terminal that closes tells us, and its shell does so again: the second would cut the tidying short
            return
        self._told = number
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):
            # who starts a command in the background has it ignore Ctrl-C
            raise KeyboardInterrupt
        # asyncio's own while there is a loop: it cancels the work, where an exception could be lost in a callback
        interrupt(signal.SIGINT, frame)


ending = Ending()
