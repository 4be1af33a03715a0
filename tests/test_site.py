"""`make site`: a page for every lesson, whole without a network, with no dead link and words for every picture."""

import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from tools.lessons import lessons

ROOT = Path(__file__).resolve().parent.parent
build = pytest.importorskip("build", reason="the site's packages are not installed: pip install -e '.[site]'")
mathml = pytest.importorskip("mathml").mathml
moving = pytest.importorskip("moving")

pytestmark = pytest.mark.slow  # the whole site is made for them

LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
EQUATION = re.compile(r"(\$\$?)(.+?)\1", re.DOTALL)


class Page(HTMLParser):
    """What a test wants to know of one page."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.ids, self.links, self.loaded, self.images = set(), [], [], []
        self.headings: list[int] = []
        self.equations = set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.add(values.get("id"))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in LOADED and values.get(LOADED[tag]) and values.get("rel") not in ("canonical", "author"):
            self.loaded.append(values[LOADED[tag]])
        if tag == "img":
            self.images.append(values)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "math":
            self.equations.add(" ".join(values["alttext"].split()))


@cache
def page(path: Path) -> Page:
    return Page(path)


@pytest.fixture(scope="module")
def pages(site) -> list[Page]:
    return [page(path) for path in sorted(site.rglob("*.html"))]


def notebooks() -> list[Path]:
    return [*lessons(), *sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))]


def of(site: Path, notebook: Path) -> Page:
    return page(site / notebook.relative_to(ROOT).with_suffix(".html"))


def test_a_page_for_every_lesson_and_solution_and_for_the_guide(site):
    for notebook in notebooks():
        title = nbformat.read(notebook, as_version=4).cells[0].source.splitlines()[0].lstrip("# ")
        assert title.split(":")[0] in of(site, notebook).text.replace("’", "'")
    assert "Teaching guide" in page(site / "notebooks" / "README.html").text
    front = page(site / "index.html")
    for notebook in lessons():
        assert f"notebooks/{notebook.stem}.html" in front.links


def test_every_lesson_can_be_taken_along(site):
    for notebook in lessons():
        downloads = [link for link in of(site, notebook).links if link.endswith(notebook.name)]
        assert downloads and all((of(site, notebook).path.parent / link).is_file() for link in downloads)


def test_solutions_say_that_they_are_spoilers(site):
    solutions = [notebook for notebook in notebooks() if notebook.parent.name == "solutions"]
    for notebook in solutions:
        assert "Spoilers." in of(site, notebook).text
    assert "Solutions (spoilers)" in page(site / "index.html").text


def test_links_and_pictures_lead_somewhere(pages):
    dead = []
    for each in pages:
        for link in {*each.links, *each.loaded}:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (each.path.parent / unquote(parts.path)).resolve() if parts.path else each.path
            found = target.is_file()
            if found and parts.fragment and target.suffix == ".html":
                found = unquote(parts.fragment) in page(target).ids
            if not found:
                dead.append(f"{each.path.name}: {link}")
    assert dead == []


def test_nothing_comes_from_outside(site, pages):
    for each in pages:
        outside = [source for source in each.loaded if not source.startswith("data:") and urlsplit(source).netloc]
        assert outside == [], each.path.name
        assert not re.search(r"@import|url\(\s*['\"]?https?:", each.text), each.path.name
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(@import\s|url\()\s*['\"]?(https?:)?//", text), sheet.name
    for font in re.findall(r'url\("([^"]+\.ttf)"\)', (site / "_static" / "style.css").read_text()):
        assert (site / "_static" / font).is_file()


def test_every_picture_has_words(pages):
    for each in pages:
        bare = [image.get("src", "")[:60] for image in each.images if not image.get("alt", "").strip()]
        assert bare == [], each.path.name


def test_every_picture_of_a_lesson_is_on_its_page(site):
    for notebook in notebooks():
        content = nbformat.read(notebook, as_version=4)
        drawn = sum(
            output.get("data", {}).get("text/html", "").count("<img ")
            for cell in content.cells
            for output in cell.get("outputs", [])
        )
        assert sum(image["src"].startswith("data:") for image in of(site, notebook).images) == drawn, notebook.name


def test_equations_are_drawn(site):
    for notebook in notebooks():
        cells = nbformat.read(notebook, as_version=4).cells
        prose = [CODE.sub("", cell.source) for cell in cells if cell.cell_type == "markdown"]
        written = {" ".join(latex.split()) for text in prose for _, latex in EQUATION.findall(text)}
        assert written - of(site, notebook).equations == set(), notebook.name


def test_headings_are_in_order(pages):
    for each in pages:
        if each.path.name == "search.html":
            continue  # a form; its headings come with the answers
        assert each.headings.count(1) == 1, each.path.name
        steps = zip(each.headings, each.headings[1:], strict=False)
        assert all(below <= above + 1 for above, below in steps), (each.path.name, each.headings)


def test_what_moves_in_a_lesson_has_its_scripts_on_the_page(site):
    for notebook in lessons():
        shown = of(site, notebook)
        named = set(re.findall(r'data-slider="(\w+)"', shown.text))
        scripts = [Path(source).name for source in shown.loaded if source.startswith("../web/")]
        for name in named & set(moving.MAKERS):
            assert scripts.index(f"data-{name}.js") < scripts.index(f"{name}.js"), notebook.name
        assert ("predict.js" in scripts) == ("course-predict" in shown.text), notebook.name


def test_a_deck_for_every_lesson(site):
    listed = page(site / "slides.html").links
    for notebook in lessons():
        deck = page(site / "slides" / f"{notebook.stem}.html")
        assert len(deck.headings) > 5 and f"slides/{notebook.stem}.html" in listed
        assert f"../slides/{notebook.stem}.html" in of(site, notebook).links


def test_the_search_knows_the_lessons(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    found = [index[where].get("softmax", []) for where in ("terms", "titleterms")]
    numbers = [number for some in found for number in ([some] if isinstance(some, int) else some)]
    names = {index["docnames"][number] for number in numbers}
    assert "notebooks/03_knowledge_distillation" in names
