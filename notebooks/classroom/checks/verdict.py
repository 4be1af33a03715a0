"""What all checkers share: feedback in words, and a decorator that lets no reader's mistake stop the notebook."""

import contextlib
import dis
import functools
import inspect
import io
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass

MARKS = {"right": "✔ Right", "wrong": "✘ Not right yet", "not done": "… Not done yet"}
PRINTED = 20  # lines of what the reader's function printed that are shown


@dataclass(frozen=True)
class Feedback:
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
    """Raised inside a checker; its text is the feedback's words."""


class ReturnedNothing(Wrong):
    """The reader's function has a body, and returned None."""


class NotDone(Exception):
    """The reader's function is still the stub: its body is empty, or it returned ``...`` or raised what stubs raise."""


def require(condition: bool, words: str) -> None:
    """Raise Wrong with ``words`` unless ``condition`` holds."""
    if not condition:
        raise Wrong(words)


def checker(check: Callable[..., str]) -> Callable[..., Feedback]:
    """Make a checker of a function that calls the reader's answer, raises Wrong, and returns words of praise.

    The first argument, the reader's function, arrives wrapped so that a stub counts as not done. Mistakes inside the
    reader's function become feedback that names the error and the reader's line; nothing is raised. ``check`` opens its
    docstring with the call that is asked for, such as ``answer(z, v, T)`` in double backticks. What the function prints
    is shown for its last call alone: a checker may call it hundreds of times.
    """
    call = re.match(r"``\w+(\(.*?\))``", check.__doc__ or "")

    @functools.wraps(check)
    def checked(answer: Callable) -> Feedback:
        if isinstance(answer, type):
            return Feedback("wrong", f"hand over a function, not the class {answer.__name__}")
        if not callable(answer):
            came = type(answer).__name__
            return Feedback("wrong", f"hand over your function itself, not its result: {came} came")
        watched = _Answer(answer, call[1] if call else "")
        try:
            return Feedback("right", check(watched))
        except NotDone:
            return Feedback("not done", "write the function's body, then run this cell again.")
        except Wrong as wrong:
            return Feedback("wrong", str(wrong))
        finally:
            watched.show_printed()

    return checked


class _Answer:
    """The reader's function; tells a stub from an answer, and the reader's errors from the checker's own."""

    def __init__(self, function: Callable, asked: str):
        self.function, self.asked, self.printed = function, asked, ""

    def __call__(self, *args):
        self._fits(args)
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                result = self.function(*args)
        except Wrong:  # from what the checker handed in, such as a training that it watches
            raise
        except (Exception, SystemExit) as error:  # any mistake a reader can make is theirs to read about
            self._stopped(error)
        finally:
            self.printed = out.getvalue()
        if result is ... or (result is None and self._is_stub()):
            raise NotDone
        if result is None:
            only = " It prints, and print only shows a value: return hands it on." if self.printed else ""
            raise ReturnedNothing(f"your function returns nothing: is `return` missing?{only}")
        return result

    def show_printed(self) -> None:
        lines = self.printed.splitlines()
        cut = [f"... and {len(lines) - PRINTED} lines more"] if len(lines) > PRINTED else []
        if lines:
            print("\n".join(lines[:PRINTED] + cut))

    def _fits(self, args: tuple) -> None:
        """Raise Wrong where the reader's function does not take so many arguments."""
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):  # some built-in functions have none
            return
        try:
            signature.bind(*args)
        except TypeError:
            needed = f"{len(args)} argument{'s' if len(args) != 1 else ''}"
            asked = f"{needed}, {self.asked}" if self.asked and args else needed
            takes = re.sub(r" ->.*", "", str(signature))[:100]
            raise Wrong(f"your function must take {asked}: yours is defined with {takes}") from None

    def _stopped(self, error: BaseException) -> None:
        """Raise NotDone for what stubs raise, else Wrong with the error and the reader's line."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename == self._filename()] or frames
        if isinstance(error, NotImplementedError) and own[-1] == frames[-1]:
            raise NotDone from error
        line = f" (`{own[-1].line}`)" if own[-1].line else ""
        words = " ".join(str(error).split())[:300]
        raise Wrong(f"your function stopped with {type(error).__name__}: {words}{line}") from error

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
_EMPTY = ("LOAD_CONST", "RETURN_CONST", "RETURN_VALUE")  # what is left of an empty body: return None
