"""The sliders of the lessons, and the same pictures standing still for those who only read.

A slider moves one picture: a matplotlib figure that is made once and whose bars, points and words are then changed, put
into the page as an image with alt text, with the key numbers in a line of words below. Only core ipywidgets are used.
No slider runs a network: the costs of every width and the logits of every picture are at hand.

===============  =========================================================================================
``width``        the width slider: costs of each block, measured accuracies
``ghosts``       the ghost slider: what a ghost module costs beside an ordinary convolution
``schedule``     the schedule slider: warm-up and peak rate, and what they do on a noisy parabola
``temperature``  the temperature slider: softened probabilities, entropy and loss of a test image
``surface``      the surface slider: loss and gradient size of a test image over temperature and alpha together
``chains``       the chain slider: assistants between a teacher and a student, on the problem in the plane
``ensemble``     the ensemble's check boxes: accuracy, loss and soft target of any choice of members
``detectable``   the slider over seeds and test images: what difference they can find
``gallery``      which test images ``temperature`` and ``surface`` show, with both networks' logits
``softening``    Eq. 1 by hand, with numpy in double precision: their numbers
``costs``        what each width costs, kept in ``data/costs``: the numbers of the width slider
``drawing``      what all sliders are made of: the reused figure, its labels, the widgets around it
===============  =========================================================================================

``python -m classroom.sliders`` measures the costs of the width slider anew.
"""

from classroom.sliders.chains import chain_explorer, chain_figure, chain_results
from classroom.sliders.costs import (
    COST_COLUMNS,
    SLIDER_WIDTHS,
    measure_costs,
    width_costs,
    write_costs,
)
from classroom.sliders.detectable import (
    detectable_difference,
    detectable_explorer,
    detectable_figure,
    difference_variance,
)
from classroom.sliders.ensemble import ensemble_explorer, ensemble_figure, stored_members
from classroom.sliders.gallery import PICTURES
from classroom.sliders.ghosts import (
    GhostCost,
    ghost_cost,
    ghost_explorer,
    ghost_figure,
    gn_s_channels,
)
from classroom.sliders.schedule import (
    expected_losses,
    schedule_explorer,
    schedule_figure,
    shrinking,
)
from classroom.sliders.softening import (
    Terms,
    entropy_bits,
    gradient_terms,
    kl_divergence,
    loss_terms,
    softened,
)
from classroom.sliders.surface import loss_surface, surface_explorer, surface_figure
from classroom.sliders.temperature import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    temperature_explorer,
    temperature_figure,
)
from classroom.sliders.width import width_explorer, width_figure

__all__ = [
    "COST_COLUMNS",
    "GhostCost",
    "HIGHEST_TEMPERATURE",
    "LOWEST_TEMPERATURE",
    "PICTURES",
    "SLIDER_WIDTHS",
    "Terms",
    "chain_explorer",
    "chain_figure",
    "chain_results",
    "detectable_difference",
    "detectable_explorer",
    "detectable_figure",
    "difference_variance",
    "ensemble_explorer",
    "ensemble_figure",
    "entropy_bits",
    "expected_losses",
    "ghost_cost",
    "ghost_explorer",
    "ghost_figure",
    "gn_s_channels",
    "gradient_terms",
    "kl_divergence",
    "loss_surface",
    "loss_terms",
    "measure_costs",
    "schedule_explorer",
    "schedule_figure",
    "shrinking",
    "softened",
    "stored_members",
    "surface_explorer",
    "surface_figure",
    "temperature_explorer",
    "temperature_figure",
    "width_costs",
    "width_explorer",
    "width_figure",
    "write_costs",
]
