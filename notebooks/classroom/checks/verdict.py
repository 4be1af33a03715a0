"""What all checkers share: a verdict in words, and a decorator that lets no reader's mistake stop the notebook."""

import dis
import functools
import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass

MARKS = {"right": "✔ Right", "wrong": "✘ Not right yet", "not done": "… Not done yet"}


@dataclass(frozen=True)
class Verdict:
    """``state`` is ``right``, ``wrong`` or ``not done``; ``words`` say why and what to try. True only when right."""

    state: str
    words: str

    def __bool__(self) -> bool:
        return self.state == "right"

    def __repr__(self) -> str:
        return f"{MARKS[self.state]}: {self.words}"

    def _repr_markdown_(self) -> str:
        return f"**{MARKS[self.state]}:** {self.words}"


class Wrong(Exception):
    """Raised inside a checker; its text is the verdict's words."""


class ReturnedNothing(Wrong):
    """The reader's function has a body, and returned None."""


class NotDone(Exception):
    """The reader's function is still the stub: its body is empty, or it returned ``...`` or raised what stubs raise."""


def require(condition: bool, words: str) -> None:
    """Raise Wrong with ``words`` unless ``condition`` holds."""
    if not condition:
        raise Wrong(words)


def checker(check: Callable[..., str]) -> Callable[..., Verdict]:
    """Make a checker of a function that calls the reader's answer, raises Wrong, and returns words of praise.

    The first argument, the reader's function, arrives wrapped so that a stub counts as not done. Mistakes inside the
    reader's function become a verdict that names the error and the reader's line; nothing is raised.
    """

    @functools.wraps(check)
    def checked(answer: Callable, *args, **kwargs) -> Verdict:
        if not callable(answer):
            return Verdict(
                "wrong",
                f"hand over your function itself, not its result: {type(answer).__name__} came",
            )
        try:
            return Verdict("right", check(_Answer(answer), *args, **kwargs))
        except NotDone:
            return Verdict("not done", "write the function's body, then run this cell again.")
        except Wrong as wrong:
            return Verdict("wrong", str(wrong))
        except _Stopped as stopped:
            return Verdict("wrong", str(stopped))

    return checked


class _Stopped(Exception):
    """The reader's function raised."""


class _Answer:
    """The reader's function; tells a stub from an answer, and the reader's errors from the checker's own."""

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, *args, **kwargs):
        try:
            result = self.function(*args, **kwargs)
        except Wrong:  # from what the checker handed in, such as a training that it watches
            raise
        except Exception as error:  # any mistake a reader can make is theirs to read about
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if frame.filename == self._filename()] or frames
            if isinstance(error, NotImplementedError) and own[-1] == frames[-1]:
                raise NotDone from error
            line = f" (`{own[-1].line}`)" if own[-1].line else ""
            raise _Stopped(f"your function stopped with {type(error).__name__}: {error}{line}") from error
        if result is ... or (result is None and self._is_stub()):
            raise NotDone
        if result is None:
            raise ReturnedNothing("your function returns nothing: is `return` missing?")
        return result

    def _code(self):
        """Its code, below decorators; None for what Python has no code of."""
        return getattr(inspect.unwrap(self.function), "__code__", None)

    def _filename(self) -> str:
        """The file or cell it stands in, so that an error inside a library is shown by the reader's line."""
        return getattr(self._code(), "co_filename", "")

    def _is_stub(self) -> bool:
        """Whether the body has no statements: only ``...``, ``pass``, words or comments."""
        code = self._code()
        steps = [] if code is None else [step for step in dis.get_instructions(code) if step.opname not in _IDLE]
        return bool(steps) and all(step.opname in _EMPTY and step.argval is None for step in steps)


_IDLE = ("RESUME", "NOP", "CACHE", "MAKE_CELL", "COPY_FREE_VARS")
_EMPTY = (
    "LOAD_CONST",
    "RETURN_CONST",
    "RETURN_VALUE",
)  # what is left of an empty body: return None
