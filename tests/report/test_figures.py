import math
from pathlib import Path

import numpy as np
import pytest
import synthetic
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from synthetic import trial

from nas_bench.report.comparison import Estimate, Row, comparisons, training_flops
from nas_bench.report.curves import curves_figure, mean_curve
from nas_bench.report.look import caption, legend_name, looks, neighbours, spread, style
from nas_bench.report.pareto import Point, front, pareto_figure
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Twin


def points(*values: tuple[float, float]) -> list[Point]:
    return [Point(Row(str(value), ()), *(Estimate(v, 0.0) for v in value)) for value in values]


def lines(axes: Axes) -> dict[str, list[Line2D]]:
    """The lines of some axes by colour."""
    found: dict[str, list[Line2D]] = {}
    for line in axes.get_lines():
        found.setdefault(str(line.get_color()), []).append(line)
    return found


def test_the_front_holds_what_nothing_cheaper_or_equal_beats() -> None:
    found = front(points((1, 50), (2, 40), (3, 90), (3, 95), (4, 95), (5, 96)), "accuracy")
    assert [(point.cost.mean, point.score.mean) for point in found] == [(1, 50), (3, 95), (5, 96)]


def test_for_losses_lower_is_better() -> None:
    found = front(points((1, 5), (2, 6), (3, 1)), "loss")
    assert [point.cost.mean for point in found] == [1, 3]


def test_a_method_looks_the_same_and_its_variants_keep_its_colour() -> None:
    alone = looks(["tiny", "tiny[k=3]"])
    together = looks([*synthetic.SETTINGS, "tiny[k=3]", "tiny {recipe.learning_rate=0.1}"])
    assert together["tiny"] == alone["tiny"]
    colours = {look.colour for name, look in together.items() if name.startswith("tiny")}
    assert colours == {alone["tiny[k=3]"].colour}


def test_no_marker_serves_two_methods_while_there_are_others() -> None:
    names = [*synthetic.SETTINGS, "net2net", "mine", "yours", "tiny twin (flops)"]
    found = looks(names).values()
    assert len({look.marker for look in found}) == len(names)


def test_variants_and_twins_are_neighbours_in_the_legend() -> None:
    names = ["fixed", "tiny[k=3]", "gradmax", "tiny twin (flops)", "tiny", "fixed[size=seed]"]
    assert [row.name for row in neighbours(Row(name, ()) for name in names)] == [
        "fixed",
        "fixed[size=seed]",
        "tiny",
        "tiny twin (flops)",
        "tiny[k=3]",
        "gradmax",
    ]


def test_long_names_take_several_lines_of_the_legend() -> None:
    name = "random_growth[zero_fan_out=true,update=true] twin (flops)"
    shown = legend_name(Row(name, ()))
    assert shown.split("\n") == [
        "random_growth[zero_fan_out=true,",
        "   update=true] twin (flops)",
    ]


def test_no_two_methods_of_a_figure_look_the_same() -> None:
    labels = [*synthetic.SETTINGS, *(f"tiny[k={k}]" for k in range(6)), "tiny twin (steps)"]
    found = [(look.colour, look.marker) for look in looks(labels).values()]
    assert len(set(found)) == len(labels)


def test_mean_curves_end_at_the_mean_of_the_ends() -> None:
    first = np.array([0.0, 0.5, 1.0]), np.array([0.0, 10.0, 20.0]), np.array([0.0, 1.0, 2.0])
    second = np.array([0.0, 1.0]), np.array([0.0, 40.0]), np.array([2.0, 4.0])
    positions, mean, sd = mean_curve([first, second])
    assert positions.tolist() == [0.0, 15.0, 30.0]
    assert mean.tolist() == [1.0, 2.0, 3.0]
    assert sd == pytest.approx([2**0.5] * 3)


def test_every_curve_ends_where_the_table_says(tmp_path: Path) -> None:
    (comparison,) = comparisons(synthetic.sweep(tmp_path, kind="free").runs())
    with style():
        figure = curves_figure(comparison)
    assert figure
    ends = [np.asarray(line.get_xydata())[-1] for line in figure.axes[0].get_lines()]
    for row in comparison.rows:
        cost, score = row.estimate(training_flops).mean, row.estimate(comparison.score).mean
        assert any(end == pytest.approx([cost, score]) for end in ends)


def test_flop_twins_are_left_out_of_the_steps(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    twin = trial(twin=Twin(of=trial().id, match="flops"))
    synthetic.run(ledger, twin, points=90)
    (comparison,) = comparisons(ledger.runs())
    with style():
        figure = curves_figure(comparison)
    assert figure
    _, against_steps = figure.axes
    assert against_steps.get_xlabel() == "training steps (FLOP twins left out)"
    assert max(np.max(line.get_xdata()) for line in against_steps.get_lines()) == 15 * 12


def test_a_spread_ends_where_scores_end() -> None:
    assert spread(67.0, 49.0, "accuracy") == (18.0, 100.0)
    assert spread(20.0, 49.0, "accuracy") == (0.0, 69.0)
    assert spread(2.0, 3.0, "loss") == (0.0, 5.0)
    assert spread(97.0, math.nan, "accuracy") == (97.0, 97.0)


def test_the_detail_shows_whole_bars_and_no_method_from_outside(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path)
    for seed in range(3):
        synthetic.run(ledger, trial("net2net", seed), spread=45)
    (comparison,) = comparisons(ledger.runs())
    with style():
        figure = pareto_figure(comparison, lambda record: record.parameters, "parameters")
    assert figure
    overview, detail = figure.axes
    outlier = looks(row.name for row in comparison.rows)["net2net"].colour
    assert outlier in lines(overview)
    assert outlier not in lines(detail)
    bottom, top = detail.get_ylim()
    bars = [path for found in detail.collections for path in found.get_paths()]
    assert all(bottom <= y <= top for path in bars for y in np.asarray(path.vertices)[:, 1])
    assert len(bars) >= len(synthetic.SETTINGS) - 1


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
