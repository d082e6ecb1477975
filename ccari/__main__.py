"""The command ``ccari``, and ``python -m ccari``."""

import atexit
import gc
import signal
import warnings


def main() -> None:
    """Load a command, which takes a third of a second, and run it. Ctrl-C meanwhile ends the program without a traceback."""
    # what is loaded is no garbage: to look through it all, time and again while more is loaded and once more at the exit, took more than
    # a quarter of a command's time. Once its command is loaded, ccari/cli/main.py turns the collector on
    gc.disable()
    atexit.register(gc.freeze)
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # pydub's, as soon as it is imported: whoever needs ffmpeg says so in words of their own
    warnings.filterwarnings("ignore", "Couldn't find ffmpeg", RuntimeWarning)
    # aiohttp's, which quote the header of a form, and there may be a number in it
    warnings.filterwarnings("ignore", module=r"aiohttp\.multipart")
    from ccari.cli import main as run  # noqa: PLC0415 - what takes the time

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
