"""The sliders of the lessons, and the same pictures standing still for those who only read.

``explore(Width())`` moves one picture: a matplotlib figure that is made once and whose bars, points and words are then
changed, put into the page as an image with alt text, with the key numbers in a line of words below. ``still(Width(),
width=2.0)`` is the same figure at these settings. No slider runs a network: the costs of every width and the logits of
every picture are at hand. Each picture has a file of its own; ``drawing`` and ``controls`` are what all are made of.
"""

from classroom.sliders.chains import Chains, chain_results
from classroom.sliders.costs import SLIDER_WIDTHS, width_costs
from classroom.sliders.detectable import Detectable, detectable_difference, difference_variance
from classroom.sliders.drawing import Picture, explore, still
from classroom.sliders.ensemble import Ensemble, Pool, stored_members
from classroom.sliders.gallery import PICTURES
from classroom.sliders.ghosts import Ghosts, ghost_cost, gn_s_channels
from classroom.sliders.schedule import Schedule, expected_losses
from classroom.sliders.softening import entropy_bits, gradient_terms, kl_divergence, loss_terms, softened
from classroom.sliders.stop_at import StopAt
from classroom.sliders.surface import Surface, gradient_surface
from classroom.sliders.temperature import Temperature
from classroom.sliders.width import Width
