"""Pages that move, without Jupyter, from a folder: their scripts, and tables in their place where JavaScript is off.

A page that is opened from a folder may neither fetch nor import, so each file of numbers is a classic script that sets
one entry of ``course.data``. The scripts that read them are in ``docs/web``.
"""

import html
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import slider_data
from slider_data import MAKERS, SHOWS_NUMBERS_OF

from classroom import sliders
from course_lib.data import CLASSES
from course_lib.training.recipe import Recipe, learning_rate

WEB = Path(__file__).resolve().parent / "web"
SLIDER = re.compile(r'data-slider="(\w+)"')
OWN = 'class="course-own"'  # the reader's own picture
MINE = '<div class="course-mine"></div>'  # the reader's predictions
MINE_SHOWN = re.compile(  # what classroom.predict.mine() shows of the predictions of whoever ran the lesson
    r'<p>No predictions yet.*?</p>|<table class="course-table"><caption>My predictions.*?</table>', re.DOTALL
)
SLIDER_PLACE = """```{{raw}} html
<div class="course-slider" data-slider="{name}"><noscript>{table}</noscript></div>
```
"""


def write(folder: Path) -> None:
    """Put the scripts of ``docs/web`` and the numbers they show into ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(WEB.iterdir()):
        if path.suffix == ".js" or path.name == "slides.css":  # web.css is in every page of the site
            shutil.copy(path, folder)
    for name, make in MAKERS.items():
        folder.joinpath(f"data-{name}.js").write_text(script(name, make()), encoding="utf-8")


def make_move(notebook: nbformat.NotebookNode, up: str) -> None:
    """Give a lesson's page the scripts of its sliders and questions, and a list of the reader's own predictions.

    Args:
        notebook: a copy; its outputs are changed, and a cell may be added at its end.
        up: leads from the page to the site's top.
    """
    page = ""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if text := output.get("data", {}).get("text/html", ""):
            output.data["text/html"] = MINE_SHOWN.sub(MINE, text)
            page += output.data["text/html"]
    end = MINE if "course-predict" in page and MINE not in page else ""
    if needed := scripts(page + end, up):
        notebook.cells.append(nbformat.v4.new_markdown_cell(f"```{{raw}} html\n{end}\n{needed}\n```"))


def pages() -> Iterator[tuple[str, str]]:
    """(place, text) of the pages that move and are no lesson."""
    places = {name: SLIDER_PLACE.format(name=name, table=table(name)) for name in TABLES}
    for path in sorted(WEB.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        for name, place in places.items():
            text = text.replace(f"{{{name}}}\n", place)
        yield path.name, f"{text}\n```{{raw}} html\n{scripts(text, '')}\n```\n"


def scripts(page: str, up: str) -> str:
    """The script elements that ``page`` needs (HTML) for its sliders and questions; ``up`` leads to the site's top."""
    on_page = [slider for name in SLIDER.findall(page) for slider in (SHOWS_NUMBERS_OF.get(name, name), name)]
    names = [name for name in dict.fromkeys(on_page) if name in TABLES]
    files = [f"{part}{name}" for name in names for part in ("data-", "") if name in MAKERS or not part]
    if OWN in page:
        files += ["data-picture", "network", "picture"]
    files = (["sliders"] if files else []) + files
    if "course-predict" in page or "course-mine" in page:
        files.append("predict")
    return "\n".join(f'<script src="{up}web/{file}.js"></script>' for file in files)


def script(name: str, data: dict) -> str:
    """A classic script that sets ``course.data[name]``."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
    return f'(window.course = window.course || {{ data: {{}} }}).data["{name}"] = {text};\n'


def _plain(value: Any) -> Any:
    """Of numpy and pandas; raises TypeError for what JSON lacks."""
    if isinstance(value, (np.ndarray, np.generic, pd.Series)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON")


# --- the same without JavaScript ------------------------------------------------------------------


def table(name: str) -> str:
    """A slider's numbers at a few settings as an HTML table."""
    head, rows = TABLES[name]()
    cells = [f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table><tr>{''.join(f'<th>{word}</th>' for word in head)}</tr>{''.join(cells)}</table>"


def _temperature() -> tuple[tuple, list[tuple]]:
    picture, rows = slider_data.temperature_picture(), []
    start = picture.controls["picture"].start
    teacher, student, label = picture.logits(start)
    place, name = picture.name(start)
    for t in (0.5, 1.0, 2.0, 4.0, 8.0, 20.0):
        soft, terms = sliders.softened(teacher, t), sliders.loss_terms(teacher, student, label, t, 0.5)
        top = ", ".join(f"{CLASSES[c]} {soft[c]:.2f}" for c in np.argsort(-soft, kind="stable")[:3])
        rows.append((f"{t:g}", top, f"{sliders.entropy_bits(soft):.2f}", f"{terms.soft:.3f}", f"{terms.total:.3f}"))
    return ("T", f"teacher on test image {place} ({name})", "entropy (bits)", "T²·KL", "Eq. 1, alpha 0.5"), rows


def _width() -> tuple[tuple, list[tuple]]:
    data, rows = slider_data.width(), []
    for at in sorted({at for one in data["accuracies"] for at in one["at"]}, key=float):
        sums = dict(zip(data["counted"], data["costs"][at].sum(axis=0), strict=True))
        measured = [f"{one['at'][at]:.2f}" if at in one["at"] else "none" for one in data["accuracies"]]
        rows.append((at, f"{sums['parameters']:,}", f"{sums['macs']:,}", *measured))
    return ("width", "parameters", "MACs", *(f"accuracy (%): {one['origin']}" for one in data["accuracies"])), rows


def _ensemble() -> tuple[tuple, list[tuple]]:
    data, rows = slider_data.ensemble(), []
    for ticks in itertools.product("01", repeat=len(data["names"])):
        if found := data["measures"].get(f"0 {''.join(ticks)}"):
            chosen = ", ".join(name for name, tick in zip(data["names"], ticks, strict=True) if tick == "1")
            rows.append((chosen, f"{found['accuracy']:.2f}", found["right"]))
    return ("mean of logits of", "accuracy (%)", f"right, of {data['images']:,}"), rows


def _stopat() -> tuple[tuple, list[tuple]]:
    data = slider_data.stopat()
    epochs = (10, 30, 60, 100, 140, 170, 200)
    rows = [(name, *(f"{values[epoch - 1]:.2f}" for epoch in epochs)) for name, values in data["accuracies"].items()]
    return ("test accuracy (%) after epoch", *epochs), rows


def _chains() -> tuple[tuple, list[tuple]]:
    data, rows = slider_data.chains(), []
    for middle in data["chains"]:
        name = "-".join(str(size) for size in (data["teacher"], *middle, data["student"]))
        rows.append((name, *(f"{found['accuracy'][name]:.1f}" for found in data["numbers"].values())))
    return ("student's accuracy (%) of chain", *(f"{points} points" for points in data["numbers"])), rows


def _surface() -> tuple[tuple, list[tuple]]:
    picture, alphas, rows = slider_data.temperature_picture(), (0.0, 0.5, 1.0), []
    start = picture.controls["picture"].start
    for t in (0.5, 1.0, 2.0, 4.0, 8.0, 20.0):
        hard, soft = sliders.gradient_terms(*picture.logits(start), t)
        sizes = [np.linalg.norm(alpha * hard + (1 - alpha) * soft) for alpha in alphas]
        rows.append((f"{t:g}", *(f"{size:.3f}" for size in sizes)))
    place, name = picture.name(start)
    head = f"size of Eq. 1's gradient, test image {place} ({name}), alpha"
    return ("T", *(f"{head} {alpha:g}" for alpha in alphas)), rows


def _ghosts() -> tuple[tuple, list[tuple]]:
    kernels, rows = (1, 3, 5), []
    for channels in (4, 16, 40, 120, 320):
        rows.append((channels, *(f"{sliders.ghost_cost(channels, kernel=kernel).ratio:.2f}" for kernel in kernels)))
    return (
        "channels in",
        *(f"ghost module / ordinary weights, {kernel} × {kernel} ghosts" for kernel in kernels),
    ), rows


def _schedule() -> tuple[tuple, list[tuple]]:
    steps, rows = slider_data.schedule()["steps"], []
    for peak in (0.001, 0.003, 0.01, 0.03):
        rates = [learning_rate(step, steps, Recipe(lr=peak)) for step in range(steps)]
        losses = [sliders.expected_losses(each) for each in (rates, [peak] * steps)]
        rows.append((f"{peak:g}", *(f"{loss[at]:.2f}" for loss in losses for at in (steps // 2, -1))))
    schedules = (f"warm-up {Recipe().warmup:.0%} and cosine", "the peak throughout")
    head = [f"expected loss {when}, {which}" for which in schedules for when in ("half-way", "at the end")]
    return ("peak rate", *head), rows


def _detectable() -> tuple[tuple, list[tuple]]:
    seeds = (1, 3, 5, 10, 30)
    rows = [
        (f"{images:,}", *(f"{sliders.detectable_difference(n, images, 0.1):.2f}" for n in seeds))
        for images in (1_000, 10_000, 100_000)
    ]
    return ("test images", *(f"points that {n} seed{'s' if n > 1 else ''} can find" for n in seeds)), rows


TABLES = {
    "temperature": _temperature,
    "width": _width,
    "ensemble": _ensemble,
    "stopat": _stopat,
    "chains": _chains,
    "surface": _surface,
    "ghosts": _ghosts,
    "schedule": _schedule,
    "detectable": _detectable,
}
