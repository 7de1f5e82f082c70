import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import synthetic
from drawn import assert_tidy, ends, entries, lines
from matplotlib.figure import Figure
from synthetic import trial

from nas_bench import report
from nas_bench.report.comparison import Comparison, Row, comparisons, seconds, training_flops
from nas_bench.report.paper_figure import FIGURES, paper_figure
from nas_bench.report.theme import looks, pale, style
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import TrialConfig, Twin
from nas_bench.trials.messages import Record
from nas_bench.trials.protocol import load_protocol, protocol_names

AXES = {
    "tiny-fig5": [("", "test")],
    "tiny-fig5-resnet": [("", "test")],
    "tiny-fig11": [
        ("seconds of training and growth", "validation"), ("training FLOPs, growth included", ""),
    ],
    "tiny-fig12": [
        ("seconds of training and growth", "validation"), ("epochs", ""),
        ("training FLOPs, growth included", ""),
    ],
    "tiny-fig13": [
        ("seconds of training and growth", "validation"), ("epochs", ""),
        ("training FLOPs, growth included", ""),
    ],
    "tiny-fig14": [("training steps", "training"), ("training steps", "validation")],
    "tiny-fig15": [("training steps", "validation"), ("training steps", "FLOPs per sample")],
    "tiny-fig16": [("training steps", "validation"), ("training steps", "FLOPs per sample")],
    "gradmax-student-teacher": [("training steps", "training")],
}  # fmt: skip
AXES |= {f"{name}-summed": AXES[name] for name in ("tiny-fig11", "tiny-fig12", "tiny-fig13")}
"""Of each panel, what its x axis says and its y axis begins with."""


def compared(ledger: Ledger) -> Comparison:
    (comparison,) = comparisons(ledger.runs())
    return comparison


def drawn(comparison: Comparison) -> Figure:
    with style():
        figure = paper_figure(comparison)
    assert figure
    return figure


def two_methods(folder: Path, protocol: str, **fields: Any) -> Ledger:
    ledger = Ledger(folder)
    for method in ("tiny", "fixed"):
        for seed in (0, 1):
            synthetic.run(ledger, trial(method, seed, protocol=protocol, **fields))
    return ledger


def with_twins(folder: Path, protocol: str) -> Ledger:
    """A method with twins of both kinds, which have fewer points."""
    ledger = Ledger(folder)
    config = trial(protocol=protocol, kind="free")
    synthetic.run(ledger, config)
    for twin, points in (
        (Twin(of=config.id, match="steps"), 6),
        (Twin(of=config.id, match="flops"), 4),
    ):
        synthetic.run(ledger, config.model_copy(update={"twin": twin}), points=points)
    return ledger


def record(step: int, accuracy: float, final: bool = False) -> Record:
    some = synthetic.records(trial())[0]
    return replace(some, step=step, test_accuracy=accuracy, final=final)


def write(ledger: Ledger, config: TrialConfig, *messages: Any) -> None:
    synthetic.begin(ledger, config)
    for message in messages:
        ledger.write(config, synthetic.as_dict(message))
    ledger.finish(config)


def mean_end(row: Row, *measures: Any) -> tuple[float, ...]:
    return tuple(fmean(measure(record) for record in row.results) for measure in measures)


def test_every_protocol_named_after_a_figure_has_that_figure() -> None:
    named = {name for name in protocol_names() if "figure" in load_protocol(name).summary}
    assert set(FIGURES) == set(AXES) == named


def test_the_figure_has_the_number_that_the_protocol_says() -> None:
    for name, figure in FIGURES.items():
        number = re.search(r"figure \w+", load_protocol(name).summary)
        assert number is not None
        assert number.group() in figure.source


def test_other_protocols_have_none(tmp_path: Path) -> None:
    assert paper_figure(compared(synthetic.sweep(tmp_path, seeds=1))) is None


def test_without_a_curve_there_is_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    config = trial(protocol="tiny-fig11")
    ledger.begin(config)
    ledger.finish(config)
    assert paper_figure(compared(ledger)) is None


@pytest.mark.parametrize("protocol", AXES)
def test_its_axes_are_those_of_the_paper(protocol: str, tmp_path: Path) -> None:
    figure = drawn(compared(two_methods(tmp_path, protocol)))
    found = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    for (x, y), (expected_x, begins) in zip(found, AXES[protocol], strict=True):
        assert x == expected_x
        assert y.startswith(begins) if begins else y == ""


@pytest.mark.parametrize("protocol", AXES)
def test_its_title_has_the_source_and_the_task_and_nothing_overlaps(
    protocol: str, tmp_path: Path
) -> None:
    task = "image_arrays[path=pictures.npz]"
    figure = drawn(compared(two_methods(tmp_path, protocol, task=task)))
    heading, title = figure.texts[0].get_text().split("\n")
    assert heading.startswith(f"As {FIGURES[protocol].source}: ")
    assert title == f"{task} · {protocol} v1 · same target · 12 epochs"
    assert_tidy(figure)


def test_curves_end_at_the_mean_results_against_each_clock(tmp_path: Path) -> None:
    comparison = compared(two_methods(tmp_path, "tiny-fig12"))
    clocks = (seconds, lambda record: record.epoch, training_flops)
    for axes, clock in zip(drawn(comparison).axes, clocks, strict=True):
        for row in comparison.rows:
            expected = mean_end(row, clock, partial(comparison.score, split="validation"))
            assert any(end == pytest.approx(expected) for end in ends(axes))


def test_seconds_beside_other_trials_say_so(tmp_path: Path, monkeypatch: Any) -> None:
    shared = {**synthetic.ENVIRONMENT, "shared_device": True}
    monkeypatch.setattr(synthetic, "ENVIRONMENT", shared)
    figure = drawn(compared(two_methods(tmp_path, "tiny-fig11")))
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels[0] == "seconds of training and growth (shared device)"
    assert "shared" not in labels[1]


def test_accuracy_on_both_splits_is_drawn_for_the_one_figure_that_shows_overfitting(
    tmp_path: Path,
) -> None:
    comparison = compared(two_methods(tmp_path, "tiny-fig14"))
    training, validation = drawn(comparison).axes
    assert training.get_ylim() == validation.get_ylim()
    assert training.get_yscale() == validation.get_yscale() == "linear"
    for axes, split in ((training, "train_accuracy"), (validation, "validation_accuracy")):
        for row in comparison.rows:
            expected = 180, 100 * fmean(getattr(record, split) for record in row.results)
            assert any(end == pytest.approx(expected) for end in ends(axes))


@pytest.mark.parametrize("protocol", ["tiny-fig13", "tiny-fig14"])
def test_twins_of_equal_steps_are_drawn_in_the_pale_colour_of_their_method(
    protocol: str, tmp_path: Path
) -> None:
    figure = drawn(compared(with_twins(tmp_path, protocol)))
    colour = looks(["tiny"])["tiny"].colour
    for axes in figure.axes:
        assert set(lines(axes)) == {colour, pale(colour)}
        twin, *_ = lines(axes)[pale(colour)]
        assert len(np.asarray(twin.get_xdata())) == 7
    assert entries(figure) == ["tiny", "the same from scratch, equal steps"]


@pytest.mark.parametrize("protocol", ["tiny-fig15", "gradmax-student-teacher"])
def test_elsewhere_twins_are_left_out(protocol: str, tmp_path: Path) -> None:
    assert entries(drawn(compared(with_twins(tmp_path, protocol)))) == ["tiny"]


def test_complexity_stays_what_it_is_until_the_next_record(tmp_path: Path) -> None:
    comparison = compared(two_methods(tmp_path, "tiny-fig15"))
    _, complexity = drawn(comparison).axes
    row = next(row for row in comparison.rows if row.name == "tiny")
    curve, end = lines(complexity)[looks(["tiny"])["tiny"].colour]
    assert curve.get_drawstyle() == "steps-post"
    assert complexity.get_yscale() == "log"
    assert np.asarray(curve.get_ydata())[0] == fmean(run.curve[0].flops for run in row.runs)
    assert ends(complexity)[-1] == pytest.approx((180, mean_end(row, lambda r: r.flops)[0]))
    assert np.asarray(end.get_ydata())[0] == np.asarray(curve.get_ydata())[-1]


def test_passes_of_growth_give_the_accuracy_before_the_first_step(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first, last = record(0, 0.1), record(900, 0.6, final=True)
    passes = (synthetic.growth(0), record(0, 0.2), synthetic.growth(0), record(0, 0.3))
    between = record(450, 0.5)
    write(ledger, trial(protocol="tiny-fig5"), first, *passes, between, last)
    (axes,) = drawn(compared(ledger)).axes
    curve, _ = axes.get_lines()
    assert np.asarray(curve.get_xydata()).tolist() == [[0, pytest.approx(30)], [1, 60]]


def test_growth_between_steps_gives_the_accuracy_after_the_last_growth(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    growths = (synthetic.growth(0), record(0, 0.2), synthetic.growth(50), record(50, 0.4))
    rest = record(300, 0.7), record(900, 0.8, final=True)
    config = trial(protocol="tiny-fig5-resnet")
    write(ledger, config, record(0, 0.1), *growths, *rest)
    (axes,) = drawn(compared(ledger)).axes
    curve, _ = axes.get_lines()
    assert np.asarray(curve.get_xydata()).tolist() == [[0, 40], [1, 80]]


def test_a_student_is_shown_by_its_training_loss(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(protocol="gradmax-student-teacher"), regression=True)
    comparison = compared(ledger)
    (axes,) = drawn(comparison).axes
    (row,) = comparison.rows
    assert axes.get_ylabel() == "training loss"
    assert axes.get_yscale() == "log"
    assert ends(axes)[-1] == pytest.approx((180, mean_end(row, lambda r: r.train_loss)[0]))


def test_a_seed_that_failed_is_drawn_to_its_end(tmp_path: Path) -> None:
    ledger = two_methods(tmp_path, "tiny-fig5")
    synthetic.fail(ledger, trial("tiny", 2, protocol="tiny-fig5"))
    figure = drawn(compared(ledger))
    assert entries(figure)[-1] == "seed without a result"
    assert 0.0 in [x for x, _ in ends(figure.axes[0])]


def test_a_report_has_the_figure_and_an_earlier_one_goes(tmp_path: Path) -> None:
    ledger = two_methods(tmp_path, "tiny-fig15")
    earlier = tmp_path / "report/figures/paper--tiny-fig14--free--cifar10.png"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    report.write(ledger.folder, ("png",))
    assert [path.name for path in earlier.parent.glob("paper*")] == ["paper.png"]
