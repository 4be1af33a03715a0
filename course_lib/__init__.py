"""Knowledge distillation on tiny images: the library behind the lessons. See README.md for a map."""

import os

# OpenMP's threads wait for each other by spinning; beside another busy process on the same cores, training then takes
# five times as long; asleep, a lone run takes 5 to 15 % longer. Read once, as torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
