from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
from drawn import assert_tidy, entries, lines
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch
from synthetic import trial

from nas_bench.report.comparison import Comparison, Row, comparisons, training_flops
from nas_bench.report.content import content
from nas_bench.report.curves import anytime_figure, mean_curve, quartile_curve
from nas_bench.report.growth_figure import growth_figure, mean_widths
from nas_bench.report.pareto import front, mixed_places, pareto_figure
from nas_bench.report.pareto_points import Point
from nas_bench.report.ranks_figure import Scale, ranks_figure
from nas_bench.report.standing import Standing, standing
from nas_bench.report.theme import DOTTED, caption, legend_name, looks, neighbours, spread, style
from nas_bench.results.ledger import Ledger
from nas_bench.results.reading import Run
from nas_bench.results.sources import Folder
from nas_bench.trials.config import Budget, Twin


def points(*values: tuple[float, float]) -> list[Point]:
    return [Point(Row(str(value), ()), *value, value[1], value[1]) for value in values]


def found(ledger: Ledger) -> Standing:
    (comparison,) = comparisons(ledger.runs())
    return standing(comparison)


def marked(axes: Axes) -> dict[tuple[float, float], Line2D]:
    """The lines of some axes that are a single point."""
    single = [line for line in axes.get_lines() if len(np.atleast_1d(line.get_xdata())) == 1]
    return {tuple(np.asarray(line.get_xydata())[0]): line for line in single}


def test_the_front_holds_what_nothing_cheaper_or_equal_beats() -> None:
    kept = front(points((1, 50), (2, 40), (3, 90), (3, 95), (4, 95), (5, 96)), "accuracy")
    assert [(point.cost, point.score) for point in kept] == [(1, 50), (3, 95), (5, 96)]


def test_for_losses_lower_is_better() -> None:
    kept = front(points((1, 5), (2, 6), (3, 1)), "loss")
    assert [point.cost for point in kept] == [1, 3]


def test_a_method_looks_the_same_and_its_variants_keep_its_colour() -> None:
    alone = looks(["tiny", "tiny[k=3]"])
    together = looks([*synthetic.SETTINGS, "tiny[k=3]", "tiny {recipe.learning_rate=0.1}"])
    assert together["tiny"] == alone["tiny"]
    colours = {look.colour for name, look in together.items() if name.startswith("tiny")}
    assert colours == {alone["tiny[k=3]"].colour}


def test_documented_variants_look_the_same_whatever_else_is_there() -> None:
    variants = ["tiny[update=false]", "tiny[significance=false]", "fixed[size=seed]"]
    alone = {name: looks([name])[name].marker for name in variants}
    together = looks([*variants, *synthetic.SETTINGS, *(f"other_{i}" for i in range(9))])
    assert {name: together[name].marker for name in variants} == alone


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


def test_long_names_lose_their_middle_in_the_legend_and_keep_their_seeds() -> None:
    shown = legend_name(Row("a" * 60, (), frozenset({0, 1})))
    assert shown == f"{'a' * 29}…{'a' * 14} (0/2 seeds)"


def test_twins_do_not_change_how_others_look() -> None:
    names = [*synthetic.SETTINGS, "tiny[k=3]"]
    with_twins = looks([*names, *(f"{name} twin (steps)" for name in names)])
    assert {name: with_twins[name] for name in names} == looks(names)


def test_no_two_methods_of_a_figure_look_the_same() -> None:
    labels = [*synthetic.SETTINGS, *(f"tiny[k={k}]" for k in range(6)), "tiny twin (steps)"]
    found = [(look.colour, look.marker) for look in looks(labels).values()]
    assert len(set(found)) == len(labels)


def test_mean_curves_end_at_the_mean_of_the_ends() -> None:
    first = np.array([0.0, 0.5, 1.0]), np.array([0.0, 10.0, 20.0]), np.array([0.0, 1.0, 2.0])
    second = np.array([0.0, 1.0]), np.array([0.0, 40.0]), np.array([2.0, 4.0])
    positions, mean, sd, gaps = mean_curve([first, second])
    assert positions.tolist() == [0.0, 15.0, 30.0]
    assert mean.tolist() == [1.0, 2.0, 3.0]
    assert sd == pytest.approx([2**0.5] * 3)
    assert gaps.tolist() == [False, True, True]


def test_a_line_is_dotted_where_nothing_was_measured(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial("fixed"), points=4)
    synthetic.run(ledger, trial("tiny"), points=12)
    (comparison,) = comparisons(ledger.runs())
    with style():
        figure = anytime_figure(comparison)
    assert figure
    colours = {name: look.colour for name, look in looks(["fixed", "tiny"]).items()}
    dotted = {
        name: [line for line in lines(figure.axes[1])[colour] if line.get_linewidth() == 0.7]
        for name, colour in colours.items()
    }
    assert {name: len(found) for name, found in dotted.items()} == {"fixed": 4, "tiny": 0}
    dots = [line for line in figure.axes[1].get_lines() if line.get_marker() == "."]
    assert sorted(len(np.atleast_1d(line.get_xdata())) for line in dots) == [5, 13]


def test_every_curve_ends_at_the_mean_of_its_results(tmp_path: Path) -> None:
    (comparison,) = comparisons(synthetic.sweep(tmp_path, kind="free").runs())
    with style():
        figure = anytime_figure(comparison)
    assert figure
    ends = [np.asarray(line.get_xydata())[-1] for line in figure.axes[0].get_lines()]
    for row in comparison.rows:
        cost = row.estimate(training_flops).mean
        score = row.estimate(lambda record: comparison.score(record, "validation")).mean
        assert any(end == pytest.approx([cost, score]) for end in ends)


@pytest.mark.parametrize("earlier", [True, False])
def test_curves_are_of_validation_in_every_record(tmp_path: Path, earlier: bool) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(), earlier=earlier)
    (comparison,) = comparisons(ledger.runs())
    with style():
        figure = anytime_figure(comparison)
    assert figure
    curve = max(figure.axes[1].get_lines(), key=lambda line: len(np.asarray(line.get_xdata())))
    shown = [(r.step, 100 * (r.validation_accuracy or 0)) for r in ledger.runs()[0].curve]
    assert np.asarray(curve.get_xydata()) == pytest.approx(np.array(shown))
    assert figure.axes[0].get_ylabel().startswith("validation accuracy (%)")


def test_twins_have_no_curves(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    synthetic.run(ledger, trial(twin=Twin(of=trial().id, match="flops")), points=90)
    (comparison,) = comparisons(ledger.runs())
    with style():
        figure = anytime_figure(comparison)
    assert figure
    assert max(np.max(line.get_xdata()) for line in figure.axes[1].get_lines()) == 15 * 12
    assert entries(figure) == ["tiny"]


def test_a_spread_ends_where_scores_end() -> None:
    assert spread(67.0, 49.0, "accuracy") == (18.0, 100.0)
    assert spread(20.0, 49.0, "accuracy") == (0.0, 69.0)
    assert spread(2.0, 3.0, "loss") == (0.0, 5.0)


def test_the_detail_shows_whole_bars_and_no_method_from_outside(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path)
    for seed in range(3):
        synthetic.run(ledger, trial("net2net", seed), spread=45)
    standings = found(ledger)
    with style():
        figure = pareto_figure(standings, "parameters", "parameters")
    assert figure
    overview, detail = figure.axes
    outlier = looks(row.name for row in standings.comparison.rows)["net2net"].colour
    assert outlier in lines(overview)
    assert outlier not in lines(detail)
    bottom, top = detail.get_ylim()
    ends = {len(np.atleast_1d(line.get_xdata())): line for line in detail.get_lines()}
    assert {1, 2, 3} <= ends.keys()
    bars = [line for line in detail.get_lines() if len(set(np.atleast_1d(line.get_xdata()))) == 1]
    assert all(bottom <= y <= top for line in bars for y in np.atleast_1d(line.get_ydata()))


def test_equal_costs_have_no_cost_axis_but_a_line_for_each_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    methods = ("tiny", "random_growth", "gradmax")
    for method in methods:
        for seed in range(3):
            synthetic.run(ledger, trial(method, seed))
    standings = found(ledger)
    with style():
        figure = pareto_figure(standings, "parameters", "parameters")
        other = pareto_figure(standings, "training_flops", "training FLOPs")
    assert figure
    assert other
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        row.name for row in standings.comparison.rows
    ]
    assert axes.get_xlabel() == "test accuracy (%)"
    means = [standings.scores[row.name].estimate.mean for row in standings.comparison.rows]
    assert {(mean, place) for place, mean in enumerate(means)} <= marked(axes).keys()
    assert other.axes[0].get_xlabel() == "training FLOPs"


def test_some_equal_costs_lie_within_a_marker(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for method in ("tiny", "random_growth", "fixed[size=seed]"):
        synthetic.run(ledger, trial(method), spread=0.0)
    with style():
        figure = pareto_figure(found(ledger), "parameters", "parameters")
        assert figure
        figure.canvas.draw()
        axes = figure.axes[0]
        own = [line for line in axes.get_lines() if line.get_markersize() > 5]
        shown = [line.get_transform().transform(line.get_xydata())[0, 0] for line in own]
    apart = {line.get_xdata()[0]: place for line, place in zip(own, shown, strict=True)}
    assert len(apart) == 2  # where they are is their cost
    first, second, *_ = sorted(shown, reverse=True)
    assert 0 < (first - second) * 72 / figure.dpi <= 5.5


def test_rows_of_equal_cost_in_the_order_of_their_scores_make_no_slope() -> None:
    places = mixed_places(40)
    assert sorted(places) == pytest.approx([(i + 0.5) / 40 for i in range(40)])
    assert abs(np.corrcoef(range(40), places)[0, 1]) < 0.1


def test_points_are_where_the_table_says(tmp_path: Path) -> None:
    standings = found(synthetic.sweep(tmp_path))
    with style():
        figure = pareto_figure(standings, "training_flops", "training FLOPs")
    assert figure
    drawn = marked(figure.axes[0])
    for row in standings.comparison.rows:
        cost, score = row.estimate(training_flops).mean, standings.scores[row.name].estimate.mean
        assert any(place == pytest.approx((cost, score)) for place in drawn), row.name


def test_twins_are_joined_to_what_they_are_twins_of_and_not_on_the_front(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for method in ("tiny", "fixed[size=seed]"):
        synthetic.run(ledger, trial(method, kind="free"))
    twin = trial(kind="free", twin=Twin(of=trial(kind="free").id, match="steps"))
    synthetic.begin(ledger, twin)
    for record in synthetic.records(trial("fixed", kind="free")):
        ledger.write(twin, synthetic.as_dict(record))
    ledger.finish(twin)
    with style():
        figure = pareto_figure(found(ledger), "parameters", "parameters")
    assert figure
    labels = entries(figure)
    assert labels == [
        "tiny", "fixed[size=seed]", "front, twins left out", "the same from scratch, equal steps",
    ]  # fmt: skip
    (record,) = [r for r in synthetic.records(trial("tiny", kind="free")) if r.final]
    (scratch,) = [r for r in synthetic.records(trial("fixed", kind="free")) if r.final]
    places = [(r.parameters, 100 * (r.test_accuracy or 0)) for r in (record, scratch)]
    (joined,) = [p for p in figure.axes[0].patches if isinstance(p, ConnectionPatch)]
    assert np.array([joined.xy1, joined.xy2]) == pytest.approx(np.array(places))
    assert joined.get_linestyle() == DOTTED
    assert "#999999" in lines(figure.axes[0])
    (front_line,) = lines(figure.axes[0])["#999999"]
    assert 100 * (scratch.test_accuracy or 0) not in np.asarray(front_line.get_ydata())


def test_published_numbers_are_hollow(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    published = [{"parameters": 5000.0, "score": 99.0}, {"parameters": None, "score": 98.0}]
    with style():
        figure = pareto_figure(found(ledger), "parameters", "parameters", published)
    assert figure
    drawn = marked(figure.axes[0])
    assert drawn[5000.0, 99.0].get_markerfacecolor() == "none"
    assert not any(score == 98.0 for _, score in drawn)
    (left, right), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert left < 5000 < right
    assert bottom < 99 < top


@pytest.mark.slow
@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("methods", [["tiny"], ["tiny", "a" * 200], list(synthetic.SETTINGS)])
def test_nothing_of_a_figure_leaves_its_page_or_lies_on_another(
    methods: list[str], regression: bool, tmp_path: Path
) -> None:
    for method in methods:
        synthetic.run(Ledger(tmp_path), trial(method), regression=regression)
    standings = found(Ledger(tmp_path))
    with style():
        for figure in (
            pareto_figure(standings, "training_flops", "training FLOPs, growth included"),
            anytime_figure(standings.comparison),
            growth_figure(standings.comparison),
        ):
            assert figure
            assert_tidy(figure)


def test_a_failed_seed_is_drawn_apart_and_counted_in_the_legend(tmp_path: Path) -> None:
    (comparison,) = comparisons(synthetic.sweep(tmp_path).runs())
    with style():
        figure = anytime_figure(comparison)
    assert figure
    labels = entries(figure)
    assert "gradmax (2/3 seeds)" in labels
    assert labels[-1] == "seed without a result"


def test_a_figure_without_results_is_not_drawn(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(trial())
    ledger.finish(trial())
    standings = found(ledger)
    assert pareto_figure(standings, "flops", "FLOPs") is None
    assert anytime_figure(standings.comparison) is None
    assert growth_figure(standings.comparison) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["$x^{", "_hidden", "文字", "a" * 200, "<b>&\n"])
def test_any_name_can_be_drawn(name: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(name, task=name))
    standings = found(ledger)
    with style():
        drawn = pareto_figure(standings, "flops", "F"), growth_figure(standings.comparison)
        for figure in drawn:
            assert figure
            for kind in ("png", "svg", "pdf"):
                figure.savefig(tmp_path / f"figure.{kind}")
    assert len(caption(name)) <= 41


def grown(seed: int, changes: dict[int, tuple[int, int]]) -> Run:
    """A trial that grows at these steps to these widths."""
    records = [replace(record, widths=(1, 1)) for record in synthetic.records(trial(seed=seed))]
    events = [replace(synthetic.growth(step), widths=w) for step, w in changes.items()]
    last = replace(records[-1], widths=list(changes.values())[-1])
    return replace(
        run_of(seed), curve=(*records[:-1], last), growth=tuple(events), result=last, status="ok"
    )


def run_of(seed: int) -> Run:
    config = trial(seed=seed)
    return Run(
        method="tiny", task="digits", protocol="smoke", seed=seed, status="ok", id=config.id,
        settings_id="", label="tiny", kind=config.kind, config=config, source=Folder(Path()),
    )  # fmt: skip


def test_mean_widths_change_where_any_seed_grows() -> None:
    runs = [grown(0, {30: (3, 1), 60: (3, 5)}), grown(1, {45: (5, 1), 60: (5, 5)})]
    steps, widths = mean_widths(runs, 0)
    assert dict(zip(steps.tolist(), widths.tolist(), strict=True)) == {
        0: 1.0, 30: 2.0, 45: 4.0, 60: 4.0, 180: 4.0,
    }  # fmt: skip


def test_growths_and_refusals_are_marked_on_their_site(tmp_path: Path) -> None:
    run = grown(0, {30: (3, 1), 60: (3, 5)})
    refused = replace(synthetic.growth(90, 0), status="rejected", site="layers.1", widths=(3, 5))
    other = replace(synthetic.growth(60), site="layers.3", widths=(3, 5))
    run = replace(run, growth=(run.growth[0], other, refused))
    row = Row("tiny", (run,), frozenset({0}))
    comparison = Comparison(
        "smoke", 1, "same_target", "digits", Budget(epochs=12), "accuracy", (row,)
    )
    with style():
        figure = growth_figure(comparison)
    assert figure
    found = {place: line.get_marker() for place, line in marked(figure.axes[0]).items()}
    assert found == {(30.0, 3.0): "o", (60.0, 5.0): "o", (90.0, 3.0): "x"}
    labels = entries(figure)
    assert labels == ["site layers.1", "site layers.3", "grown", "refused"]


def test_critical_differences_join_what_is_not_told_apart() -> None:
    names = ["a", "b", "c", "d"]
    group = {
        "protocol": "lite", "version": 1, "kind": "free", "budget_name": "9 steps",
        "tasks": ["1", "2", "3", "4", "5"],
        "ranks": [{"name": n, "mean": 1.0 + i, "interval": [1, 4]} for i, n in enumerate(names)],
        "critical_difference": {
            "friedman_p": 0.01, "distance": 1.5, "groups": [["a", "b"], ["b", "c", "d"]],
        },
    }  # fmt: skip
    with style():
        figure = ranks_figure(group)
    scale = Scale(4)
    (axes,) = figure.axes
    bars = [line for line in axes.get_lines() if line.get_linewidth() == 2.6]
    ends = [np.asarray(line.get_xdata()).tolist() for line in bars]
    assert ends == [
        pytest.approx([scale(1) - 0.04, scale(2) + 0.04]),
        pytest.approx([scale(2) - 0.04, scale(4) + 0.04]),
    ]
    shown = [text.get_text() for text in axes.texts]
    assert {"a  1.00", "b  2.00", "3.00  c", "4.00  d", "critical difference 1.50"} <= set(shown)
    assert "lite v1 · free growth · 9 steps · 5 tasks · Friedman p = 0.010" in shown


def test_a_long_curve_is_drawn_with_as_many_points_as_can_be_seen(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(), points=5_000)
    with style():
        figure = anytime_figure(found(ledger).comparison)
        assert figure
        drawn = [
            len(np.atleast_1d(line.get_xdata())) for axes in figure.axes for line in axes.lines
        ]
    assert max(drawn) == 4000
    (comparison,) = content(ledger.runs(), "")["comparisons"]
    (row,) = comparison["rows"]
    steps = row["trials"][0]["curve"]["step"]
    assert (len(steps) <= 4002, steps[0], steps[-1]) == (True, 0, 75_000)
    assert len(row["curve"]["mean"]) == 4000


def test_seeds_without_a_result_count_as_the_worst_in_quartiles() -> None:
    progress = np.array([0.0, 0.5, 1.0])
    lines = [(progress, 10 * progress, progress * n) for n in (80.0, 90.0, 100.0)]
    cut = [(np.array([0.0, 0.5]), np.array([0.0, 5.0]), np.array([0.0, 60.0]))]
    positions, middle, low, high, gaps = quartile_curve(lines, cut, absent=1, worst=5.0)
    assert positions.tolist() == [0, 5, 10]
    assert middle.tolist() == [0, np.median([40, 45, 50, 60, 5]), np.median([80, 90, 100, 5, 5])]
    assert low.tolist()[1:] == [40, 5]
    assert high.tolist()[1:] == [50, 90]
    assert gaps.tolist() == [False, True, True]
