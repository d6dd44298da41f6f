"""The workflows of the repository run what is there: targets of make, scripts that may be run, the Pythons that we support."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from hedgegrid_assets.config.yaml_lines import plain_file

ROOT: Final = Path(__file__).parents[1]
FILES: Final = sorted((ROOT / ".github").rglob("*.yml"))
WORKFLOWS: Final = sorted((ROOT / ".github/workflows").glob("*.yml"))


def read(path: Path) -> dict[str, Any]:
    tree, walk = plain_file(path)
    assert walk.findings == []
    assert isinstance(tree, dict)
    return tree


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_github_is_yaml_without_surprises(path: Path) -> None:
    assert read(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_step_runs_what_is_in_the_repository(path: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    runs = [step["run"] for job in read(path)["jobs"].values() for step in job["steps"] if "run" in step]
    assert runs
    for command in runs:
        for name in re.findall(r"\bmake ([a-z0-9-]+)", command):
            assert name in targets
        for script in re.findall(r"(?:^|\s)(\.ci/\w+)", command):
            assert os.access(ROOT / script, os.X_OK), script


def test_the_tests_run_on_each_python_from_the_lowest_that_we_support() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pythons = read(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f">={pythons[0]}" == project["requires-python"]
    assert (ROOT / ".python-version").read_text().strip() in pythons


def test_each_dependency_says_its_lowest_version_for_the_run_that_takes_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    open_below = [each for each in project["dependencies"] if not re.search(r"[>~]=", each)]
    assert open_below == [], "the lowest release of all is no version that was ever tried"


def test_whoever_reports_a_problem_is_asked_what_validate_says() -> None:
    form = read(ROOT / ".github/ISSUE_TEMPLATE/problem.yml")
    asked = {field["id"]: field for field in form["body"]}
    assert "hedgegrid validate data/catalog --json" in asked["validate"]["attributes"]["description"]
    assert asked["validate"]["validations"]["required"] is True
