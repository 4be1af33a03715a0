"""A student's copy of all lessons, without outputs and solutions: ``python -m course_lib copies --to FOLDER``.

They run from any folder on a machine where the course is installed, and come with their drawings; a link to a file that
stays in the checkout is only its words.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.folders import replace_folder
from tools.lessons import copy_pictures, lessons, write

LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\((?![#/]|[a-z]+:)([^)#\s]+)[^)]*\)")  # of Markdown, to a file


def copy_lessons(folder: Path) -> list[Path]:
    """Write the copies; returns their places. A folder that an earlier call made is replaced where nobody changed it.

    Raises:
        CourseError: ``folder`` holds somebody's own files, or work on an earlier copy, or cannot be written.
    """
    folder = Path(folder).expanduser().resolve()
    with replace_folder(folder, "copies") as new:
        copy_pictures(new)
        for path in lessons():
            write(blank(nbformat.read(path, as_version=4)), new / path.name)
    return [folder / path.name for path in lessons()]


def blank(notebook: NotebookNode) -> NotebookNode:
    """The notebook without outputs, and without links to what does not come along."""
    here = {path.name for path in lessons()}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = LINK.sub(lambda link: link[0] if link[2] in here else link[1], cell.source)
    return notebook


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the copies and say how to open them."""
    parser = argparse.ArgumentParser(prog="python -m course_lib copies", description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="a new folder for them")
    folder = parser.parse_args(arguments).to
    written = copy_lessons(folder)
    print(f"{len(written)} lessons without outputs are in {folder}. Open them: python -m jupyterlab {folder}")
    return 0
