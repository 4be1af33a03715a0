"""Sphinx's settings for the course's site. `docs/build.py` calls it; nothing is executed and nothing is downloaded."""

import sys
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from course_lib import __version__  # noqa: E402  (found through the line above, also where it is not installed)

project = "Knowledge distillation on tiny images"
author = "The course's authors"
project_copyright = "2026, the course's authors. Text and figures CC BY 4.0, code MIT"
version = release = __version__
language = "en"

extensions = ["myst_nb", "mathml"]
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath", "html_image"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
nb_execution_mode = "off"  # the lessons are committed as they ran
nb_merge_streams = True
nb_ipywidgets_js = {}  # the sliders' views are not committed; their scripts would come from outside

html_theme = "furo"
html_title = project
html_short_title = "Distillation course"
html_static_path = [str(HERE / "style.css"), str(HERE / "web" / "web.css")]
html_static_path += [str(files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf")]
html_css_files = ["style.css", "web.css"]
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0058a3", "color-brand-content": "#0058a3"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ff", "color-brand-content": "#7cc4ff"},
}
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
