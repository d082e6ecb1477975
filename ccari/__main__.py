"""The command ``ccari``, and ``python -m ccari``."""

import atexit
import gc
import signal
import warnings


def main() -> None:
    """Load a command, which takes a third of a second, and run it. Ctrl-C meanwhile ends the program without a traceback."""
    # loading makes no garbage: collecting while modules load, and once more at exit, took over a quarter of a
    # command's time. ccari/cli/main.py turns the collector on once the command is loaded
    gc.disable()
    atexit.register(gc.freeze)
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # pydub warns as soon as it is imported; our commands report a missing ffmpeg in their own words
    warnings.filterwarnings("ignore", "Couldn't find ffmpeg", RuntimeWarning)
    # and Python of how it is written, with each command, if its byte code was not cached when it was installed
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=r".*\bpydub\b")
    # aiohttp's warnings quote a form's header, which may contain a number
    warnings.filterwarnings("ignore", module=r"aiohttp\.multipart")
    from ccari.cli import main as run  # noqa: PLC0415 - what takes the time

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
