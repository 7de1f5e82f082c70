"""What stands in several files of the project at once agrees."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_the_citation_is_of_this_version_and_of_its_authors():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["authors"] == project["authors"]


def test_the_workflow_calls_what_runs_here():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    assert workflow["jobs"]["tests"]["steps"][-1] == {"run": ".ci/run"}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    checked = (ROOT / ".ci/run").read_text("utf-8")
    for hook in hooks["repos"][0]["hooks"]:
        command = hook["entry"].removesuffix(" --force-exclude")
        assert f".venv/bin/{command}" in checked
