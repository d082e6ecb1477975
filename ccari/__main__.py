"""The command ``ccari``, and ``python -m ccari``."""

import signal
import warnings


def main() -> None:
    """Load a command, which takes half a second, and run it. Ctrl-C meanwhile ends the program without a traceback."""
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
