"""Time budgets and the live line of a study. Clocks are monotonic: a wall clock that jumps changes nothing."""

import shutil
import sys
import time

CLEAR = "\r\x1b[K"  # a terminal goes back to the start of its line and wipes it
QUIET_SECONDS = 10.0  # a file or a pipe gets an epoch's line this often, a terminal every one


class Budget:
    """How long a study may go on. A copy in another process of the same machine ends at the same moment.

    Args:
        minutes: None for as long as it takes.
        started: ``time.monotonic()`` at the start; default now.
    """

    def __init__(self, minutes: float | None = None, started: float | None = None):
        if minutes is not None and not minutes > 0:
            raise ValueError(f"minutes must be above 0, not {minutes}")
        started = time.monotonic() if started is None else started
        self._end = float("inf") if minutes is None else started + 60 * minutes

    @property
    def left(self) -> float:
        """Seconds left, never below 0; infinite without a limit."""
        return max(0.0, self._end - time.monotonic())

    def holds(self, seconds: float) -> bool:
        """Whether work of ``seconds`` fits in what is left."""
        return seconds <= self.left and self.left > 0


class LiveLine:
    """One line that is rewritten as a study goes on: run, epoch, accuracy, images a second, time left.

    On a terminal it changes in place. In a file or a pipe an epoch's line is written where the last one is ten seconds
    old, whichever run that was of; what ``say`` says, as at a run's start and end, always stays.

    ``in_place`` is by default whether standard output is a terminal; False where several processes write to it.
    """

    def __init__(self, in_place: bool | None = None):
        self.in_place = sys.stdout.isatty() if in_place is None else in_place
        self._written = float("-inf")

    def epoch(self, run: str, row: dict, epochs: int, left: float) -> None:
        """Show the epoch just finished; ``row`` as ``train`` makes it, ``left`` the budget in seconds."""
        rest = (epochs - row["epoch"]) * row["seconds"]
        words = f"{run}: epoch {row['epoch']}/{epochs}, test {row['test_accuracy']:.2f} %, "
        words += f"{row['images_per_second']:,.0f} images/s, {in_words(rest)} to go"
        words += f" ({in_words(left)} of the budget left)" if left < float("inf") else ""
        if self.in_place:
            words = words[: shutil.get_terminal_size().columns - 1]  # a wrapped line could not be rewritten
            print(CLEAR + words, end="", flush=True)
        elif time.monotonic() - self._written >= QUIET_SECONDS:
            self._written = time.monotonic()
            self.say(words)

    def say(self, words: str) -> None:
        """A line that stays."""
        print((CLEAR if self.in_place else "") + words, flush=True)


def counted(count: int, word: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def in_words(seconds: float) -> str:
    """``45 s``, ``12 min`` or ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
