"""`nas-bench show TASK` says where a task's network grows, and why not elsewhere."""

import json

import pytest

from nas_bench import plugins
from nas_bench.cli import status

CONVOLUTIONS = '''
"""A task with convolutions, for the tests."""

from dataclasses import dataclass

import torch
from torch import nn

from nas_bench.training.task import DataMissingError, Samples, Task


@dataclass(frozen=True)
class Convolved(Task):
    name = "convolved"
    summary = "noise"
    seed_widths: tuple[int, ...] = (1, 2)
    target_widths: tuple[int, ...] = (8, 16)
    missing: bool = False
    wrong: str = ""

    def load(self, folder):
        if self.wrong == "load":
            raise GeneratorExit("no luck")
        if self.missing:
            raise DataMissingError("put noise.npz there")
        samples = Samples(torch.zeros(4, 3, 8, 8), torch.zeros(4, dtype=torch.long))
        return samples, samples

    def network(self, widths):
        one, two = widths
        if self.wrong == "network":
            return nn.Linear(5, 3)
        return nn.Sequential(
            nn.Conv2d(3, one, 3), nn.BatchNorm2d(one), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(one, two, 2), nn.Conv2d(two, 5, 1), nn.Flatten(), nn.Linear(20, 3),
        )

    def grows(self, layer):
        return layer != "5"

    @property
    def loss(self):
        return nn.CrossEntropyLoss()
'''


@pytest.fixture
def shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_loaded", {})
    (tmp_path / "convolved.py").write_text(CONVOLUTIONS)

    def show(*arguments):
        assert status(["show", *arguments, "--plugin", "convolved.py"]) == 0
        return capsys.readouterr().out

    return show


def test_sites_are_a_table(shown):
    out = shown("convolved")
    sites = out[out.index("sites:\n") : out.index("not growable:\n")].splitlines()
    assert sites[1].split("  ")[0] == "grown layer"
    assert sites[3].split() == ["0", "4", "BatchNorm2d", "(1)", "9", "×", "4", "1", "→", "8"]
    assert [line.strip() for line in sites[4:6]] == ["ReLU (2)", "MaxPool2d (3)"]
    assert sites[6].split() == ["4", "5", "–", "4", "×", "1", "2", "→", "16"]


def test_every_other_layer_has_its_reason(shown):
    refused = shown("convolved").split("not growable:\n")[1]
    assert "the task keeps its width" in refused
    assert "there is no next layer" in refused


def test_json_has_the_same(shown):
    found = json.loads(shown("convolved", "--json"))
    assert found["sites"]["0"] == {
        "next": "4",
        "path": ["BatchNorm2d (1)", "ReLU (2)", "MaxPool2d (3)"],
        "positions": 9,
        "taps": 4,
        "seed_width": 1,
        "target_width": 8,
    }
    assert list(found["sites"]) == ["0", "4"]
    assert found["not growable"]["5"] == "the task keeps its width"
    assert list(found["not growable"]) == ["5", "7"]


def test_sites_wait_for_the_data(shown, tmp_path):
    missing = shown("convolved[missing=true]")
    assert "sites           shown once the data is there: put noise.npz there" in missing
    remote = json.loads(shown("mnist", "--data", str(tmp_path / "nothing"), "--json"))
    assert remote["sites"] == f"shown once the data is in {tmp_path / 'nothing'}"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [("load", "GeneratorExit: no luck"), ("network", "SiteError: Linear cannot read an example")],
)
def test_why_a_task_shows_no_sites_is_one_sentence(shown, wrong, why):
    found = json.loads(shown(f"convolved[wrong={wrong}]", "--json"))
    assert found["sites"].startswith(f"not known: {why}")
    assert found["target_widths"] == [8, 16]


def test_a_table_that_cannot_be_read_is_shown_but_for_what_depends_on_it(shown, tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"a,b\n1,\xff\n")
    found = json.loads(shown("table[path=rows.csv,target=a]", "--json"))
    for name in ("metric", "sites"):
        assert found[name].startswith("shown once the data is there: ")
        assert "it is no UTF-8 text" in found[name]


def test_a_protocol_says_what_it_tests_and_where_that_is_claimed(shown):
    out = shown("tiny-fig15")
    assert "After 2300 steps TINY is 2 points of test accuracy above GradMax" in out
    assert "arXiv 2405.19816, E.3, figure 15" in out
    assert json.loads(shown("smoke", "--json"))["reproducible"] is True


def test_a_protocol_with_a_budget_of_seconds_says_that_it_is_not_reproducible(shown, tmp_path):
    text = "name: mine\nversion: 1\nsummary: by the clock\nkind: free\ntasks: [digits]\n"
    rest = "methods: [tiny]\nseeds: 0\nbudget: 30 seconds\nschedule: {where: best}\n"
    (tmp_path / "mine.yaml").write_text(text + rest)
    found = json.loads(shown("mine.yaml", "--json"))
    assert found["reproducible"] is False
    assert found["budget"]["seconds"] == 30
