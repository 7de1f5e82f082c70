"""Ranks, twins and what TINY gains: what the scores of a comparison say."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
from synthetic import trial

from nas_bench.api.pairing import paired_rows
from nas_bench.behaviour import core_version
from nas_bench.report.comparison import comparisons, differing
from nas_bench.report.footnotes import remarks
from nas_bench.report.standing import Standing, standing
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Budget, TrialConfig, Twin

SEEDS = range(10)


def run(ledger: Ledger, config: TrialConfig, accuracy: float) -> None:
    """A trial that ends at this test accuracy, in percent."""
    synthetic.begin(ledger, config)
    *others, last = synthetic.records(config, points=2)
    for record in (*others, replace(last, test_accuracy=accuracy / 100)):
        ledger.write(config, synthetic.as_dict(record))
    ledger.finish(config)


def swept(folder: Path, means: dict[str, float], **fields: Any) -> Standing:
    """Ten seeds of each method, which share most of their noise."""
    ledger = Ledger(folder)
    for number, (method, mean) in enumerate(means.items()):
        for seed in SEEDS:
            own = 0.01 * ((7 * seed + 3 * number) % 5 - 2)
            run(ledger, trial(method, seed, **fields), mean + 0.3 * math.sin(seed) + own)
    (comparison,) = comparisons(ledger.runs())
    return standing(comparison)


def ranks(found: Standing) -> dict[str, str]:
    return {name: str(rank) for name, rank in found.ranks.items()}


def test_methods_that_differ_have_their_own_ranks_and_equal_ones_share(tmp_path: Path) -> None:
    found = swept(tmp_path, {"tiny": 95.0, "gradmax": 95.0, "random_growth": 90.0, "fixed": 97.0})
    expected = {"fixed": "1", "tiny": "2–3", "gradmax": "2–3", "random_growth": "4"}
    assert ranks(found) == expected
    assert found.told_apart("fixed", "tiny")
    assert not found.told_apart("tiny", "gradmax")


def test_three_seeds_rank_nobody(tmp_path: Path) -> None:
    (comparison,) = comparisons(synthetic.sweep(tmp_path, seeds=3).runs())
    found = standing(comparison)
    assert set(found.ranks.values()) == {None}
    assert all(contrast.adjusted is None for contrast in found.pairs)


def test_a_failed_seed_counts_as_the_worst_score_of_the_comparison(tmp_path: Path) -> None:
    (comparison,) = comparisons(synthetic.sweep(tmp_path).runs())
    found = standing(comparison).scores["gradmax"]
    untrained = [run.curve[0] for row in comparison.rows for run in row.runs]
    results = [record for row in comparison.rows for record in row.results]
    worst = min(comparison.score(record) for record in (*untrained, *results))
    assert found.missing == (2,)
    assert found.values[2] == worst
    assert found.estimate.mean == pytest.approx(sum(found.values.values()) / 3)


def test_a_seed_that_was_never_run_counts_as_the_worst_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(3):
        run(ledger, trial("fixed", seed), 97.0)
    run(ledger, trial("tiny", 0), 95.0)
    (comparison,) = comparisons(ledger.runs())
    found = standing(comparison).scores["tiny"]
    assert found.missing == (1, 2)
    before = min(comparison.score(r.runs[0].curve[0]) for r in comparison.rows)
    assert before < 20
    assert found.values == {0: 95.0, 1: before, 2: before}


def test_losses_rank_the_other_way_round(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for method in ("tiny", "random_growth", "fixed[size=seed]"):
        for seed in SEEDS:
            synthetic.run(ledger, trial(method, seed), regression=True)
    (comparison,) = comparisons(ledger.runs())
    assert ranks(standing(comparison)) == {"tiny": "1", "random_growth": "2"}


def test_the_same_target_twin_at_equal_steps_is_the_fixed_network(tmp_path: Path) -> None:
    found = swept(tmp_path, {"tiny": 95.0, "fixed": 97.0})
    (contrast,) = found.growing
    assert (contrast.question, contrast.first, contrast.second) == ("equal steps", "tiny", "fixed")
    assert contrast.difference.mean == pytest.approx(-2, abs=0.05)
    assert contrast.adjusted == pytest.approx(2 / 2**10)


def test_twins_are_paired_with_their_originals_and_not_ranked(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in SEEDS:
        original = trial("tiny", seed, kind="free")
        run(ledger, original, 95.0 + 0.1 * seed)
        for match, better in (("steps", 1.0), ("flops", 2.0)):
            twin = original.model_copy(update={"twin": Twin(of=original.id, match=match)})
            run(ledger, twin, 95.0 + 0.1 * seed + better)
    (comparison,) = comparisons(ledger.runs())
    found = standing(comparison)
    assert found.ranks == {"tiny": None}  # with nobody to be ranked against
    means = {c.question: c.difference.mean for c in found.growing}
    assert means == {"equal steps": pytest.approx(-1), "equal flops": pytest.approx(-2)}


def test_the_gain_of_tiny_is_taken_apart(tmp_path: Path) -> None:
    means = {
        "tiny": 96.0,
        "tiny[update=false]": 93.0,
        "random_growth": 92.0,
        "random_growth[update=true]": 94.0,
    }
    found = swept(tmp_path, means)
    assert {c.question: c.difference.mean for c in found.attribution} == {
        "tiny against random neurons": pytest.approx(4, abs=0.05),
        "its neurons, with δW*": pytest.approx(2, abs=0.05),
        "its neurons, without δW*": pytest.approx(1, abs=0.05),
        "δW*, with its neurons": pytest.approx(3, abs=0.05),
        "δW*, with random neurons": pytest.approx(2, abs=0.05),
    }
    assert list(found.ranks) == ["tiny", "random_growth"]


def test_variants_of_tiny_are_taken_apart_too(tmp_path: Path) -> None:
    means = {
        "tiny[significance=false]": 96.0,
        "tiny[significance=false,update=false]": 93.0,
        "tiny[projection=false]": 80.0,
        "random_growth": 92.0,
    }
    found = swept(tmp_path, means)
    assert [(c.first, c.second) for c in found.attribution] == [
        ("tiny[significance=false]", "random_growth"),
        ("tiny[significance=false,update=false]", "random_growth"),
        ("tiny[significance=false]", "tiny[significance=false,update=false]"),
    ]


def test_under_a_budget_in_flops_fixed_is_the_twin_of_equal_flops(tmp_path: Path) -> None:
    found = swept(tmp_path, {"tiny": 95.0, "fixed": 97.0}, budget=Budget(flops=1e9))
    assert [(c.question, c.second) for c in found.growing] == [("equal flops", "fixed")]


def test_missing_baselines_and_controls_are_reported(tmp_path: Path) -> None:
    found = swept(tmp_path, {"tiny": 96.0, "random_growth": 92.0, "fixed": 97.0})
    assert found.lacking == (
        "fixed[size=seed]", "random_growth[update=true]", "tiny[update=false]"
    )  # fmt: skip


def test_a_dominated_method_is_never_on_the_front(tmp_path: Path) -> None:
    found = swept(tmp_path, {"fixed": 97.0, "tiny": 90.0})
    assert found.front["parameters"] == {"fixed": 1.0, "tiny": 0.0}


def test_accuracies_have_intervals_within_what_is_possible(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed, accuracy in enumerate((10.0, 99.0, 99.5)):
        run(ledger, trial("net2net", seed), accuracy)
    (comparison,) = comparisons(ledger.runs())
    interval = standing(comparison).scores["net2net"].interval
    assert interval is not None
    assert (interval.low, interval.high) == (0.0, 100.0)


def test_a_pair_has_one_answer_whatever_asks_for_it(tmp_path: Path) -> None:
    means = {"tiny": 95.0, "tiny[update=false]": 94.9, "random_growth": 94.95, "fixed": 95.02}
    found = swept(tmp_path, means)
    answers: dict[tuple[str, str], set[Any]] = {}
    for contrast in (*found.growing, *found.against, *found.attribution):
        said = contrast.adjusted, contrast.interval
        answers.setdefault((contrast.first, contrast.second), set()).add(said)
    assert len(answers["tiny", "fixed"]) == len(answers["tiny", "random_growth"]) == 1
    assert {c.question for c in found.against} == {"against fixed", "against random_growth"}
    assert [c.first for c in found.against if c.second == "random_growth"] == ["tiny"]


def test_a_star_and_an_interval_without_zero_go_together(tmp_path: Path) -> None:
    found = swept(tmp_path, {"tiny": 95.0, "gradmax": 94.99, "net2net": 94.0, "fixed": 95.0})
    tested = (*found.pairs, *found.growing, *found.against)
    assert {contrast.is_significant for contrast in tested} == {True, False}
    for contrast in tested:
        assert contrast.interval
        outside = contrast.interval.low > 0 or contrast.interval.high < 0
        assert outside == contrast.is_significant


def test_a_wild_row_is_not_tied_with_the_best_for_being_hard_to_tell(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in SEEDS:
        run(ledger, trial("fixed", seed), 97.0 + 0.1 * math.sin(seed))
        run(ledger, trial("tiny", seed), 97.0 + 0.1 * math.cos(seed))
        run(ledger, trial("net2net", seed), 97.5 if seed % 3 else 20.0)
    (comparison,) = comparisons(ledger.runs())
    found = standing(comparison)
    assert set(ranks(found).values()) == {"1–3"}
    assert [row.name for row in comparison.rows if found.leads(row)] == ["fixed", "tiny"]


def test_what_a_question_tells_from_the_best_is_not_tied_with_it(tmp_path: Path) -> None:
    found = swept(tmp_path, {"tiny": 95.0, "fixed": 95.02})
    tied = [row.name for row in found.comparison.rows if found.leads(row)]
    assert tied == ["fixed", "tiny"]
    (grown,) = found.growing
    told = replace(found, growing=(replace(grown, adjusted=0.02),))
    assert [row.name for row in found.comparison.rows if told.leads(row)] == ["fixed"]


@pytest.fixture(scope="module")
def two_rates(tmp_path_factory: pytest.TempPathFactory) -> Standing:
    """Every method at two learning rates, and a grower whose optimiser starts anew."""
    ledger = Ledger(tmp_path_factory.mktemp("rates"))
    fast: dict[str, Any] = {"recipe": {"learning_rate": 0.03}}
    rows = [
        ("fixed", {}, 97.0), ("fixed", fast, 95.0), ("gradmax", {}, 96.0), ("gradmax", fast, 94.0),
        ("gradmax", {"optimizer_policy": "reset"}, 96.5),
        ("tiny", fast, 95.0), ("random_growth", fast, 92.0), ("random_growth", {}, 93.0),
    ]  # fmt: skip
    for method, fields, accuracy in rows:
        for seed in range(6):
            run(ledger, trial(method, seed, **fields), accuracy + 0.1 * math.sin(seed))
    (comparison,) = comparisons(ledger.runs())
    return standing(comparison)


def test_grown_networks_are_compared_with_fixed_of_the_same_configuration(
    two_rates: Standing,
) -> None:
    differences = {c.first: round(c.difference.mean, 6) for c in two_rates.growing}
    by_settings = {name.partition("{")[2].rstrip("}"): d for name, d in differences.items()
                   if name.startswith("gradmax")}  # fmt: skip
    assert by_settings == {
        "optimizer_policy=transplant": -1.0,
        "optimizer_policy=transplant, recipe.learning_rate=0.03": -1.0,
        "optimizer_policy=reset": -0.5,
    }


def test_attribution_stays_within_one_configuration(two_rates: Standing) -> None:
    (contrast,) = two_rates.attribution
    assert contrast.difference.mean == pytest.approx(3.0)


def test_what_is_missing_is_told_by_configuration(two_rates: Standing) -> None:
    assert "fixed" not in two_rates.lacking
    assert "fixed[size=seed]" in two_rates.lacking
    assert "tiny[update=false]" in two_rates.lacking


def test_a_row_without_a_fixed_of_its_own_configuration_says_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(6):
        run(ledger, trial("fixed", seed), 97.0)
        run(ledger, trial("gradmax", seed, recipe={"learning_rate": 0.03}), 96.0)
    (comparison,) = comparisons(ledger.runs())
    found = standing(comparison)
    assert found.growing == ()
    assert "fixed configured as gradmax" in found.lacking


@pytest.mark.parametrize(
    ("other", "differing"),
    [
        ({"environment": {"data": "a"}}, ()),
        ({"environment": {"data": "b"}}, ("data",)),
        ({"environment": {"data": "a"}, "behaviour": {"core": 99, "task": 1}}, ("behaviour",)),
        (
            {"environment": {"data": "b"}, "behaviour": {"core": core_version(), "task": 2}},
            ("data", "behaviour"),
        ),
        ({"environment": {"data": "a", "device": "cpu"}}, ()),
        ({"resolved": {"recipe": {"learning_rate": 0.1, "new": 1}}}, ()),
        ({"resolved": {"recipe": {"learning_rate": 0.2}}}, ("recipe",)),
        ({"environment": {"data": "a", "device": "NVIDIA H100"}}, ("device",)),
    ],
)  # fmt: skip
def test_rows_of_different_data_or_behaviour_are_not_ranked(
    other: dict[str, Any], differing: tuple[str, ...], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    environment = {"data": "a", "device": "cpu"}
    same = {
        "environment": environment,
        "behaviour": {"core": core_version(), "task": 1},
        "resolved": {"recipe": {"learning_rate": 0.1}},
    }
    for method, loaded in (("tiny", same), ("fixed", {**same, **other})):
        for seed in SEEDS:
            config = trial(method, seed)
            synthetic.begin(ledger, config)
            ledger.write(config, {"type": "loaded", **loaded})
            for record in synthetic.records(config):
                ledger.write(config, synthetic.as_dict(record))
            ledger.finish(config)
    (comparison,) = comparisons(ledger.runs())
    found = standing(comparison)
    assert comparison.differing == differing
    assert (set(found.ranks.values()) == {None}) == bool(differing)
    said = " ".join(remark.sentence for remark in remarks(found))
    assert ("Not comparable, so not ranked" in said) == bool(differing)


@pytest.mark.parametrize(("later", "mixed"), [(5, False), (7, True)])
def test_seeds_of_different_defaults_are_no_row_of_one_kind(
    later: int, mixed: bool, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    for seed, rate in enumerate((5, 5, later)):
        config = trial("tiny", seed)
        synthetic.begin(ledger, config)
        loaded = {"environment": {}, "resolved": {"method": {"neurons": rate}}}
        ledger.write(config, {"type": "loaded", **loaded})
        for record in synthetic.records(config):
            ledger.write(config, synthetic.as_dict(record))
        ledger.finish(config)
    (comparison,) = comparisons(ledger.runs())
    assert [row.mixed for row in comparison.rows] == [mixed]
    said = " ".join(remark.sentence for remark in remarks(standing(comparison)))
    assert ("Seeds of different behaviour, defaults or data: tiny." in said) == mixed


def test_rows_of_different_recipes_are_not_ranked_but_where_they_were_tuned(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path)
    for method, recipe in (("tiny", {}), ("fixed", {"learning_rate": 0.1})):
        for seed in SEEDS:
            synthetic.run(ledger, trial(method, seed, recipe=recipe))
    (comparison,) = comparisons(ledger.runs())
    assert comparison.differing == ("recipe",)
    said = [remark.sentence for remark in remarks(standing(comparison))]
    assert "Not comparable, so not ranked: rows are of different recipe." in said


def test_silent_neurons_are_compared_with_silent_random_ones(tmp_path: Path) -> None:
    ledger, silent = Ledger(tmp_path), "random_growth[zero_fan_out=true]"
    for seed in range(2):
        for method in ("random_growth", silent, "gradmax", "tiny", "of_another_day"):
            synthetic.run(ledger, trial(method, seed))
    (comparison,) = comparisons(ledger.runs())
    found = standing(comparison)
    rivals = {c.first: c.second for c in found.against if c.question == "against random_growth"}
    assert rivals == {
        "gradmax": silent,
        "tiny": "random_growth",
        "of_another_day": "random_growth",
    }
    said = [remark.sentence for remark in remarks(found)]
    assert any("silent random neurons" in line and line.endswith(": gradmax.") for line in said)


def test_rows_of_different_data_are_not_tested_against_each_other(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for method, data in (("gradmax", "a"), ("tiny", "b"), ("fixed", "b")):
        for seed in SEEDS:
            config = trial(method, seed)
            synthetic.begin(ledger, config)
            ledger.write(config, {"type": "loaded", "environment": {"data": data}})
            for record in synthetic.records(config):
                ledger.write(config, synthetic.as_dict(record))
            ledger.finish(config)
    (comparison,) = comparisons(ledger.runs())
    found = standing(comparison)
    assert {(c.first, c.second) for c in found.growing} == {("tiny", "fixed")}
    assert {frozenset((c.first, c.second)) for c in found.pairs} == {frozenset(("tiny", "fixed"))}
    rows = {row.name: row for row in comparison.rows}
    (pairing,) = paired_rows([comparison], "gradmax", "fixed")
    assert pairing.difference is pairing.adjusted is None
    assert differing((rows["gradmax"], rows["fixed"])) == ("data",)
