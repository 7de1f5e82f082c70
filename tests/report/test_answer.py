from dataclasses import replace
from itertools import product
from pathlib import Path

import synthetic
from synthetic import trial

from nas_bench.report import cells
from nas_bench.report.answer import answer
from nas_bench.report.cells import difference_parts
from nas_bench.report.comparison import comparisons
from nas_bench.report.standing import Standing, standing
from nas_bench.results.ledger import Ledger


def found(ledger: Ledger) -> Standing:
    (comparison,) = comparisons(ledger.runs())
    return standing(comparison)


def test_the_answer_is_which_is_best_whether_growing_paid_and_its_cost(tmp_path: Path) -> None:
    shown = found(synthetic.sweep(tmp_path, seeds=7))
    said = answer(shown)
    assert said.startswith("On digits (smoke, 12 epochs, 7 seeds) the best is fixed 94.84 ± 0.24")
    assert "and tiny cannot be told from it." in said
    growing = [c for c in shown.growing if "[" not in c.first]  # controls only explain
    lost = [c.difference.mean for c in growing if c.is_significant]
    assert len(growing) == 4
    ends = f"−{-min(lost):.2f} to −{-max(lost):.2f}"
    assert f"Growing lost with {len(lost)} of 4 methods ({ends}) and is open with" in said
    assert said.endswith(
        "The best that grows, tiny 94.47 ± 0.38, took 1.2 × the training FLOPs of fixed."
    )


def test_three_seeds_answer_nothing(tmp_path: Path) -> None:
    said = answer(found(synthetic.sweep(tmp_path)))
    assert "the best mean is that of fixed" in said
    assert "; 3 seeds cannot tell whether that is chance." in said
    assert "Growing" not in said


def test_a_method_that_is_best_is_named_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(6):
        synthetic.run(ledger, trial("tiny", seed))
        synthetic.run(ledger, trial("random_growth", seed))
    assert answer(found(ledger)).endswith("seeds) the best is tiny 94.55 ± 0.40.")


def test_a_control_that_is_better_is_not_kept_silent(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(6):
        synthetic.run(ledger, trial("gradmax", seed))
        synthetic.run(ledger, trial("tiny[update=false]", seed))
    shown = found(ledger)
    score = cells.score(shown, shown.comparison.rows[0])
    control = f"The mean of tiny[update=false] {score}, a control and not ranked, is better."
    assert control in answer(shown)
    assert "the best mean is that of gradmax" in answer(shown)


def test_differences_are_those_of_the_table(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(6):
        for method in ("tiny", "fixed"):
            synthetic.run(ledger, trial(method, seed, task="diabetes"), regression=True)
    shown = found(ledger)
    (grown,) = shown.growing
    assert f"1 method ({difference_parts(grown, 'loss')[0]}), at equal steps." in answer(shown)


def test_whose_cost_it_is_is_said(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(6):
        synthetic.run(ledger, trial("tiny", seed))
        synthetic.run(ledger, trial("fixed", seed), spread=60.0)
    shown = found(ledger)
    assert shown.best == "tiny"
    assert answer(shown).endswith(" at equal steps. tiny took 1.2 × the training FLOPs of fixed.")


def test_rows_that_lack_seeds_are_named_before_it_is_said_that_growing_paid(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(8):
        for method in ("tiny", "fixed")[: 1 + (seed < 2)]:
            synthetic.run(ledger, trial(method, seed))
    lacking, paid = "Seeds without a result count as the worst: fixed has 2 of 8.", "Growing paid"
    said = answer(found(ledger))
    assert said.index(lacking) < said.index(paid)


def test_equal_costs_are_not_called_a_multiple(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed, method in product(range(6), ("net2net", "fixed")):
        config = trial(method, seed)
        synthetic.begin(ledger, config)
        for record in synthetic.records(config):
            record = replace(record, train_flops=1e6 * record.step, growth_flops=0.0)
            ledger.write(config, synthetic.as_dict(record))
        ledger.finish(config)
    assert answer(found(ledger)).endswith(" took as many training FLOPs as fixed.")


def test_many_that_are_tied_are_counted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(6):
        for rate in range(6):
            synthetic.run(ledger, trial(f"tiny[k={rate}]", seed))
    assert ", and 4 other rows cannot be told from it." in answer(found(ledger))


def test_nothing_is_best_among_rows_that_cannot_be_compared(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for method, data in (("tiny", "a"), ("fixed", "b")):
        for config in (trial(method, seed) for seed in range(6)):
            place = synthetic.ENVIRONMENT | {"data": data}
            ledger.write(config, {"type": "started", "environment": place})
            for record in synthetic.records(config):
                ledger.write(config, synthetic.as_dict(record))
            ledger.finish(config)
    said = "On digits (smoke, 12 epochs, 6 seeds) rows are of different data and not ranked."
    assert answer(found(ledger)) == said


def test_where_all_failed_that_is_said(tmp_path: Path) -> None:
    synthetic.fail(Ledger(tmp_path), trial())
    assert answer(found(Ledger(tmp_path))) == "On digits (smoke, 12 epochs) no trial has a result."
