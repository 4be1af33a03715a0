"""The files that say what has to be installed agree with one another and with what the code imports."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
# Packages that nothing need import: programs, the kernel, and what readers are promised for their own cells.
TOOLS = {"jupyterlab", "ipykernel", "ruff", "codespell", "furo", "myst_nb", "ziamath", "pytest_xdist"}
TOOLS |= {"onnx", "onnxscript"}  # torch.onnx and onnxruntime's quantiser import them
IMPORT_NAMES = {
    "pillow": "PIL",
    "ipython": "IPython",
    "beautifulsoup4": "bs4",
    "pyyaml": "yaml",
    "import-linter": "importlinter",
}
# What comes with a declared package by that package's own definition.
COMES_WITH = {"jupyter_client": "nbclient", "packaging": "jupyterlab", "psutil": "ipykernel", "docutils": "sphinx"}
COMES_WITH |= {"markdown_it": "myst_nb"}
ITSELF = "knowledge_distillation_course"


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def ranges(lines: list[str]) -> dict[str, str]:
    """Package name to version range, in one spelling."""
    parsed = [Requirement(line) for line in lines]
    return {requirement.name.lower(): str(requirement.specifier) for requirement in parsed}


def test_environment_yml_has_pyprojects_packages_and_ranges(project, environment):
    listed = environment["dependencies"][-1]["pip"]
    assert listed[-1] == "-e ."
    assert ranges(listed[:-1]) == ranges(project["dependencies"])


def test_environment_yml_has_pyprojects_python_and_leaves_packages_to_pip(project, environment):
    assert environment["dependencies"][:-1] == [f"python{project['requires-python']}", "pip"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_every_dependency_has_a_reason_beside_it():
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("\ndependencies = [") : text.index("\n[tool.setuptools.dynamic]")]
    bare = []
    for above, line in zip(block.splitlines(), block.splitlines()[1:], strict=False):
        explained = "#" in line or above.strip().startswith("#")
        if line.strip().startswith('"') and not explained:
            bare.append(line.strip())
    assert [line for line in bare if "pytest" not in line] == []


def test_torch_ranges_admit_the_oldest_pair_and_the_newest(project):
    wanted = {Requirement(line).name: Requirement(line).specifier for line in project["dependencies"]}
    for torch, torchvision in (("2.11.0", "0.26.0"), ("2.15.0", "0.30.0")):
        assert torch in wanted["torch"] and torchvision in wanted["torchvision"]


def imported(sources: dict[str, str]) -> set[str]:
    """Names of the outside packages that these sources import anywhere."""
    names = set()
    for where, source in sources.items():
        for node in ast.walk(ast.parse(source, where)):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split(".")[0])
    own = {"course_lib", "classroom", "tools", "tests"}
    own |= {path.stem for folder in ("tests", "docs") for path in (ROOT / folder).rglob("*.py")}
    return names - set(sys.stdlib_module_names) - own


def python_files(*folders: str) -> dict[str, str]:
    return {str(path): path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py")}


def lesson_code() -> dict[str, str]:
    """The code of every notebook, without IPython's magic lines."""
    code = {}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        lines = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        code[path.name] = re.sub(r"^\s*[%!].*$", "", lines, flags=re.MULTILINE)
    return code


def modules_of(lines: list[str]) -> set[str]:
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in ranges(lines)}


def test_everything_imported_is_declared(project):
    declared = {part: modules_of(lines) for part, lines in project["optional-dependencies"].items()}
    core = with_carried(modules_of(project["dependencies"]))
    site = with_carried(core | declared["site"])
    assert (
        imported(python_files("course_lib", "notebooks/classroom", "tools") | lesson_code())
        - core
        - declared["ray"]
        - declared["bench"]
        - declared["ship"]
        == set()
    )
    assert imported(python_files("docs")) - site == set()
    assert imported(python_files("tests")) - with_carried(site | declared["test"]) == set()


def with_carried(packages: set[str]) -> set[str]:
    return packages | {name for name, carrier in COMES_WITH.items() if carrier in packages}


def test_optional_packages_are_tested_too_and_imported_only_when_asked_for(project):
    """CI installs the extra `test`: what an option of the course needs must be in it."""
    tests = ranges(project["optional-dependencies"]["test"])
    for extra in ("ray", "ship"):
        assert ranges(project["optional-dependencies"][extra]).items() <= tests.items()
    for where, source in python_files("course_lib").items():
        at_import = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert "ray" not in {name for node in at_import for name in _named(node)}, where


def _named(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def test_everything_declared_is_used(project):
    used = imported(python_files("course_lib", "notebooks/classroom", "tools") | lesson_code()) | TOOLS
    assert modules_of(project["dependencies"]) - used == set()
    for part, folder in (("test", "tests"), ("site", "docs")):
        declared = modules_of(project["optional-dependencies"][part])
        assert declared - imported(python_files(folder)) - TOOLS - {ITSELF} == set()
