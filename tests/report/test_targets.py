from dataclasses import replace
from pathlib import Path

import synthetic
from synthetic import trial

from nas_bench.report.comparison import Comparison, comparisons
from nas_bench.report.targets import Reached, reached, targets
from nas_bench.results.ledger import Ledger
from nas_bench.trials.protocol import load_protocol


def write(ledger: Ledger, method: str, seed: int, *curve: tuple[float, float]) -> None:
    """A trial with these training FLOPs and validation accuracies in percent."""
    config = trial(method, seed)
    first, *_ = synthetic.records(config)
    synthetic.begin(ledger, config)
    for place, (spent, accuracy) in enumerate(curve, start=1):
        parts = {"train_flops": 0.75 * spent, "growth_flops": 0.25 * spent, "step": place}
        record = replace(
            first, validation_accuracy=accuracy / 100, final=place == len(curve), **parts
        )
        ledger.write(config, synthetic.as_dict(record))
    ledger.finish(config)


def compared(ledger: Ledger) -> Comparison:
    (comparison,) = comparisons(ledger.runs())
    return comparison


def found(comparison: Comparison, target: float) -> dict[str, Reached]:
    return {row.name: reached(comparison, row, target) for row in comparison.rows}


def test_a_score_is_reached_between_two_evaluations(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed, first in enumerate((80.0, 89.0, 91.0)):
        write(ledger, "tiny", seed, (0, 10), (100, first), (200, 92), (300, 95.5))
        write(ledger, "fixed", seed, (248, 92.8), (496, 95))
    comparison = compared(ledger)
    assert targets(comparison) == (80.0, 90.0, 95.0)
    assert found(comparison, 90.0) == {
        "tiny": Reached(3, 3, 100, 200),  # two seeds between 100 and 200, one before
        "fixed": Reached(3, 3, None, 248),  # at the first evaluation already
    }
    (row,) = (row for row in comparison.rows if row.name == "tiny")
    assert reached(comparison, row, 90.0, lambda record: record.step) == Reached(3, 3, 2, 3)


def test_seeds_that_never_get_there_are_last(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(3):
        write(ledger, "tiny", seed, (0, 10), (100, 96 if seed else 70))
        write(ledger, "fixed", seed, (0, 10), (100, 70 if seed else 96))
    comparison = compared(ledger)
    assert found(comparison, 80.0) == {
        "tiny": Reached(2, 3, 0, 100),
        "fixed": Reached(1, 3, None, None),
    }


def test_losses_are_reached_from_above(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(), regression=True)
    comparison = compared(ledger)
    curve = comparison.rows[0].runs[0].curve
    assert targets(comparison) == tuple(sorted(targets(comparison), reverse=True))
    last = targets(comparison)[-1]
    assert comparison.score(curve[-1], "validation") <= last
    assert comparison.score(curve[0], "validation") > last
    assert found(comparison, last)["tiny"].by is not None


def test_nothing_is_reached_without_a_result(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.fail(ledger, trial())
    assert targets(compared(ledger)) == ()


def test_targets_are_those_that_the_protocol_declares_for_the_task(tmp_path: Path) -> None:
    protocol = load_protocol("standard")
    declared = protocol.on("digits").targets
    assert declared
    for version in (protocol.version, 1):
        ledger = Ledger(tmp_path / str(version))
        config = trial().model_copy(
            update={"protocol": "standard", "version": version, "task": "digits"}
        )
        synthetic.run(ledger, config)
        (comparison,) = comparisons(ledger.runs())
        assert (targets(comparison) == declared) == (version == protocol.version)
