from itertools import chain
from pathlib import Path

import pytest
import synthetic
from click.testing import CliRunner
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from synthetic import trial

from nas_bench.commands.report import report
from nas_bench.report.comparison import comparisons
from nas_bench.report.curves import anytime_figure
from nas_bench.report.figure_layout import Layout
from nas_bench.report.for_papers import Paper, caption
from nas_bench.report.pareto import pareto_figure
from nas_bench.report.standing import Standing, standing
from nas_bench.report.theme import style
from nas_bench.results.ledger import Ledger
from nas_bench.specs import InputError
from nas_bench.trials.config import Twin

LAYOUT = Layout(width=5.5, titled=False, direct=True)
LABELS = {"tiny": "TINY", "fixed": "from scratch"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Standing:
    ledger = synthetic.sweep(tmp_path_factory.mktemp("ledger"), seeds=6)
    for number in range(3):
        synthetic.run(ledger, trial(f"mine[k={number}]"))
    synthetic.run(ledger, trial(twin=Twin(of=trial().id, match="flops")))
    return standing(comparisons(Ledger(ledger.folder).runs())[0])


def names(part: Standing) -> list[str]:
    return [row.name for row in part.comparison.rows if row.role != "twin"]


def drawn(figure: Figure | None) -> dict[str, Annotation]:
    """The names that stand where rows are drawn."""
    assert figure
    figure.canvas.draw()
    texts = [text for axes in figure.axes for text in axes.texts]
    return {text.get_text(): text for text in texts if isinstance(text, Annotation)}


def test_at_most_six_rows_are_shown_at_once_and_controls_apart(found: Standing) -> None:
    parts = [names(part) for part in Paper().parts(found)]
    assert [len(part) for part in parts] == [6, 3, 2]
    assert {*parts[2]} == {"tiny[update=false]", "random_growth[update=true]"}
    assert sorted(chain.from_iterable(parts)) == sorted(names(found))


def test_rows_are_chosen_and_the_statistics_stay_those_of_all(found: Standing) -> None:
    (part,) = Paper(rows=("tiny", "fixed"), labels=LABELS).parts(found)
    assert {*names(part)} == {"tiny", "fixed"}
    assert {row.label for row in part.comparison.rows if row.name in LABELS} == {*LABELS.values()}
    assert part.against == found.against
    assert any(row.role == "twin" for row in part.comparison.rows)


def test_rows_that_are_nowhere_are_refused(found: Standing) -> None:
    with pytest.raises(InputError, match="unknown row 'tinny'"):
        Paper(rows=("tinny",)).require([found])
    with pytest.raises(InputError, match="unknown row 'gradmx'"):
        Paper(labels={"gradmx": "GradMax"}).require([found])


@pytest.mark.parametrize("kind", ["anytime", "pareto"])
def test_rows_are_named_where_they_are_drawn(found: Standing, kind: str) -> None:
    part = next(Paper(labels=LABELS).parts(found))
    with style():
        figure = (
            anytime_figure(part.comparison, LAYOUT)
            if kind == "anytime"
            else pareto_figure(part, "training_flops", "training FLOPs", layout=LAYOUT)
        )
        labels = drawn(figure)
    assert figure
    assert figure.get_figwidth() == 5.5
    assert figure.texts[0].get_text() == ""
    assert {"TINY", "from scratch"} < {*labels}
    assert len(labels) == 6
    boxes = [text.get_window_extent() for text in labels.values()]
    assert all(figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    entries = [entry.get_text() for legend in figure.legends for entry in legend.get_texts()]
    assert not {*labels} & {*entries}


def test_a_caption_says_n_the_interval_and_the_test(found: Standing) -> None:
    (part,) = Paper(rows=("tiny", "gradmax", "fixed"), labels=LABELS).parts(found)
    said = caption("pareto_flops", part)
    assert said.startswith("digits (smoke v1, same target, 12 epochs). Means over seeds with 95 %")
    assert "n = 6 seeds, of gradmax 5 with a result." in said
    assert "paired by seed (sign flips, max-T over all rows, simultaneous 95 % intervals)" in said
    tiny = next(c for c in found.growing if c.first == "tiny" and c.second == "fixed")
    assert f"TINY {tiny.difference.mean:+.2f}".replace("-", "−") in said
    assert "random_growth −" not in said
    assert caption("anytime", part).split(". ")[1].startswith("Mean ± one standard deviation")


@pytest.mark.slow
def test_the_command_writes_figures_with_captions(tmp_path: Path) -> None:
    for method in ("tiny", "fixed"):
        synthetic.run(Ledger(tmp_path), trial(method))
    (tmp_path / "labels.yaml").write_text("tiny: TINY\n")
    asked = ["--width", "5.5", "--rows", "tiny,fixed", "--no-title", "--figures", "svg"]
    asked += ["--labels", str(tmp_path / "labels.yaml")]
    made = CliRunner().invoke(report, [str(tmp_path), *asked])
    assert made.exit_code == 0, made.output
    text = (tmp_path / "report" / "figures" / "anytime.txt").read_text()
    assert "n = 1 seed." in text
    assert 'width="396pt"' in (tmp_path / "report" / "figures" / "anytime.svg").read_text()
    refused = CliRunner().invoke(report, [str(tmp_path), "--rows", "tinny"])
    assert refused.exit_code == 2
    assert "unknown row 'tinny'" in refused.output
