"""Links of pages and lessons lead somewhere, headings step down one at a time, pictures are small and have words."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from test_style import ROOT, written

FENCE = re.compile(r"```.*?```|~~~.*?~~~|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]+)\"")
BARE = re.compile(r"https?://[^\s)>\]\"'`]+")
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*$", re.MULTILINE)
EMBEDDED = re.compile(r"data:image/[a-z+]+;base64,([A-Za-z0-9+/=]+)")
MAX_PICTURE = 400_000  # bytes
PAGES = written(".md", ".ipynb")
PICTURES = written(".svg")


def prose(path: Path) -> str:
    """A page's words without its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return FENCE.sub("", text)


def links(text: str) -> list[str]:
    return [first or second for first, second in LINK.findall(text)]


def anchors(path: Path) -> set[str]:
    """The names that links to a page's headings use."""
    titles = [title for _, title in HEADING.findall(prose(path))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_within_the_course_lead_somewhere(path):
    dead = []
    for link in links(prose(path)):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        wrong_heading = parts.fragment and target in PAGES and parts.fragment not in anchors(target)
        if not target.exists() or not target.is_relative_to(ROOT) or wrong_heading:
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_to_the_web_are_well_formed(path):
    for link in [*links(prose(path)), *BARE.findall(prose(path))]:
        parts = urlsplit(link)
        assert parts.scheme in ("", "https", "mailto"), link
        if parts.scheme == "https":
            assert re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", parts.netloc), link


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_headings_step_down_one_at_a_time(path):
    levels = [len(marks) for marks, _ in HEADING.findall(prose(path))]
    if not levels:
        return  # a table on its own, as the report writes them
    assert levels[0] == 1 and levels.count(1) == 1, levels
    assert all(below <= above + 1 for above, below in zip(levels, levels[1:], strict=False)), levels


@pytest.mark.parametrize("path", written(".ipynb"), ids=name)
def test_no_picture_in_a_notebook_is_large(path):
    sizes = [len(base64.b64decode(data)) for data in EMBEDDED.findall(path.read_text(encoding="utf-8"))]
    assert max(sizes, default=0) < MAX_PICTURE


@pytest.mark.parametrize("path", PICTURES, ids=name)
def test_drawn_pictures_are_sound_and_have_words(path):
    root = ElementTree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg" and root.get("viewBox"), "a picture without a viewBox does not scale"
    for part in ("title", "desc"):
        assert (root.findtext(f"{space}{part}") or "").strip(), f"no <{part}>"
    assert path.stat().st_size < MAX_PICTURE
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?:href|src)=\"https?:", text), "nothing comes from outside"


def test_the_rules_find_what_they_are_for():
    assert links("[a](b.md) <img alt='x' src=\"c.png\"> ![d](e.svg)") == ["b.md", "c.png", "e.svg"]
    assert not re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", urlsplit("https://nowhere").netloc)
