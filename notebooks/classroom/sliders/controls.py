"""The controls of a picture, as data: where each begins, what it allows, and the widget that it becomes in a notebook.

Each kind has ``start``; ``check`` gives a value as ``draw`` takes it, or refuses by a ValueError a position that the
control lacks; ``widget`` makes one that stands at a value and calls ``changed`` with each move; ``read`` tells
where it stands. Only core ipywidgets are used, and only where a widget is made.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ipywidgets


LOOK = {"layout": {"width": "540px"}, "style": {"description_width": "120px"}}  # room for the longest name


@dataclass(frozen=True)
class Slider:
    """Numbers from ``low`` to ``high``; whole ones where ``low`` is whole, on a logarithmic scale with ``log``."""

    start: float
    low: float
    high: float
    step: float
    words: str
    digits: int = 0  # that are shown after the point
    log: bool = False

    def check(self, name: str, value: float) -> float:
        whole = isinstance(self.low, int)
        if not isinstance(value, Real) or not self.low <= value <= self.high or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            raise ValueError(
                f"{name}={value!r} is no position of the slider: choose {kind} from {self.low} to {self.high}"
            )
        return int(value) if whole else float(value)

    def widget(self, value: float, changed: Callable) -> "ipywidgets.Widget":
        from ipywidgets import FloatLogSlider, FloatSlider, IntSlider

        shown = {"description": self.words, "readout_format": f".{self.digits}f"} | LOOK
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            made = FloatLogSlider(value, base=10, min=low, max=high, step=self.step, **shown)
        else:
            kind = IntSlider if isinstance(self.low, int) else FloatSlider
            made = kind(value, min=self.low, max=self.high, step=self.step, **shown)
        made.observe(changed, "value")
        return made

    def read(self, widget: "ipywidgets.Widget") -> float:
        return round(widget.value, 10)  # steps add up to 1.2999999999999998


@dataclass(frozen=True)
class Choice:
    """One of several: a slider over them, or a menu where they are words."""

    start: Any
    options: Sequence
    words: str

    def check(self, name: str, value: Any) -> Any:
        return _one_of(self.options, name, value)

    def widget(self, value: Any, changed: Callable) -> "ipywidgets.Widget":
        from ipywidgets import Dropdown, SelectionSlider

        kind = Dropdown if isinstance(self.start, str) else SelectionSlider
        named = [(option if isinstance(option, str) else f"{option:,}", option) for option in self.options]
        made = kind(options=named, value=value, description=self.words, **LOOK)
        made.observe(changed, "value")
        return made

    def read(self, widget: "ipywidgets.Widget") -> Any:
        return widget.value


@dataclass(frozen=True)
class Ticks:
    """Any of several, a check box each; the value is a tuple in the order of ``options``."""

    start: tuple
    options: tuple
    words: str = "{}"  # of each option

    def check(self, name: str, value: Sequence) -> tuple:
        chosen = [_one_of(self.options, name, one) for one in value]
        return tuple(option for option in self.options if option in chosen)

    def widget(self, value: tuple, changed: Callable) -> "ipywidgets.Widget":
        from ipywidgets import Checkbox, GridBox

        look = {"indent": False, "layout": {"width": "230px"}}
        boxes = [Checkbox(one in value, description=self.words.format(one), **look) for one in self.options]
        for box in boxes:
            box.observe(changed, "value")
        return GridBox(boxes, layout={"grid_template_columns": "repeat(auto-fill, 240px)", "width": "100%"})

    def read(self, widget: "ipywidgets.Widget") -> tuple:
        return tuple(option for option, box in zip(self.options, widget.children, strict=True) if box.value)


def _one_of(options: Sequence, name: str, value: Any) -> Any:
    if value not in options:
        raise ValueError(f"{name}: there is no {value!r}; choose from {', '.join(map(str, options))}")
    return value


Control = Slider | Choice | Ticks
