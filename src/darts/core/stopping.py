"""What is known of signals that ask this process to stop.

Python raises what a handler raises wherever the program is, also where nothing can be raised, as in the callback of a weak
reference: there it is printed and lost. So the request is noted, too, and looked at where work can be stopped.
"""

import signal
import sys
from types import FrameType

from darts.core.errors import Interrupted

EXIT = 128
"""What the number of a signal is added to for the exit code."""
_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_noted: list[int] = []


def heeded() -> list[int]:
    """The signals that ask to stop, without those that this process ignores."""
    return [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]


def heed_signals() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end this process by an exception; what it ignores, as under nohup, stays ignored."""
    _noted.clear()
    for number in heeded():
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    _noted.append(number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(EXIT + number)


def stop_if_asked() -> None:
    """Stop between two pieces of work.

    Raises
    ------
    Interrupted
        When a signal came that `heed_signals` heeds.
    """
    if _noted:
        raise Interrupted("stopped.", EXIT + _noted[0])
