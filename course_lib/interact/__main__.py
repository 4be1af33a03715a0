"""``python -m course_lib.interact``: measures the costs of the width slider anew and keeps them in ``data/costs``."""

from course_lib.interact.costs import write_costs

if __name__ == "__main__":
    print(f"wrote {write_costs()}")
