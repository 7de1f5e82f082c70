"""The commands of the tutorial, as they stand, on a small task instead of a large one."""

import re
import shlex
from pathlib import Path

import pytest

from nas_bench import plugins
from nas_bench.cli import status

PAGE = Path(__file__).parents[1] / "docs" / "tutorial-first-study.md"
SMALLER = {"standard": "smoke", "digits": "sine", "0-9": "0"}


def blocks(language: str) -> list[str]:
    text = PAGE.read_text("utf-8")
    found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return [re.sub("|".join(SMALLER), lambda m: SMALLER[m[0]], block) for block in found]


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_a_first_study_ends_in_latex_by_its_text_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_loaded", {})
    published = ["run", "--tasks", "sine", "--seeds", "0", "--methods", "random_growth", "-q"]
    assert status([*published, "--executor", "inline", "--results", "results/published"]) == 0
    (study,) = blocks("yaml")
    Path("study.yaml").write_text(study)
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert [command[1] for command in commands] == [
        "new",
        "check",
        "plan",
        "run",
        "report",
        "compare",
    ]
    said = {}
    for command in commands:
        inline = ["--executor", "inline"] if command[1] == "run" else []
        assert status([*command[1:], *inline]) == 0, command
        said[command[1]] = capsys.readouterr()
    assert "1 seed can show no difference to be real" in said["plan"].out
    assert "my-results reproduces published: 3 trials of fixed" in said["report"].out
    assert "mine @ my-results" in said["compare"].out
    assert "mine @ my{-}results" in Path("my-results/report/leaderboard.tex").read_text()
