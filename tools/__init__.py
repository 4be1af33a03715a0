"""Run by those who keep the course: the benchmark, the stick, and what makes the files of data/."""
