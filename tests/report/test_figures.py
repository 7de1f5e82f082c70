from pathlib import Path

import numpy as np
import pytest
import synthetic
from synthetic import trial

from nas_bench.report.comparison import Row, comparisons, training_flops
from nas_bench.report.curves import curves_figure, mean_curve
from nas_bench.report.look import caption, looks, style
from nas_bench.report.pareto import Point, front, pareto_figure
from nas_bench.results.ledger import Ledger


def points(*values: tuple[float, float]) -> list[Point]:
    return [Point(Row(str(value), "", ()), *value) for value in values]


def test_the_front_holds_what_nothing_cheaper_or_equal_beats() -> None:
    found = front(points((1, 50), (2, 40), (3, 90), (3, 95), (4, 95), (5, 96)), "accuracy")
    assert [(point.cost, point.score) for point in found] == [(1, 50), (3, 95), (5, 96)]


def test_for_losses_lower_is_better() -> None:
    found = front(points((1, 5), (2, 6), (3, 1)), "loss")
    assert [point.cost for point in found] == [1, 3]


def test_a_method_looks_the_same_whatever_it_is_compared_with() -> None:
    alone = looks(["tiny", "mine[k=3]"])
    together = looks([*synthetic.SETTINGS, "mine[k=3]"])
    assert all(together[label] == alone[label] for label in alone)


def test_no_two_methods_of_a_figure_look_the_same() -> None:
    labels = [*synthetic.SETTINGS, *(f"tiny[k={k}]" for k in range(6)), "tiny twin (steps)"]
    found = [(look.colour, look.marker) for look in looks(labels).values()]
    assert len(set(found)) == len(labels)


def test_mean_curves_cover_only_what_every_seed_measured() -> None:
    first = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0])
    second = np.array([0.5, 2.5]), np.array([2.5, 4.5])
    positions, mean, sd = mean_curve([first, second])
    assert positions.tolist() == [0.5, 1.0, 2.0]
    assert mean.tolist() == [1.5, 2.0, 3.0]
    assert sd == pytest.approx([2**0.5] * 3)


def test_a_failed_seed_is_drawn_apart_and_counted_in_the_legend(tmp_path: Path) -> None:
    (comparison,) = comparisons(synthetic.sweep(tmp_path).runs())
    with style():
        figure = curves_figure(comparison)
    assert figure
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "gradmax (2/3 seeds)" in labels
    assert labels[-1] == "seed without a result"


def test_a_figure_without_results_is_not_drawn(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(trial())
    ledger.finish(trial())
    (comparison,) = comparisons(ledger.runs())
    assert pareto_figure(comparison, training_flops, "FLOPs") is None
    assert curves_figure(comparison) is None


@pytest.mark.parametrize("name", ["$x^{", "_hidden", "文字", "a" * 200, "<b>&\n"])
def test_any_name_can_be_drawn(name: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(name, task=name))
    (comparison,) = comparisons(ledger.runs())
    with style():
        figure = pareto_figure(comparison, training_flops, "training FLOPs")
        assert figure
        figure.savefig(tmp_path / "figure.png")
        figure.savefig(tmp_path / "figure.svg")
    assert len(caption(name)) <= 41
