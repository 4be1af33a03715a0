"""Slides for a lecturer: a deck a lesson, from its own headings, equations, pictures and questions.

A deck is one page that opens from a folder. Each section of the lesson gives a slide with its question, its first
paragraph and its equations, and one for every picture, short table or question to predict, with what there is to see.
"""

import html
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from mathml import mathml
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from moving import scripts

HEADING = re.compile(r"^## +(.+?) *#*$", re.MULTILINE)
END = re.compile(r"exercises|references|appendix|what we learned|further reading", re.IGNORECASE)  # no slides from here
LAST = re.compile(r"what we learned|summary", re.IGNORECASE)  # but one with these words
TO_SEE = re.compile(r"^\*\*(?:What to see|Look)\b.*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
EQUATION = re.compile(r"\$\$.+?\$\$|\\begin\{(\w+\*?)\}.+?\\end\{\1\}", re.DOTALL)
FEWEST_WORDS = 6  # of a paragraph that says something by itself
ASIDE = re.compile(r"\s*\*\*(?!The question)")  # "**Time:** an hour" and the like, in the opening
DRAWING = re.compile(r"!\[([^\]]*)\]\(([^)\s]+\.svg)\)")
MOST_WORDS = 45  # of the paragraph on a slide
MOST_ROWS = 14  # of a table on a slide
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: slides</title>
<link rel="stylesheet" href="../_static/web.css">
<link rel="stylesheet" href="../web/slides.css">
</head>
<body>
<main>
{slides}
</main>
<footer><a href="../notebooks/{stem}.html">The lesson</a>
<span>arrow keys, space: next or back; Home, End; F: full screen; P: print</span>
<output id="place" aria-live="polite"></output></footer>
<script src="../web/slides.js"></script>
{scripts}
</body>
</html>
"""


def write(folder: Path, lessons: list[Path]) -> None:
    """Put a deck for each of ``lessons`` into ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in lessons:
        folder.joinpath(f"{path.stem}.html").write_text(deck(path), encoding="utf-8")


def page(lessons: list[Path]) -> str:
    """The site's page that lists the decks."""
    listed = ""
    for path in lessons:
        title = nbformat.read(path, as_version=4).cells[0].source.partition("\n")[0].lstrip("# ")
        listed += f'<li><a href="slides/{path.stem}.html">{html.escape(title)}</a></li>\n'
    return (
        "# Slides\n\nA deck a lesson, for a lecturer: the lesson's questions, equations and pictures. On a slide with "
        "a question the next key opens the answer, and the one after it moves on. Printed, a slide is a page.\n\n"
        f"```{{raw}} html\n<ul>\n{listed}</ul>\n```\n"
    )


def deck(path: Path) -> str:
    """The page with the slides of a lesson that was executed."""
    notebook = nbformat.read(path, as_version=4)
    title, _, opening = notebook.cells[0].source.partition("\n")
    title = title.lstrip("# ").strip()
    said = "\n\n".join(part for part in opening.split("\n\n") if not ASIDE.match(part))
    first = f"<h1>{_inline(title)}</h1>{_words(said) or _listed(opening)}{_drawn(opening, path.parent)}"
    found = [first, *_slides(notebook, path.parent, title)]
    slides = "\n".join(f'<section class="slide">{each}</section>' for each in found)
    needed = scripts(slides.replace("course-predict", ""), "../")  # a lecturer opens an answer without saying one
    return PAGE.format(title=html.escape(title), slides=slides, stem=path.stem, scripts=needed)


def _slides(notebook: nbformat.NotebookNode, folder: Path, heading: str) -> Iterator[str]:
    """The slides after the title's, as HTML; ``folder`` is the lesson's, ``heading`` its title."""
    cells = notebook.cells
    for place, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            drawn = _drawn(cell.source, folder) if place else ""
            if drawn and not HEADING.search(cell.source):
                yield f'<h2 class="again">{_inline(heading)}</h2>{drawn}'
            for heading, below in _sections(cell.source):
                if LAST.search(heading):
                    yield f"<h2>{_inline(heading)}</h2>{_listed(below)}"
                if END.search(heading):
                    return
                yield f"<h2>{_inline(heading)}</h2>{_words(below)}{_equations(below)}{_drawn(below, folder)}"
            continue
        shown = [each for output in cell.get("outputs", []) if (each := _shown(output))]
        after = cells[place + 1].source if place + 1 < len(cells) and cells[place + 1].cell_type == "markdown" else ""
        seen = TO_SEE.search(after)
        for number, each in enumerate(shown):
            words = _words(seen[0]) if seen and number == len(shown) - 1 else ""
            if "course-predict" in each:  # what there is to see is folded with the answer
                question, end, rest = each.rpartition("</details>")
                each, words = question + words + end + rest, ""
            yield f'<h2 class="again">{_inline(heading)}</h2><div class="shown">{each}</div>{words}'


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """The headings of a text cell, with what stands below each."""
    _, *parts = HEADING.split(text)
    yield from zip(parts[::2], parts[1::2], strict=True)


def _shown(output: nbformat.NotebookNode) -> str:
    """An output as it stands on a slide; empty for words and for tables that are too long to be read there."""
    text = output.get("data", {}).get("text/html", "")
    short = "<table" in text and text.count("<tr") <= MOST_ROWS
    return text if "<img" in text or "course-predict" in text or short else ""


def _words(text: str) -> str:
    """The first paragraph, as many whole sentences of it as a slide has room for."""
    plain = EQUATION.sub("", text)
    paragraphs = [
        part
        for part in re.split(r"\n\s*\n", plain)
        if len(part.split()) >= FEWEST_WORDS and not re.match(r"\s*(?:[#<|`>!:-]|\d+\.|\* )", part)
    ]
    if not paragraphs:
        return ""
    kept: list[str] = []
    for sentence in re.split(r"(?<=[.?!:])\s+", paragraphs[0].strip()):
        if kept and len(" ".join([*kept, sentence]).split()) > MOST_WORDS:
            break
        kept.append(sentence)
    return MARKDOWN.render(" ".join(kept))


def _listed(text: str) -> str:
    """A list, or else the first paragraph."""
    found = re.search(r"^(?:[-*]|\d+\.) .+?(?=\n\s*\n(?![-*\d ])|\Z)", text, re.MULTILINE | re.DOTALL)
    return MARKDOWN.render(found[0]) if found else _words(text)


def _drawn(text: str, folder: Path) -> str:
    """The drawings of a text, put into the page."""
    drawings = [(alt, folder / name) for alt, name in DRAWING.findall(text) if (folder / name).is_file()]
    images = [
        f'<img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{b64encode(path.read_bytes()).decode("ascii")}">'
        for alt, path in drawings
    ]
    return f'<div class="shown">{"".join(images)}</div>' if images else ""


def _equations(text: str) -> str:
    """The displayed equations before anything else is shown; two at most."""
    return "".join(MARKDOWN.render(found[0]) for found in list(EQUATION.finditer(text))[:2])


def _inline(text: str) -> str:
    return MARKDOWN.renderInline(text)


def _maths(latex: str, options: dict) -> str:
    return mathml(latex, "block" if options["display_mode"] else "inline")


def _dead_link(self, tokens, place, options, environment) -> str:
    """A lesson's links lead to files beside it, which a deck does not have; their words stay."""
    return ""


MARKDOWN = MarkdownIt("commonmark").enable("table")
MARKDOWN.use(dollarmath_plugin, renderer=_maths).use(amsmath_plugin, renderer=lambda latex: mathml(latex, "block"))
MARKDOWN.add_render_rule("link_open", _dead_link)
MARKDOWN.add_render_rule("link_close", _dead_link)
