"""Knowledge distillation on tiny images: the library behind the lessons. See README.md for a map."""

__version__ = "0.1.0"
