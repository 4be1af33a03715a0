"""CITATION.cff can be read by the tools that read such files, and says what the package says; licences are there."""

import tomllib
from datetime import date
from pathlib import Path

import yaml

from course_lib import __version__

ROOT = Path(__file__).resolve().parent.parent
TYPES = {"article", "report", "conference-paper", "software", "dataset", "thesis", "generic"}


def cited() -> dict:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_has_what_the_format_requires():
    citation = cited()
    assert citation["cff-version"] == "1.2.0"
    for field in ("message", "title", "authors"):
        assert citation[field], field
    assert citation["type"] in ("software", "dataset")
    for reference in citation["references"]:
        assert reference["type"] in TYPES
        assert reference["title"] and reference["authors"]
        assert all("name" in author or "family-names" in author for author in reference["authors"])
        assert 1900 < reference["year"] <= date.today().year


def test_it_agrees_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = cited()
    assert citation["version"] == __version__
    assert set(citation["license"]) == set(project["license"].split(" AND "))


def test_code_and_text_have_their_licences():
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    text = (ROOT / "LICENSE-TEXT.md").read_text(encoding="utf-8")
    assert "Creative Commons Attribution 4.0" in text and "data/sample/" in text
