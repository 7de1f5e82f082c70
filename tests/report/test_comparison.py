import math
import statistics
from pathlib import Path

import pytest
import synthetic
from synthetic import trial

from nas_bench import report
from nas_bench.report.comparison import Comparison, comparisons
from nas_bench.report.content import content
from nas_bench.report.standing import standing
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Budget, Twin
from nas_bench.tuning.history import FIRST_SEED


def compared(ledger: Ledger) -> tuple[Comparison, ...]:
    return comparisons(ledger.runs())


def test_protocol_kind_task_and_budget_never_share_a_comparison(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    changes = [
        {},
        {"protocol": "lite"},
        {"version": 2},
        {"kind": "free"},
        {"task": "mnist"},
        {"budget": Budget(epochs=3)},
    ]
    for change in changes:
        synthetic.run(ledger, trial(**change))
    assert len(compared(ledger)) == len(changes)
    assert len({comparison.title for comparison in compared(ledger)}) == len(changes)


def test_a_budget_in_flops_is_named_as_people_read_it(tmp_path: Path) -> None:
    synthetic.run(Ledger(tmp_path), trial(budget=Budget(flops=4e11)))
    (comparison,) = compared(Ledger(tmp_path))
    assert comparison.title == "digits · smoke v1 · same target · 400 G FLOPs"


def test_seeds_share_a_row_and_settings_do_not(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(2):
        synthetic.run(ledger, trial(seed=seed))
        synthetic.run(ledger, trial(seed=seed, recipe={"learning_rate": 0.1}))
        synthetic.run(ledger, trial(seed=seed, twin=Twin(of=trial(seed=seed).id, match="steps")))
    (comparison,) = compared(ledger)
    assert sorted(row.name for row in comparison.rows) == [
        "tiny",
        "tiny twin (steps)",
        "tiny {recipe.learning_rate=0.1}",
    ]
    assert {row.seeds for row in comparison.rows} == {"2/2"}


def test_settings_that_identities_leave_out_are_named_where_rows_differ_in_them(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path)
    schedule = trial().schedule
    for when in ("every", "plateau"):
        changed = schedule.model_copy(update={"when": when})
        synthetic.run(ledger, trial(schedule=changed))
    (comparison,) = compared(ledger)
    assert sorted(row.name for row in comparison.rows) == [
        "tiny {schedule.when=every}",
        "tiny {schedule.when=plateau}",
    ]


def test_the_score_is_that_of_the_last_record_not_the_best(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(trial())
    *others, last = synthetic.records(trial())
    for record in (*others, last.__class__(**{**vars(last), "test_accuracy": 0.5})):
        ledger.write(trial(), synthetic.as_dict(record))
    ledger.finish(trial())
    (comparison,) = compared(ledger)
    assert comparison.rows[0].estimate(comparison.score).mean == 50.0


@pytest.mark.parametrize("regression", [False, True])
def test_scores_of_few_records_are_enough(tmp_path: Path, regression: bool) -> None:
    """The metric, the score at the end and the worst score; curves are of all records."""
    values = []
    for earlier in (True, False):
        ledger = Ledger(tmp_path / str(earlier))
        for method in ("tiny", "fixed"):
            synthetic.run(ledger, trial(method), regression=regression, earlier=earlier)
        (comparison,) = compared(ledger)
        scores = [comparison.scores(row) for row in comparison.rows]
        (run, *_) = comparison.rows[0].runs
        curve = [comparison.score(record, "validation") for record in run.curve]
        values.append((comparison.metric, scores, comparison.worst, curve))
    assert values[0] == values[1]
    assert values[0][0] == ("loss" if regression else "accuracy")
    assert all(map(math.isfinite, values[0][3]))
    assert sum(math.isfinite(comparison.score(record)) for record in run.curve) == 4


def test_best_rows_come_first_and_seeds_without_a_result_count_as_the_worst(
    tmp_path: Path,
) -> None:
    (comparison,) = compared(synthetic.sweep(tmp_path))
    means = [statistics.fmean(comparison.scores(row).values()) for row in comparison.rows]
    assert means == sorted(means, reverse=True)
    (gradmax,) = [row for row in comparison.rows if row.name == "gradmax"]
    assert gradmax.seeds == "2/3"
    assert comparison.scores(gradmax)[2] == comparison.worst
    assert [run.seed for _, run in comparison.without_result] == [2]


def test_seeds_that_only_other_methods_have_are_missing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(4):
        synthetic.run(ledger, trial("random_growth", seed))
    synthetic.run(ledger, trial("tiny", 2))
    (comparison,) = compared(ledger)
    seeds = {row.name: (row.seeds, row.not_run) for row in comparison.rows}
    assert seeds == {"random_growth": ("4/4", ()), "tiny": ("1/4", (0, 1, 3))}


@pytest.mark.parametrize(
    ("first", "second", "mixed"),
    [
        (({"core": 1}, "x"), ({"core": 1}, "x"), False),
        (({"core": 1}, "x"), ({"core": 2}, "x"), True),
        (({"core": 1, "method": 1}, "x"), ({"core": 1, "method": 2}, "x"), True),
        (({"core": 1}, "x"), ({"core": 1}, "y"), True),
        (({"core": 1}, "x"), ({}, None), False),
    ],
)
def test_seeds_of_different_behaviour_or_data_are_mixed(
    first: tuple[dict[str, int], str | None],
    second: tuple[dict[str, int], str | None],
    mixed: bool,
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path)
    for seed, (behaviour, data) in enumerate((first, second)):
        ledger.begin(trial(seed=seed))
        found = {"data": data} if data else {}
        ledger.write(
            trial(seed=seed), {"type": "loaded", "environment": found, "behaviour": behaviour}
        )
        for record in synthetic.records(trial(seed=seed)):
            ledger.write(trial(seed=seed), synthetic.as_dict(record))
        ledger.finish(trial(seed=seed))
    (comparison,) = compared(ledger)
    assert comparison.rows[0].mixed is mixed


def test_a_task_without_accuracies_is_compared_by_its_loss(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for method in ("tiny", "fixed[size=seed]"):
        synthetic.run(ledger, trial(method), regression=True)
    (comparison,) = compared(ledger)
    assert comparison.metric == "loss"
    assert [row.name for row in comparison.rows] == ["tiny", "fixed[size=seed]"]


def test_a_comparison_in_which_all_failed_has_no_numbers(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.fail(ledger, trial())
    (comparison,) = compared(ledger)
    assert comparison.rows[0].seeds == "0/1"
    assert math.isnan(comparison.rows[0].estimate(comparison.score).mean)


@pytest.mark.parametrize(
    ("method", "role"),
    [
        ("tiny", "method"),
        ("tiny[update=false]", "control"),
        ("tiny[significance=false,update=false]", "control"),
        ("tiny[exact=true]", "method"),
        ("tiny[exact=true,update=false]", "method"),
        ("gradmax[scale=2.0]", "method"),
        ("random_growth[update=true]", "control"),
        ("update_only", "control"),
        ("fixed[size=seed]", "baseline"),
    ],
)
def test_what_only_takes_a_method_apart_is_a_control(
    method: str, role: str, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(method=method))
    ((row,),) = (comparison.rows for comparison in compared(ledger))
    assert row.role == role


@pytest.mark.parametrize(
    ("protocol", "method", "seed", "typed", "shown"),
    [
        ("lr-search-small", "tiny", FIRST_SEED, (), True),
        ("lr-search-small", "tiny", FIRST_SEED, ("nas-bench", "tune"), True),
        ("smoke-search-tiny", "tiny", FIRST_SEED, ("nas-bench", "run"), True),
        ("smoke-search-tiny", "tiny", 0, (), True),
        ("smoke-search-tiny", "tiny", FIRST_SEED, (), False),
        ("smoke-search-tiny", "tiny[update=false]", 0, ("nas-bench", "tune"), False),
    ],
)
def test_trials_of_a_search_are_told_by_what_they_say(
    tmp_path: Path, protocol: str, method: str, seed: int, typed: tuple[str, ...], shown: bool
) -> None:
    ledger = Ledger(tmp_path, typed)
    synthetic.run(ledger, trial(method, seed, protocol=protocol))
    assert len(comparisons(ledger.runs())) == shown


def damage(ledger: Ledger, method: str, *seeds: int) -> None:
    for seed in seeds:
        (ledger.trial_folder(trial(method, seed)) / "run.json").write_text("{")


def test_a_method_whose_files_are_all_damaged_keeps_its_row(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path, seeds=6)
    damage(ledger, "random_growth[update=true]", *range(6))
    damage(ledger, "north_preactivation", 0)
    (comparison,) = compared(ledger)
    rows = {row.name.partition("~")[0]: row for row in comparison.rows}
    assert len(rows) == len(synthetic.SETTINGS)
    assert rows["random_growth-update=true"].seeds == "0/6"
    assert rows["north_preactivation"].seeds == "5/6"
    states = [(run.seed, run.state) for run in rows["north_preactivation"].runs]
    assert states[0] == (0, "damaged")
    found = standing(comparison)
    assert rows["random_growth-update=true"].name not in found.ranks
    asked = (*found.growing, *found.against, *found.attribution, *found.pairs)
    assert not any("~" in contrast.first + contrast.second for contrast in asked)
    shown = content(ledger.runs(), "")["comparisons"][0]["rows"]
    trials = [t for row in shown for t in row["trials"] if t["status"] == "damaged"]
    assert all("run.json is damaged" in t["reason"] and t["id"] for t in trials)
    assert len(trials) == 7


def test_what_is_damaged_among_several_budgets_belongs_to_its_settings_or_to_none(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(2):
        synthetic.run(ledger, trial("tiny", seed))
        synthetic.run(ledger, trial("fixed", seed))
    synthetic.run(ledger, trial("tiny", budget=Budget(steps=9)))
    damage(ledger, "tiny", 0)
    damage(ledger, "fixed", 0, 1)
    epochs, steps = compared(ledger)
    assert {row.name: row.seeds for row in epochs.rows} == {"tiny": "1/2"}
    assert {row.name: row.seeds for row in steps.rows} == {"tiny": "1/1"}


def test_links_to_comparisons_stay_whatever_others_there_are(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial("tiny", protocol="smoke"))
    (only,) = content(ledger.runs(), "")["comparisons"]
    assert only["id"] == "smoke.v1.same_target.digits.12-epochs"
    synthetic.run(ledger, trial("tiny", protocol="a"))
    synthetic.run(ledger, trial("tiny", task='image_arrays[path="/a b"]'))
    found = [comparison["id"] for comparison in content(ledger.runs(), "")["comparisons"]]
    assert only["id"] in found
    assert len(set(found)) == 3


def test_where_no_method_is_applicable_there_is_no_row_and_no_failure(tmp_path: Path) -> None:
    for method in ("net2net", "splitting"):
        synthetic.refuse(Ledger(tmp_path), trial(method))
    made = report.write(tmp_path, ())
    (found,) = made.content["comparisons"]
    assert found["rows"] == found["lacking"] == []
    assert [row["name"] for row in found["refused"]] == ["net2net", "splitting"]
    assert found["answer"] == "On digits (smoke, 12 epochs) no method is applicable."
    assert [row["not_applicable"] is not None for row in made.numbers] == [True, True]
    assert "| – | net2net | n/a |" in made.markdown
