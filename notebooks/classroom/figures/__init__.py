"""Figures that only one lesson draws, a file a lesson as in ``checks``: functions from data to a Figure."""
