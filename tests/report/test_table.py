import io
from pathlib import Path

import pytest
import synthetic
from rich.console import Console
from synthetic import as_dict, trial

from nas_bench.report.comparison import comparisons
from nas_bench.report.footnotes import Remark
from nas_bench.report.markdown import section
from nas_bench.report.standing import Standing, standing
from nas_bench.report.table import Column, Table, leaderboard
from nas_bench.report.terminal_table import Shown, fitting
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Kind, Twin
from nas_bench.trials.messages import Failure
from nas_bench.trials.protocol import load_protocol


def found(ledger: Ledger) -> Standing:
    (comparison,) = comparisons(ledger.runs())
    return standing(comparison)


def column(table: Table, start: str) -> dict[str, str]:
    """The cells of the column whose title begins so, by method."""
    titles = {column.title: column for column in table.columns}
    (title,) = [title for title in titles if title.startswith(start)]
    return dict(zip(titles["method"].cells, titles[title].cells, strict=True))


def sentences(table: Table) -> str:
    return "\n".join("\n".join((remark.sentence, *remark.items)) for remark in table.remarks)


def printed(table: Table, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(Shown(table))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def grown(folder: Path, seeds: int, kind: Kind = "free") -> Ledger:
    """tiny and gradmax, twins of equal steps that are worse, and both baselines."""
    ledger = Ledger(folder)
    for seed in range(seeds):
        for method in ("tiny", "gradmax", "fixed", "fixed[size=seed]"):
            synthetic.run(ledger, trial(method, seed, kind=kind))
        for method, others in (("tiny", "gradmax"), ("gradmax", "random_growth")):
            original = trial(method, seed, kind=kind)
            twin = original.model_copy(update={"twin": Twin(of=original.id, match="steps")})
            synthetic.begin(ledger, twin)
            for record in synthetic.records(trial(others, seed, kind=kind)):
                ledger.write(twin, synthetic.as_dict(record))
            ledger.finish(twin)
    return ledger


def test_scores_have_the_interval_of_their_mean(tmp_path: Path) -> None:
    standings = found(synthetic.sweep(tmp_path))
    score = standings.scores["tiny"]
    margin = 4.302652729911275 * score.estimate.sd / 3**0.5  # t of two degrees of freedom
    expected = f"{score.estimate.mean:.2f} ± {margin:.2f}"
    assert column(leaderboard(standings), "test accuracy")["tiny"] == expected


def test_seeds_without_a_result_are_marked_counted_as_worst_and_explained(tmp_path: Path) -> None:
    standings = found(synthetic.sweep(tmp_path))
    table = leaderboard(standings)
    score = column(table, "test accuracy")["gradmax"]
    assert score.startswith(f"{standings.scores['gradmax'].estimate.mean:.2f}")
    assert score.endswith(" †")
    assert column(table, "seeds")["gradmax"] == "2/3"
    worst = f"{standings.comparison.worst:.2f}"
    assert f"Without a result (†: counted as {worst}, the worst score, " in sentences(table)
    line = "gradmax, seed 2: diverged: DivergedError: the loss is NaN at step 75"
    assert line in sentences(table).splitlines()


def test_a_failure_names_the_line_of_ones_own_code_once(tmp_path: Path) -> None:
    ledger, config = Ledger(tmp_path), trial("tiny")
    synthetic.begin(ledger, config)
    traceback = 'Traceback …\n  File "/home/me/mine.py", line 12, in propose\nRuntimeError: oops'
    ledger.write(config, as_dict(Failure("failed", "RuntimeError", "oops", traceback)))
    ledger.finish(config)
    lines = sentences(leaderboard(found(ledger))).splitlines()
    assert "tiny, seed 0: failed: RuntimeError: oops (mine.py:12)" in lines


def test_twins_are_a_column_beside_what_they_are_twins_of(tmp_path: Path) -> None:
    standings = found(grown(tmp_path, 7))
    table = leaderboard(standings)
    differences = column(table, "grown − scratch, equal steps")
    assert set(differences) == {"tiny", "gradmax", "fixed", "fixed[size=seed]"}
    assert differences["fixed"] == ""
    scores = standings.scores
    mean = scores["tiny"].estimate.mean - scores["tiny twin (steps)"].estimate.mean
    assert differences["tiny"].startswith(f"+{mean:.2f} (")


def test_with_the_same_target_fixed_is_the_twin_of_equal_steps_and_a_row(tmp_path: Path) -> None:
    standings = found(synthetic.sweep(tmp_path))
    differences = column(leaderboard(standings), "grown − scratch, equal steps")
    mean = standings.scores["tiny"].estimate.mean - standings.scores["fixed"].estimate.mean
    assert differences["tiny"] == f"{mean:.2f}".replace("-", "−")  # no interval of three seeds
    assert differences["fixed"] == ""


def test_only_differences_that_are_significant_are_starred(tmp_path: Path) -> None:
    seven = column(leaderboard(found(grown(tmp_path / "7", 7))), "grown")
    three = column(leaderboard(found(grown(tmp_path / "3", 3))), "grown")
    assert seven["gradmax"].endswith(" *")
    assert not three["gradmax"].endswith(" *")


def test_a_twin_whose_original_is_gone_has_a_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(twin=Twin(of="0" * 64, match="steps")))
    assert list(column(leaderboard(found(ledger)), "seeds")) == ["tiny twin (steps)"]


def test_three_seeds_are_not_testable_and_seven_tell_their_power(tmp_path: Path) -> None:
    three = leaderboard(found(grown(tmp_path / "3", 3)))
    assert "not testable below 6 paired seeds; here: 3 paired seeds." in sentences(three)
    assert set(column(three, "ranks").values()) == {"–"}
    standings = found(grown(tmp_path / "7", 7))
    assert f"differed by {standings.detectable:.2f} points" in sentences(leaderboard(standings))


def test_ranks_are_what_the_seeds_leave_open(tmp_path: Path) -> None:
    ranks = column(leaderboard(found(synthetic.sweep(tmp_path, seeds=7))), "ranks")
    assert ranks["gradmax"] == "1–5"  # one of its seeds is lost
    assert ranks["north_preactivation"].startswith("3")
    assert ranks["fixed[size=seed]"] == ranks["tiny[update=false]"] == "–"


def test_only_what_is_best_complete_and_told_is_bold(tmp_path: Path) -> None:
    standings = found(synthetic.sweep(tmp_path / "7", seeds=7))
    table = leaderboard(standings)
    bold = [row[1] for row, best in zip(table.rows, table.best, strict=True) if best]
    assert bold == ["fixed", "tiny"]
    lost = synthetic.sweep(tmp_path / "lost", seeds=7)
    synthetic.fail(lost, trial("fixed", 7))
    assert not any(leaderboard(found(lost)).best)


def test_most_neurons_of_the_harness_are_a_remark_and_a_column(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for method, added in (("tiny", 3), ("gradmax", 7)):
        synthetic.begin(ledger, trial(method))
        for record in synthetic.records(trial(method)):
            ledger.write(trial(method), synthetic.as_dict(record))
        ledger.write(trial(method), synthetic.as_dict(synthetic.growth(30, added)))
        ledger.finish(trial(method))
    table = leaderboard(found(ledger))
    assert column(table, "own neurons") == {"tiny": "43 %", "gradmax": "100 %"}
    assert "silent ones of the harness: tiny (43 %)." in sentences(table)


def test_what_tiny_gains_is_taken_apart_with_p_where_it_can_be_tested(tmp_path: Path) -> None:
    seven = sentences(leaderboard(found(synthetic.sweep(tmp_path / "7", seeds=7))))
    assert "its neurons, without δW* (tiny[update=false] − random_growth): +" in seven
    assert "(p = " in seven
    three = sentences(leaderboard(found(synthetic.sweep(tmp_path / "3"))))
    assert three.count("(not testable)") == 5


def test_baselines_that_are_missing_are_said(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    table = leaderboard(found(ledger))
    assert "needs to be conclusive: fixed, fixed[size=seed]." in sentences(table)


@pytest.mark.parametrize("later", [0, 1])
def test_what_a_protocol_has_otherwise_than_its_source_is_said_of_its_version(
    tmp_path: Path, later: int
) -> None:
    protocol = load_protocol("tiny-fig15")
    ledger = Ledger(tmp_path)
    fields = {"protocol": protocol.name, "version": protocol.version + later, "kind": "free"}
    synthetic.run(ledger, trial("tiny", **fields))
    said = [r for r in leaderboard(found(ledger)).remarks if "source" in r.sentence]
    items = [item for remark in said for item in remark.items]
    assert len(items) == (0 if later else len(protocol.departures))
    assert all(d.here in item for d, item in zip(protocol.departures, items, strict=False))


def test_a_trial_that_still_runs_is_listed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    ledger.begin(trial(seed=1))
    assert "tiny, seed 1: unfinished" in sentences(leaderboard(found(ledger))).splitlines()


def test_seeds_that_were_not_run_are_listed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(3):
        synthetic.run(ledger, trial("gradmax", seed))
    synthetic.run(ledger, trial("tiny", 1))
    assert "tiny, seeds 0, 2: not run" in sentences(leaderboard(found(ledger))).splitlines()


def test_seeds_of_different_behaviour_are_noted_under_the_table(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(2):
        synthetic.run(ledger, trial("gradmax", seed))
        ledger.begin(trial(seed=seed))
        loaded = {"type": "loaded", "environment": {}, "behaviour": {"core": 1 + seed}}
        ledger.write(trial(seed=seed), loaded)
        for record in synthetic.records(trial(seed=seed)):
            ledger.write(trial(seed=seed), synthetic.as_dict(record))
        ledger.finish(trial(seed=seed))
    line = "Seeds of different behaviour, defaults or data: tiny."
    assert line in sentences(leaderboard(found(ledger))).splitlines()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_terminal_loses_columns_and_no_digit(width: int, tmp_path: Path) -> None:
    table = leaderboard(found(synthetic.sweep(tmp_path)))
    shown = printed(table, width)
    assert max(map(len, shown.splitlines())) <= width
    (line,) = [line for line in shown.splitlines() if line.split()[1:2] == ["tiny"]]
    kept = fitting(table.columns, width)
    index = table.columns[1].cells.index("tiny")
    assert line.split() == " ".join(column.cells[index] for column in kept).split()
    left_out = [column.title for column in table.columns if column not in kept]
    said = f"No room for: {'; '.join(left_out)}."
    assert (said in " ".join(shown.split())) == bool(left_out)
    assert (width == 200) == (not left_out)


def test_columns_that_are_worth_least_go_first() -> None:
    columns = [
        Column("name", ("x" * 50,), left=True),
        Column("a", ("1" * 9,), 2),
        Column("b", ("1",), 1),
    ]
    titles = [[column.title for column in fitting(columns, width)] for width in (80, 31, 20)]
    assert titles == [["name", "a", "b"], ["name", "a"], ["name"]]


def test_names_on_the_terminal_are_text(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial("[red]no[/red]"))
    assert "[red]no[/red]" in printed(leaderboard(found(ledger)), 120)


def test_markdown_has_the_table_and_its_remarks() -> None:
    columns = Column("method", ("a|b", "c"), left=True), Column("n", ("1", "2"))
    remarks = Remark("One."), Remark("Two:", ("<x>", "y"))
    table = Table("t_1", columns, (True, False), (False, False), remarks)
    assert section(table).splitlines() == [
        "## t_1", "", "| method | n |", "| :-- | --: |", "| a&#124;b | 1 |", "| c | 2 |", "",
        "One.", "", "Two:", "", "- &#60;x&#62;", "- y",
    ]  # fmt: skip


def test_an_interval_that_no_score_can_fill_is_shown_by_its_ends(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(2):
        synthetic.run(ledger, trial("fixed", seed), spread=30.0)
    standings = found(ledger)
    interval = standings.scores["fixed"].interval
    assert interval
    mean = f"{standings.scores['fixed'].estimate.mean:.2f}"
    assert 0 in (interval.low, 100 - interval.high)
    shown = column(leaderboard(standings), "test accuracy")["fixed"]
    assert shown == f"{mean} ({interval.low:.2f} to {interval.high:.2f})"
