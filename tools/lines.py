"""What a check of the checkout says: a line for each thing that it looked at."""

from typing import NamedTuple


class Line(NamedTuple):
    """One thing examined: its name, what was found, and whether that is broken."""

    name: str
    words: str
    broken: bool = False

    def __str__(self) -> str:
        return f"{'BROKEN' if self.broken else 'ok    '}  {self.name}: {self.words}"
