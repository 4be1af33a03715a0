"""Training: the ``recipe``, the ``losses``, the ``teachers``, the ``engine`` that makes it fast, the ``loop``."""
