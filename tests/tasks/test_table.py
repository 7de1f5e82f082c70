from pathlib import Path

import pytest
from sklearn import datasets

from nas_bench import plugins
from nas_bench.cli import status
from nas_bench.contract import check_task
from nas_bench.training.task import DataMissingError
from nas_bench.trials.messages import Record
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol
from nas_bench.trials.trial import run_trial


@pytest.fixture
def path(tmp_path):
    """Scikit-learn's wines, with the name of the grower."""
    frame = datasets.load_wine(as_frame=True).frame
    frame["grower"] = [f"grower {i}" for i in frame.pop("target")]
    frame.to_csv(tmp_path / "wine.csv", index=False)
    return tmp_path / "wine.csv"


@pytest.mark.parametrize(
    ("target", "metric", "outputs"), [("grower", "accuracy", 3), ("hue", "loss", 1)]
)
def test_a_table_keeps_the_contract_of_tasks(target, metric, outputs, path):
    task = plugins.task(f"table[path={path},target={target}]")
    assert [check for check in check_task(task, Path()) if not check.ok] == []
    assert task.metric == metric
    assert task.network((1,))(task.load(Path())[1].inputs).shape[1] == outputs


def test_without_a_file_one_sentence_says_how_to_name_one():
    task = plugins.task("table")
    assert not task.present(Path())
    with pytest.raises(DataMissingError, match=r"table\[path=FILE\.csv,target=COLUMN\]"):
        task.load(Path())


@pytest.mark.parametrize(
    ("options", "said"),
    [("", "name one and the column to predict"), ("[path=wine.csv]", "no target is named"),
     ("[path=wine.csv,target=growers]", "did you mean grower?")],
)  # fmt: skip
def test_run_ends_with_one_sentence_before_any_trial(options, said, path, capsys, monkeypatch):
    monkeypatch.chdir(path.parent)
    spec = f"table{options}"
    assert status(["run", "--tasks", spec, "--methods", "fixed", "--executor", "inline"]) == 2
    assert said in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("target", ["grower", "hue"])
def test_trials_on_a_table_have_the_scores_of_its_metric(target, path):
    asked = {"tasks": [f"table[path={path},target={target}]"], "budget": "12 steps"}
    schedule = {"schedule": {"unit": "steps"}, "methods": ["random_growth"], "seeds": [0]}
    (config,) = plan(load_protocol("smoke", [asked, schedule]), baselines=False)
    *_, last = run_trial(config, None, None, Path(), "cpu")
    assert isinstance(last, Record)
    assert last.widths == (32,)
    assert last.test_loss is not None
    assert 0 < last.test_loss < 3
    assert (last.test_accuracy is None) == (target == "hue")
