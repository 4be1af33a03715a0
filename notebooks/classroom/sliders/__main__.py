"""``python -m classroom.sliders``: measures the costs of the width slider anew and keeps them in ``data/costs``."""

from classroom.sliders.costs import write_costs

if __name__ == "__main__":
    print(f"wrote {write_costs()}")
