"""Builds the course as a static site, offline, from the committed notebooks: ``make site``.

What the site shows is copied aside, with links and headings made fit for it; Sphinx makes pages of it, which any static
host serves, and which open from a folder or a stick as well. Sliders and questions of the lessons move in them
(``moving``), and each lesson has slides (``decks``). The folder is replaced at the end, and only where this program
made all of it.

python docs/build.py [FOLDER]         default: build/site
"""

import ast
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from mdit_py_plugins.anchors.index import slugify
from sphinx.cmd.build import main as sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(ROOT / "notebooks"), str(DOCS)]

import decks  # noqa: E402  (also where the course is not installed)
import moving  # noqa: E402

from course_lib.files import CourseError  # noqa: E402
from tools.exercises import Exercise, exercises  # noqa: E402
from tools.folders import replace_folder  # noqa: E402
from tools.lessons import lessons  # noqa: E402

PAGES = (
    "docs/study.md",
    "docs/setup.md",
    "notebooks/README.md",
    "data/README.md",
    "data/paper/README.md",
    "data/paper/PROTOCOL.md",
    "CONTRIBUTING.md",
    "LICENSE-TEXT.md",
)
SOURCES = (ROOT / "course_lib", ROOT / "notebooks" / "classroom")  # a page for each module in them
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)
PICTURES = ("notebooks/pictures", "figures")
READ_ONLY = """
:::{{note}}
You are reading the lesson as it ran. Questions wait for your answer here, and sliders move; run the lesson in
Jupyter to change everything. {{download}}`Download this notebook <{name}>`, or look at its
<a href="../slides/{stem}.html">slides</a>.
:::
"""
SPOILER = """
:::{{warning}}
**Spoilers.** These are worked solutions. Try the exercises of [the lesson]({lesson}) first: its checkers tell you
what is wrong, in words, and each exercise has a hint.
:::
"""


class Stage:
    """Copies the site's sources to ``folder``, keeping their places in the repository."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files: set[Path] = set()  # what a page links to and is no page

    def write(self, place: str, text: str) -> None:
        """Write one file of the site's sources."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def page(self, name: str, place: str | None = None, end: str = "") -> None:
        """Copy a Markdown file, ``end`` added to it."""
        text = (ROOT / name).read_text(encoding="utf-8")
        self.write(place or name, self.linked(text, ROOT / name) + end)

    def notebook(self, path: Path, opening: str) -> None:
        """Copy a notebook, with ``opening`` below its title, and what makes its page move."""
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = self.linked(cell.source, path)
        title, _, rest = notebook.cells[0].source.partition("\n")
        notebook.cells[0].source = f"{title}\n{opening}\n{rest}"
        moving.make_move(notebook, "../" * len(path.relative_to(ROOT).parent.parts))
        self.write(str(path.relative_to(ROOT)), nbformat.writes(notebook))

    def linked(self, text: str, source: Path) -> str:
        """``text`` with its relative links leading to pages or files of the site. Code blocks are left alone."""

        def link(match: re.Match) -> str:
            return self.link(match[1], match[2], source)

        parts = FENCE.split(text)
        return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in parts)

    def link(self, words: str, target: str, source: Path) -> str:
        """One link of the file ``source``, as it must read in the site."""
        if re.match(r"[a-z]+:|#", target):
            return f"[{words}]({target})"
        name, mark, heading = target.partition("#")
        path = (source.parent / name).resolve()
        up = "../" * len(source.relative_to(ROOT).parent.parts)
        place = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else name
        if place == "README.md":
            return f"[{words}]({up}index.md{mark}{heading})"
        if place == "notebooks/solutions":
            return f"[{words}]({up}notebooks/solutions/index.md)"
        if path.is_dir() or place == "docs/template.ipynb":
            return words  # has no page
        if path.suffix == ".py" and any(path.is_relative_to(folder) for folder in SOURCES):
            return f"[{words}]({up}library/{page_of(path)})"
        if path.is_file() and path.suffix != ".ipynb" and place not in PAGES:
            self.files.add(path)
        return f"[{words}]({target})"

    def copy_files(self) -> None:
        """Copy pictures and linked files."""
        for folder in PICTURES:
            found = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".png", ".svg")]
            self.files |= {path for path in found if path.is_file()}
        for path in self.files:
            place = self.folder / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def stage(folder: Path) -> None:
    """Fill ``folder``, which is empty, with the site's sources."""
    stage = Stage(folder)
    stage.page("README.md", "index.md", end="\n" + (DOCS / "contents.md").read_text())
    for name in PAGES:
        stage.page(name)
    for path in lessons():
        stage.notebook(path, READ_ONLY.format(name=path.name, stem=path.stem))
    solutions = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
    for path in solutions:
        lesson = next(lesson.name for lesson in lessons() if lesson.name[:2] == path.name[:2])
        stage.notebook(path, SPOILER.format(lesson=f"../{lesson}"))
    stage.write("notebooks/solutions/index.md", solutions_page(solutions))
    stage.write("exercises.md", exercises_page(exercises()))
    stage.write("slides.md", decks.page(lessons()))
    for place, text in moving.pages():
        stage.write(place, text)
    for place, text in library_pages():
        stage.write(place, text)
    stage.copy_files()


def solutions_page(solutions: list[Path]) -> str:
    """The page above the worked solutions."""
    entries = "\n".join(path.stem for path in solutions)
    tree = f"```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n" if solutions else "There are none yet.\n"
    return (
        "# Solutions (spoilers)\n\nWorked solutions of all exercises, lesson by lesson, each with the reason why. "
        f"[The exercises](../../exercises.md) come first.\n\n{tree}"
    )


def exercises_page(found: list[Exercise]) -> str:
    """A table of all exercises, with links to them."""
    bugs = sum(each.bug for each in found)
    lines = [
        "# Exercises at a glance",
        "",
        f"{len(found)} exercises, {bugs} of them of the kind *find the bug*, made from mistakes that real projects "
        "made. Each has a hint and a checker that takes your own function and says in words what is wrong with it. "
        "An exercise that is not done yet stops nothing. Solutions: "
        "[spoilers](notebooks/solutions/index.md).",
        "",
        "| lesson | exercise | level | minutes |",
        "|---|---|---|---:|",
    ]
    for each in found:
        place = f"notebooks/{each.lesson.name}#{slugify(each.heading or 'Exercises')}"
        title = f"Find the bug: {each.title[:1].lower()}{each.title[1:]}" if each.bug else each.title
        lines.append(f"| {each.lesson.name[:2]} | [{title}]({place}) | {each.level} | {each.minutes} |")
    return "\n".join(lines) + "\n"


def page_of(path: Path) -> str:
    """The name of the page that shows a module: ``course_lib/models/zoo.py`` has ``course_lib-models-zoo.md``."""
    (home,) = [folder.parent for folder in SOURCES if path.is_relative_to(folder)]
    return "-".join(path.relative_to(home).with_suffix("").parts) + ".md"


def library_pages() -> Iterator[tuple[str, str]]:
    """(place, text) of a page for each module, and of the page above them."""
    rows = []  # (page, name, what it is for)
    for path in [path for folder in SOURCES for path in sorted(folder.rglob("*.py"))]:
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        purpose = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
        rows.append((page_of(path), name, purpose))
        yield f"library/{page_of(path)}", f"# {name}\n\n`````python\n{text}`````\n"
    table = "\n".join(f"| [{name}]({page}) | {purpose.replace('|', ',')} |" for page, name, purpose in rows)
    tree = "```{toctree}\n:hidden:\n\n" + "\n".join(page for page, _, _ in rows) + "\n```\n"
    yield (
        "library/index.md",
        "# The library\n\nThe source of `course_lib`, one idea a file. A lesson builds a thing in view, shows that it "
        "equals the library's, and then uses the library's. Below it `classroom`: checkers, sliders and figures of the "
        f"lessons.\n\n| file | holds |\n|---|---|\n{table}\n\n{tree}",
    )


def build(out: Path, sphinx: Callable[[list[str]], int] = sphinx) -> None:
    """Make the site in ``out``; a warning is an error, and the old site stays then.

    Raises:
        CourseError: Sphinx warned, or ``out`` holds what this function did not make.
    """
    with replace_folder(out, "make site") as new, tempfile.TemporaryDirectory() as work:
        source, trees = Path(work, "source"), Path(work, "trees")
        stage(source)
        if sphinx(["-q", "-W", "--keep-going", "-E", "-c", str(DOCS), "-d", str(trees), str(source), str(new)]):
            raise CourseError("Sphinx warned, in the lines above; the pages are left as they were")
        moving.write(new / "web")
        decks.write(new / "slides", lessons())
        (new / ".nojekyll").touch()  # hosts that would leave out folders with an underscore show them


def main(arguments: list[str]) -> int:
    """The command line; see the top of this file."""
    out = Path(arguments[0] if arguments else ROOT / "build" / "site").expanduser().resolve()
    try:
        build(out)
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    print(f"The site is made: open {out / 'index.html'}, or put the folder on any static host.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
