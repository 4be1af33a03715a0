"""The committed notebooks: executed in order, without errors or warnings, small, and readable without eyes."""

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
COMMITTED = sorted(path for path in NOTEBOOKS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
MACHINE_PATH = re.compile(r"/(?:home|root|work|tmp|Users|private|mnt)/|[A-Z]:\\\\+Users")
MAX_BYTES = 1_500_000
SHORT_CELL = 30  # lines
CELLS, WORDS, CODE_LINES = range(45, 81), 2_500, 300  # of a lesson of an hour; words and code before its exercises
WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"


def test_there_are_seven_lessons_and_one_for_90_minutes():
    numbers = sorted(path.name[:2] for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    assert numbers == [*(f"{number:02}" for number in range(7)), "90"]


class Images(HTMLParser):
    """Collects the alt text of every <img>; None where there is no alt."""

    def __init__(self):
        super().__init__()
        self.alts = []

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.alts.append(dict(attributes).get("alt"))


def image_alts(html: str) -> list[str | None]:
    parser = Images()
    parser.feed(html)
    return parser.alts


@pytest.fixture(params=COMMITTED, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def test_nothing_is_made_to_be_shown_and_then_dropped(notebook):
    """A cell shows its last line only: what is above has to say ``display``."""
    for cell in code_cells(notebook):
        *before, _ = ast.parse(cell.source).body
        calls = [each.value for each in before if isinstance(each, ast.Expr) and isinstance(each.value, ast.Call)]
        dropped = [ast.unparse(call) for call in calls if ast.unparse(call.func).startswith(("look.", "report."))]
        assert not dropped, f"shown to nobody: {dropped[0]}"


def outputs(notebook) -> list:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def text_of(output, kind: str) -> str:
    """One representation of an output as a single string."""
    value = output.get("data", {}).get(kind, "")
    return value if isinstance(value, str) else "".join(value)


def test_valid_and_named_for_any_machine(path, notebook):
    nbformat.validate(json.loads(path.read_text()))  # the file itself: reading it may mend what is wrong
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids)), "cell ids must be unique"
    assert notebook.metadata.kernelspec.name == "python3"


def test_executed_in_order_on_a_fresh_kernel(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_errors_and_no_warnings(notebook):
    assert [output.ename for output in outputs(notebook) if output.output_type == "error"] == []
    assert [output.text for output in outputs(notebook) if output.get("name") == "stderr"] == []


def test_no_widget_state(notebook):
    assert "widgets" not in notebook.metadata
    assert not any(WIDGET_TYPE in output.get("data", {}) for output in outputs(notebook))


def test_small(path):
    assert path.stat().st_size < MAX_BYTES


def test_no_path_of_a_machine(path):
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", path.read_text())  # a picture's bytes may spell anything
    found = MACHINE_PATH.search(text)
    assert found is None, text[max(0, found.start() - 80) : found.end() + 80]


def test_every_picture_has_words(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert all(image_alts(cell.source)), "an <img> without alt text"
            assert not re.search(r"!\[\s*\]\(", cell.source), "a Markdown picture without alt text"
    for output in outputs(notebook):
        assert all(image_alts(text_of(output, "text/html"))), "an <img> without alt text"
        bare = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
        assert bare == [], "show figures with course_lib.look.show, which gives them alt text"


def test_a_lesson_can_be_finished(path, notebook):
    if not re.match(r"0\d_", path.name) or path.parent != NOTEBOOKS:
        pytest.skip("a lesson of an hour only")
    exercises = re.compile(r"^#+ (Exercises|1\. )", re.MULTILINE)
    first = next(at for at, cell in enumerate(notebook.cells) if exercises.search(cell.source))
    before = {"markdown": "", "code": ""}
    for cell in notebook.cells[:first]:
        before[cell.cell_type] += cell.source + "\n"
    code = [line for line in before["code"].splitlines() if line.strip()]
    assert len(notebook.cells) in CELLS and len(before["markdown"].split()) <= WORDS and len(code) <= CODE_LINES


def test_title_first_and_short_cells(notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    assert sum(length < SHORT_CELL for length in lengths) >= 0.9 * len(lengths), sorted(lengths)[-5:]
