"""The house stays small: arrows between its rooms go one way, and its budgets hold (CONTRIBUTING, "The house")."""

import ast
from functools import cache
from pathlib import Path

import pytest
from importlinter import cli

ROOT = Path(__file__).resolve().parent.parent
HOMES = {"course_lib": ROOT / "course_lib", "classroom": ROOT / "notebooks" / "classroom"}
MODULES = {
    ".".join((name, *path.relative_to(home).with_suffix("").parts)).removesuffix(".__init__"): path
    for name, home in HOMES.items()
    for path in home.rglob("*.py")
}
FLOORS = 8  # the longest chain of imports
LINES_OF_A_MODULE = 400
# The library has 5,500 lines, and what a learner reads is less than half of it; the lessons' own code has fewer. What
# works on a checkout and nothing that trains needs stands in tools/. These numbers may only fall.
BUDGETS = {
    "course_lib": (("course_lib",), 5_500),
    "what a learner reads": (("course_lib.data", "course_lib.models", "course_lib.training"), 2_600),
    "classroom": (("classroom",), 5_500),
}


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("part", BUDGETS)
def test_the_budget_of_lines(part):
    rooms, budget = BUDGETS[part]
    inside = [path for name, path in MODULES.items() if any(f"{name}.".startswith(f"{room}.") for room in rooms)]
    assert inside and sum(map(lines, inside)) <= budget


def test_no_module_is_long():
    assert {name: lines(path) for name, path in MODULES.items() if lines(path) > LINES_OF_A_MODULE} == {}


def test_arrows_go_one_way():
    """The contracts of pyproject.toml; what they name must exist, so a moved room is noticed."""
    assert cli.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_the_longest_chain_of_imports():
    longest = max((chain(name) for name in MODULES), key=len)
    assert len(longest) <= FLOORS, " -> ".join(longest)


@cache
def chain(name: str) -> tuple[str, ...]:
    """The longest chain of imports from a module down. The face of a package passes names on: it is no floor."""
    below = max((chain(other) for other in imported(name)), key=len, default=())
    return below if MODULES[name].name == "__init__.py" else (name, *below)


def imported(name: str) -> set[str]:
    """The house's modules that one imports anywhere in it, but for the type checker."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    names = set()
    for node in [node for top in tree.body if not is_for_types(top) for node in ast.walk(top)]:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            names |= modules if len(modules) == len(node.names) else {*modules, node.module}
    return (names & MODULES.keys()) - {name}


def is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
