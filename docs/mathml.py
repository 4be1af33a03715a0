"""A Sphinx extension: equations become MathML as the site is built.

Every current browser draws MathML by itself, so a page needs no script and no network to show its equations, and a
screen reader can read them.
"""

import re
from html import escape, unescape

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

UNKNOWN = re.compile(r"\\[A-Za-z]+")  # a command that was not understood stays in the output as text
# Browsers put a root's bar right on a low letter; an empty strut of a tall letter's height gives it air.
STRUT = '<mspace width="0" height="0.7em" depth="0.15em"/>'
logger = logging.getLogger(__name__)


def mathml(latex: str, display: str = "inline") -> str:
    """One equation as a ``<math>`` element, with its source as ``alttext``.

    Args:
        latex: what stands between the dollars.
        display: ``inline`` or ``block``.

    Raises:
        ValueError: the equation cannot be read, or holds an unknown command.
    """
    try:
        element = convert(latex, display=display)
    except Exception as error:  # the converter has a dozen kinds of its own
        raise ValueError(f"the equation {latex!r} cannot be read: {type(error).__name__} {error}") from error
    unknown = UNKNOWN.search(unescape(element))
    if unknown:
        raise ValueError(f"the equation {latex!r} uses {unknown.group()}, which is not known")
    element = element.replace("<msqrt>", f"<msqrt>{STRUT}")
    return element.replace("<math ", f'<math alttext="{escape(latex.strip(), quote=True)}" ', 1)


def _converted(node: nodes.Element, display: str) -> str:
    try:
        return mathml(node.astext(), display)
    except ValueError as error:
        logger.warning("%s", error, location=node)
        return escape(node.astext())


def visit_inline(self, node: nodes.math) -> None:
    """Write one inline equation."""
    self.body.append(_converted(node, "inline"))
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    """Write one displayed equation, in a box that scrolls where the equation is wider than the page."""
    self.body.append(f'<div class="equation" tabindex="0" role="group">{_converted(node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register the renderer under the name that Sphinx asks for."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
