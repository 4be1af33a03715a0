"""The networks: ``ghostnet`` (the students), ``zoo`` (all by name) and ``cost`` (what a network costs)."""

from course_lib.models.ghostnet import GhostNet, fold
from course_lib.models.zoo import DISPLAY_NAMES, MODEL_NAMES, PAPER_WIDTHS, create_model, initialise, input_size

__all__ = ["DISPLAY_NAMES", "MODEL_NAMES", "PAPER_WIDTHS", "GhostNet"]
__all__ += ["create_model", "fold", "initialise", "input_size"]
