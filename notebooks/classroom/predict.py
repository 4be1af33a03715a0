"""Predict, then see: a question that keeps its answer until the reader has committed to one.

``predict.number("How many parameters ...?", answer=712_198, then=picture)`` is the last line of a cell. In a notebook
it shows the question, a field and two buttons; what depends on the answer appears after it, under "You said 5, it is
12". A lesson that is executed to be read (``sliders.drawing.printed``) shows the question with the answer folded below
it; the web pages put the same lock on it (docs/web/predict.js). What a reader said stays in
``notebooks/my_predictions.json``; ``mine()`` shows it as one page.
"""

import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.display import HTML, display
from matplotlib.figure import Figure

from classroom.sliders.drawing import Picture, explore, printed
from course_lib import look
from course_lib.files import atomic_write, repo_path

if TYPE_CHECKING:
    import ipywidgets

FILE = ("notebooks", "my_predictions.json")


def number(
    question: str, answer: float, then: Any = None, *, unit: str = "", digits: int = 0
) -> "HTML | ipywidgets.VBox":
    """Ask for a number.

    Args:
        answer: what it is.
        then: what appears after the answer: a figure, a table, a slider's ``Picture``, a text, or a function without
            arguments that returns one of these.
        unit: written after the numbers: ``%``, ``points``.
        digits: of the answer, after the decimal point.
    """
    gap = "" if unit in ("", "x") else " "
    return Question(question, f"{answer:,.{digits}f}{gap}{unit}", then, unit=gap + unit).shown()


def choice(question: str, options: Sequence[str], answer: str, then: Any = None) -> "HTML | ipywidgets.VBox":
    """Ask for one of ``options``; see :func:`number`. Raises ValueError where ``answer`` is none of them."""
    if answer not in options:
        raise ValueError(f"the answer {answer!r} is not among the options {', '.join(options)}")
    return Question(question, answer, then, tuple(options)).shown()


def mine() -> HTML:
    """What this reader has predicted in all lessons, beside what it is: a page to print."""
    lines = [(question, *said) for question, said in _kept().items()]
    if not lines:
        return HTML("<p>No predictions yet: they are kept here as you make them.</p>")
    cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    head = "<tr><th>question</th><th>you said</th><th>it is</th></tr>"
    return HTML(f'<table class="course-table"><caption>My predictions</caption>{head}{cells}</table>')


@dataclass(frozen=True)
class Question:
    """A question with the answer and what is seen after it; ``options`` are empty where a number is asked for."""

    text: str
    answer: str
    then: Any = None
    options: tuple[str, ...] = ()
    unit: str = ""

    def shown(self) -> "HTML | ipywidgets.VBox":
        return HTML(self.folded()) if printed() else self.widget()

    def said(self, given: str | None) -> str:
        """What a reader gave, as it is repeated. Raises ValueError, in words for the reader, where it is no answer."""
        if self.options:
            if given is None:
                raise ValueError("Choose one of the answers first.")
            return given
        try:
            if math.isfinite(float(given.strip().rstrip("%x ").replace(",", "."))):
                return given.strip().rstrip("%x ") + self.unit
        except ValueError:
            pass
        raise ValueError("Write a number, for example 5.")

    def widget(self) -> "ipywidgets.VBox":
        """The question with its lock."""
        import ipywidgets as w

        if self.options:
            field = w.RadioButtons(options=self.options, value=None, layout={"width": "max-content"})
        else:
            field = w.Text(placeholder="a number", layout={"width": "110px"})
        see, show_me = w.Button(description="See", button_style="primary"), w.Button(description="Show me")
        words, below = w.HTML(), w.Output()
        revealed = self.revealed()  # now: by the time of the answer, "Run all" has given its names other values

        def reveal(sentence: str) -> None:
            words.value = _spoken(sentence)
            field.disabled = see.disabled = show_me.disabled = True
            with below:
                display(*revealed)

        def judge(_button: object) -> None:
            try:
                said = self.said(field.value)
            except ValueError as error:
                words.value = _spoken(str(error))
                return
            _keep(self.text, said, self.answer)
            reveal(f"You said {said}, {'and so it is' if said == self.answer else f'it is {self.answer}'}.")

        see.on_click(judge)
        show_me.on_click(lambda _button: reveal(f"It is {self.answer}."))
        question = w.HTML(f"<p><b>{html.escape(self.text)}</b></p>")
        return w.VBox([question, w.HBox([field, see, show_me]), words, below]).add_class("course-predict")

    def folded(self) -> str:
        """The question with its answer folded below it, in plain HTML."""
        shown = "".join(each._repr_html_() for each in self.revealed())
        about = {"question": self.text, "answer": self.answer, "unit": self.unit, "options": json.dumps(self.options)}
        data = " ".join(f'data-{name}="{html.escape(value)}"' for name, value in about.items())
        options = f"<p>{html.escape(' · '.join(self.options))}</p>" if self.options else ""
        return (
            f'<div class="course-predict" {data}><p><b>{html.escape(self.text)}</b></p>{options}'
            "<details><summary>Write your answer down first, then open this.</summary>"
            f"<p><b>It is {html.escape(self.answer)}.</b></p>{shown}</details></div>"
        )

    def revealed(self) -> list:
        """What appears after the answer, as Jupyter displays it."""
        then = self.then if isinstance(self.then, Picture) or not callable(self.then) else self.then()
        if isinstance(then, Picture):
            then = explore(then)
        elif isinstance(then, Figure):
            then = look.show(then)
        elif isinstance(then, str):
            then = HTML(f"<p>{html.escape(then)}</p>")
        return [] if then is None else [then]


def _spoken(words: str) -> str:
    return f'<p role="status" aria-live="polite"><b>{html.escape(words)}</b></p>'


def _kept() -> dict[str, list[str]]:
    try:
        return json.loads(repo_path(*FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there are none yet, or the reader has edited them away
        return {}


def _keep(question: str, said: str, answer: str) -> None:
    kept = _kept() | {question: [said, answer]}
    atomic_write(repo_path(*FILE), json.dumps(kept, indent=1, ensure_ascii=False).encode())
