import base64
import json
import linecache
import runpy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import synthetic

import nas_bench
from nas_bench import discovery, plugins
from nas_bench.cli import status
from nas_bench.methods.random_growth import RandomGrowth
from nas_bench.results.packing import pack
from nas_bench.tasks.sine import Sine

CELL = """
from dataclasses import dataclass
from typing import ClassVar
from nas_bench.methods.random_growth import RandomGrowth

LUCK = {luck}

@dataclass(frozen=True)
class Mine(RandomGrowth):
    name: ClassVar[str] = "mine"
    summary: ClassVar[str] = "random growth by another name"

    def propose(self, statistics, k, generator):
        assert LUCK
        return super().propose(statistics, k, generator)
"""
POOLED = """
from dataclasses import dataclass
from typing import ClassVar
from torch import nn
from nas_bench.tasks.sine import Sine

POOL = 1

@dataclass(frozen=True)
class Mine(Sine):
    name: ClassVar[str] = "mine"

    def network(self, widths):
        *layers, last = super().network(widths)
        pool = nn.Unflatten(1, (1, POOL)), nn.MaxPool1d(POOL), nn.Flatten()
        return nn.Sequential(*layers, nn.Linear(last.in_features, POOL), *pool)

    def load(self, folder):
        return tuple(samples.first(100 * POOL) for samples in super().load(folder))
"""
GROWTHS = {"schedule": {"growths": 2, "every": 1}}
QUICK = {"tasks": "sine", "seeds": [0], "budget": "4 epochs", "changes": GROWTHS}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_BENCH_RESULTS", str(tmp_path / "ledger"))
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(plugins, "_defined", {})


def in_a_cell(source: str, number: int = 1) -> type:
    """The class Mine as a notebook defines it."""
    name = f"<ipython-input-{number}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace = {"__name__": "__main__"}
    exec(compile(source, name, "exec"), namespace)
    return namespace["Mine"]  # pyright: ignore


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.sweep(tmp_path_factory.mktemp("synthetic"), seeds=6).folder


def test_dir_names_the_api_and_all_of_it_is_there():
    assert dir(nas_bench) == sorted([
        "CannotRunError", "InputError", "Plan", "Results", "compare", "load_results", "plan",
        "report", "run", "__version__",
    ])  # fmt: skip
    assert all(callable(getattr(nas_bench, name)) for name in nas_bench.__all__)


def test_run_takes_specs_classes_and_instances_and_gives_the_results(tmp_path):
    mine = in_a_cell(CELL.format(luck=True))
    methods = [mine, RandomGrowth(update=True), "random_growth"]
    results = nas_bench.run(methods, **QUICK, executor="inline", quiet=True, figures=())
    assert results.ok
    labels = ["mine", "random_growth[update=true]", "random_growth", "fixed[size=seed]", "fixed"]
    assert [trial["method"] for trial in results.trials] == labels
    assert set(results.table().method) == set(results.frame.method) == set(labels)
    assert {path.name for path in results.paths} >= {"leaderboard.md", "reproduce.sh"}
    (place,) = (tmp_path / "ledger").glob("smoke/*/mine/*/s0/run.json")
    summary = json.loads(place.read_text())
    source = base64.b64decode(summary["plugins"]["method"]["base64"]).decode()
    assert source == CELL.format(luck=True)
    results = nas_bench.run(mine, **QUICK, quiet=True, figures=(), baselines=False)
    assert [trial["status"] for trial in results.trials] == ["ok"]


DEFAULTS = """
from dataclasses import dataclass
from typing import ClassVar
from nas_bench.methods.random_growth import RandomGrowth

@dataclass(frozen=True)
class Mine(RandomGrowth):
    name: ClassVar[str] = "mine"
    summary: ClassVar[str] = "random growth with another start"
    grows_from = ("quarter",)
"""


def test_a_class_that_changes_defaults_alone_has_a_source(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"{DEFAULTS}\nimport nas_bench\nplan = nas_bench.plan(Mine, 'sine')\n")
    told = runpy.run_path(str(script), run_name="__main__")["plan"]
    assert {trial.config.method for trial in told.planned} >= {"mine"}
    assert discovery.executed(plugins.methods()["mine"].cls) == script.read_bytes()
    older, newer = (DEFAULTS + f"# {number}\n" for number in (1, 2))
    for number, source in enumerate((older, newer), 101):
        nas_bench.plan(in_a_cell(source, number), "sine")
    assert discovery.executed(plugins.methods()["mine"].cls) == newer.encode()


def test_results_that_are_not_there_are_refused_in_one_sentence():
    found = nas_bench.Results("typo")
    for look in (found.table, lambda: found.compare("tiny", "fixed"), found._repr_html_):
        with pytest.raises(nas_bench.InputError, match=r"no results folder or pack at .*typo"):
            look()


def test_a_class_without_source_is_refused_in_one_sentence():
    namespace = {"__name__": "__main__"}
    exec(CELL.format(luck=True), namespace)
    with pytest.raises(nas_bench.InputError, match="no source of method Mine was found, which"):
        nas_bench.plan(namespace["Mine"], "sine")


def test_a_class_of_a_module_is_the_plugin_of_its_file(tmp_path, monkeypatch):
    (tmp_path / "of_mine.py").write_text(CELL.format(luck=True))
    monkeypatch.syspath_prepend(tmp_path)
    import of_mine  # pyright: ignore

    plan = nas_bench.plan(of_mine.Mine, Sine(), seeds=range(1))
    assert {trial.config.method for trial in plan.planned} >= {"mine"}
    assert plugins.methods()["mine"].origin == f"{tmp_path}/of_mine.py:Mine"


@dataclass(frozen=True)
class Nameless(RandomGrowth):
    name: ClassVar[str] = "tiny"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"methods": "tni"}, "unknown method 'tni': did you mean tiny?"),
        ({"methods": 3}, "3 is no method: give a spec such as 'tiny', or a class or an instance"),
        ({"methods": Sine}, "is no method: give a spec"),
        ({"methods": Nameless}, "define a method named tiny: rename one"),
        ({"seeds": 3}, r"seeds is 3: give range\(n\) for n seeds"),
        ({"changes": {"sede": 1}}, "unknown protocol setting 'sede': did you mean seeds"),
        ({"protocol": "smoek"}, "unknown protocol 'smoek': did you mean smoke?"),
        ({"executor": "dask"}, "executor 'dask' is none of ray, inline"),
        ({"rerun": "some"}, "rerun 'some' is none of none, failed, stale, all"),
        ({"executor": "inline", "address": "auto"}, "leave one of them out"),
        ({"sede": 1}, "run has no argument sede"),
        ({"plugin_paths": "mine.py"}, "run has no argument plugin_paths"),
        ({"methods": []}, "no method is given"),
        ({"tasks": 3}, "3 is no task: give a spec such as 'digits'"),
        ({"seeds": range(10**9)}, "are more than 10000"),
        ({"changes": [1]}, r"changes is \[1\]: give settings by name"),
        ({"changes": {"name": Path()}}, "have no JSON form"),
        ({"results": 3}, "3 is no path"),
        ({"max_concurrent": 0}, "max_concurrent 0 is no whole number from 1 to"),
        ({"timeout": float("nan")}, "timeout nan is no number from 0 to"),
        ({"device": None}, "None is none of auto"),
        ({"figures": ["gif"]}, "figures 'gif' is none of png, svg, pdf"),
    ],
)
def test_what_cannot_be_used_is_the_sentence_of_the_command_line(arguments, sentence):
    with pytest.raises(nas_bench.InputError, match=sentence):
        nas_bench.run(**arguments)


def test_plan_says_what_the_command_says(capsys):
    assert status(["plan", "--methods", "tiny", "--tasks", "sine", "--json"]) == 0
    typed = json.loads(capsys.readouterr().out)
    plan = nas_bench.plan("tiny", ["sine"])
    assert [trial["id"] for trial in typed["trials"]] == plan.frame.id.tolist()
    assert plan.values()["flops"] == typed["flops"]
    assert "trials, 9 to run" in str(plan)
    assert "<td>tiny</td>" in plan._repr_html_()


def test_report_and_compare_say_what_the_commands_say(ledger, capsys, tmp_path):
    results = nas_bench.report(ledger, figures=(), into=tmp_path)
    assert (tmp_path / "report" / "report.html").is_file()
    assert status(["compare", "tiny", "random_growth", "--results", str(ledger), "--json"]) == 0
    (typed,) = json.loads(capsys.readouterr().out)["comparisons"]
    for frame in (
        results.compare("tiny", "random_growth"),
        nas_bench.compare("tiny", "random_growth", results=ledger),
    ):
        (row,) = frame.to_dict("records")
        assert (row["difference"], row["p"]) == (typed["difference"], typed["p"])
        assert row["first_mean"] == typed["first"]["mean"]
    assert "<b>fixed</b>" in results._repr_html_()
    assert results.pareto("training_flops").axes


def test_a_figure_shows_one_comparison_of_a_known_cost(ledger):
    results = nas_bench.Results((ledger,))
    with pytest.raises(nas_bench.InputError, match="unknown cost 'flop': did you mean flops"):
        results.pareto("flop")
    with pytest.raises(nas_bench.InputError, match="unknown task 'mnist'"):
        results.pareto(task="mnist")


def test_text_names_ledgers_and_a_generator_methods(ledger):
    assert nas_bench.Results(str(ledger)).ledgers == (ledger,)  # pyright: ignore[reportArgumentType]
    plan = nas_bench.plan((name for name in ["tiny"]), "sine", seeds=np.arange(2))
    assert sorted(set(plan.frame.seed)) == [0, 1]


def test_an_empty_folder_has_nothing_to_report(tmp_path):
    with pytest.raises(nas_bench.InputError, match="nothing to report: there are no results in"):
        nas_bench.report(tmp_path / "empty")
    with pytest.raises(nas_bench.InputError, match="nothing to compare: there are no results in"):
        nas_bench.compare("tiny", "fixed", results=tmp_path / "empty")


def test_training_flops_are_the_same_in_frame_and_table(ledger):
    results = nas_bench.Results((ledger,))
    frame = results.frame
    last = frame[(frame.method == "tiny") & (frame.final == True)]  # noqa: E712  of objects
    table = results.table()
    shown = table[table.method == "tiny"].training_flops.item()
    assert last.training_flops.astype(float).mean() == pytest.approx(shown)
    assert (last.flops_train + last.growth_flops == last.training_flops).all()
    assert "train_flops" not in frame


def test_a_ledger_is_named_once_and_without_its_parts(ledger):
    with pytest.raises(nas_bench.InputError, match="is given twice"):
        nas_bench.report([ledger, ledger / ".." / ledger.name])
    with pytest.raises(nas_bench.InputError, match="is a part of the results folder"):
        nas_bench.report([ledger, next(ledger.rglob("run.json")).parents[3]])


def test_a_pack_is_no_second_ledger_beside_the_folder_that_holds_it(ledger, tmp_path):
    shutil.copytree(ledger, tmp_path / "copy")
    copy = tmp_path / "copy"
    inside = copy / f"{next(iter(pack(copy))).place}.zip"
    with pytest.raises(nas_bench.InputError, match="is a part of the results folder"):
        nas_bench.compare("tiny", "fixed", results=[inside, copy])
    assert len(nas_bench.compare("tiny", "fixed", results=[inside, ledger])) == 1


def test_a_report_goes_to_no_place_of_trials(ledger):
    with pytest.raises(nas_bench.InputError, match="report is where trials lie"):
        nas_bench.report(ledger, figures=(), into=ledger / "smoke")
    nas_bench.report(ledger, figures=(), into=ledger / "report" / "second")


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_can_be_no_path_is_refused_in_a_sentence(path):
    with pytest.raises(nas_bench.InputError, match="is no path"):
        nas_bench.plan("tiny", "sine", results=path)
    with pytest.raises(nas_bench.InputError, match="is no path"):
        nas_bench.plan("tiny", "sine", plugins=[path])


def test_several_ledgers_are_named_in_the_frame_and_head_the_results(ledger, tmp_path):
    ours = synthetic.Ledger(tmp_path / "ours")
    for seed in range(6):
        synthetic.run(ours, synthetic.trial("mine", seed))
    results = nas_bench.report([ledger, ours.folder], figures=())
    assert (ours.folder / "report" / "leaderboard.md").is_file()
    assert "mine @ ours" in set(results.table().method)
    assert set(results.frame.ledger) == {"", "ours"}
    assert "Nothing shows whether ours reproduces" in results._repr_html_()
    frame = nas_bench.compare("mine @ ours", "tiny", results=[ledger, ours.folder])
    assert frame.pairs.tolist() == [6]


def test_what_a_later_cell_changes_of_a_task_is_counted_and_loaded_anew():
    task, flops = in_a_cell(POOLED), []
    now = {"schedule": {"growths": 1, "every": 0}}
    for pool in (1, 3):
        vars(task)["network"].__globals__["POOL"] = pool
        done = nas_bench.run(
            "fixed", task, seeds=[0], budget="1 epochs", changes=now, baselines=False,
            executor="inline", figures=[], rerun="all",
        )  # fmt: skip
        flops.append(done.table().training_flops.item())
    first, second = flops
    assert second > 5 * first  # three times the samples, and more for each
