import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import synthetic
from synthetic import trial

from nas_bench import report
from nas_bench.report.writing import NothingToReportError, unasked
from nas_bench.results.ledger import Ledger, LedgerError
from nas_bench.trials.config import Budget, Twin

TABLES = {
    "leaderboard.md", "leaderboard.csv", "leaderboard.tex", "reproduce.sh", "report.json",
    "report.html",
}  # fmt: skip
HOSTILE = (
    'evil|<script>alert("x")</script>\n# heading [red]no[/red] \\end{table} %$#_&' + "y" * 200
)


def written(folder: Path, formats: tuple[str, ...] | None = ()) -> report.Report:
    return report.write(folder, formats)


@pytest.mark.slow
def test_one_comparison_gives_tables_a_page_and_figures_in_three_formats_of_the_same_bytes(
    tmp_path: Path,
) -> None:
    ledger = synthetic.sweep(tmp_path, seeds=2)
    made = written(ledger.folder, None)
    contents = [path.read_bytes() for path in made.paths]
    names = {path.relative_to(tmp_path / "report").as_posix() for path in made.paths}
    costs = ("flops", "parameters", "training_flops", "seconds")
    figures = {*(f"pareto_{cost}" for cost in costs), "anytime", "growth"}
    expected = {f"figures/{name}.{kind}" for name in figures for kind in ("png", "svg", "pdf")}
    assert names == expected | TABLES
    assert all(contents)
    assert [path.read_bytes() for path in written(ledger.folder, None).paths] == contents


@pytest.mark.slow
def test_figures_come_in_the_formats_asked_for(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path, seeds=1)
    assert {path.name for path in written(ledger.folder).paths} == TABLES
    kinds = {path.suffix for path in written(ledger.folder, ("pdf",)).paths[len(TABLES) :]}
    assert kinds == {".pdf"}


def test_what_is_not_drawn_of_many_comparisons_is_said(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number in range(11):
        synthetic.run(ledger, trial(task=f"task_{number}"))
    made = written(tmp_path, None)
    assert not any(path.parent.name == "figures" for path in made.paths)
    assert made.left_out == (
        "Figures of 11 comparisons are not drawn unasked; "
        "nas-bench report --figures png,svg,pdf does it"
    )
    assert written(tmp_path).left_out == ""
    assert [unasked(count) for count in (4, 5)] == [("png", "svg", "pdf"), ("png",)]


def test_the_csv_holds_every_row_in_plain_numbers_twins_too(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path, kind="free")
    twins = [trial(kind="free", seed=s, twin=Twin(of=o, match="steps")) for s, o in originals()]
    for twin in twins:
        synthetic.run(ledger, twin)
    written(tmp_path)
    frame = pd.read_csv(tmp_path / "report" / "leaderboard.csv").set_index("method")
    assert set(frame.index) == {*synthetic.SETTINGS, "tiny twin (steps)"}
    tiny = [synthetic.records(trial("tiny", seed, kind="free"))[-1] for seed in range(3)]
    assert frame.parameters["tiny"] == pytest.approx(sum(r.parameters for r in tiny) / 3)
    assert frame.seeds_ok["gradmax"] == 2
    assert frame.seeds_counted_as_worst["gradmax"] == 1
    assert frame.test_score["gradmax"] < frame.test_score_of_results["gradmax"]
    assert frame.twin["tiny twin (steps)"] == "steps"
    difference = frame.test_score["tiny"] - frame.test_score["tiny twin (steps)"]
    assert frame.grown_minus_scratch_steps["tiny"] == pytest.approx(difference)


def originals() -> list[tuple[int, str]]:
    return [(seed, trial("tiny", seed, kind="free").id) for seed in range(3)]


def test_report_json_holds_what_the_report_shows(tmp_path: Path) -> None:
    made = written(synthetic.sweep(tmp_path).folder)
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == made.content


@pytest.mark.slow
def test_several_comparisons_get_figures_of_their_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    changes: list[dict[str, Any]] = [
        {},
        {"kind": "free"},
        {"kind": "free", "budget": Budget(steps=9)},
    ]
    for change in changes:
        synthetic.run(ledger, trial(**change))
    names = {path.name for path in written(tmp_path, ("svg",)).paths}
    assert {
        "anytime--smoke--same_target--digits.svg",
        "anytime--smoke--free--digits--v1--9-steps.svg",
        "anytime--smoke--free--digits--v1--12-epochs.svg",
    } <= names


@pytest.mark.slow
def test_critical_differences_are_drawn_from_five_tasks_on(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number in range(5):
        for method in ("tiny", "gradmax", "fixed"):
            synthetic.run(ledger, trial(method, task=f"task_{number}"))
        if number >= 3:
            names = {path.name for path in written(tmp_path, ("svg",)).paths}
            assert ("critical_differences.svg" in names) == (number == 4)


def test_mean_ranks_across_tasks_are_a_table_of_their_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for task in ("mnist", "digits"):
        for method in ("fixed", "random_growth", "fixed[size=seed]", "tiny[update=false]"):
            synthetic.run(ledger, trial(method, task=task))
    synthetic.run(ledger, trial("gradmax", task="digits"))
    lines = written(tmp_path).markdown.splitlines()
    assert "## Mean ranks across 2 tasks · smoke v1 · same target · 12 epochs" in lines
    assert "| 1.00 | fixed | 1.00 – 1.00 |" in lines
    assert sum(line.endswith(" – 2.00 |") for line in lines) == 1  # two rows are ranked
    assert "Not on every task: gradmax." in lines


def test_files_of_earlier_reports_are_removed_and_others_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    place = tmp_path / "report"
    written(tmp_path, ("svg",))
    kept = [place / "my_notes.png", place / "figures" / "mine.svg", place / "table_of_mine.md"]
    gone = [place / "table.csv", place / "pareto_flops--a--b.png", place / "learning_curves.svg"]
    for path in (*kept, *gone):
        path.touch()
    synthetic.run(ledger, trial(kind="free"))
    written(tmp_path)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)
    assert [path.name for path in (place / "figures").iterdir()] == ["mine.svg"]


@pytest.mark.slow
def test_hostile_names_render_as_text(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for method in (HOSTILE, "fixed"):
        synthetic.run(ledger, trial(method, 0, protocol=HOSTILE, task=HOSTILE))
    synthetic.fail(ledger, trial(HOSTILE, 1, protocol=HOSTILE, task=HOSTILE), HOSTILE)
    made = written(tmp_path, None)
    assert "<script>" not in made.markdown
    assert "\n# heading" not in made.markdown
    rows = [line for line in made.markdown.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert all((tmp_path / "report") in path.parents for path in made.paths)


@pytest.mark.slow
def test_a_regression_task_reports_its_loss(tmp_path: Path) -> None:
    for method in ("tiny", "gradmax", "fixed[size=seed]"):
        synthetic.run(Ledger(tmp_path), trial(method), regression=True)
    lines = written(tmp_path, ("png",)).markdown.splitlines()
    assert any(line.startswith("| ranks | method | test loss |") for line in lines)
    assert [line.split(" | ")[1] for line in lines if line.startswith("| – |")][-1] == (
        "fixed[size=seed]"
    )


def test_a_ledger_in_which_all_failed_has_a_table_and_no_pareto_plot(tmp_path: Path) -> None:
    synthetic.fail(Ledger(tmp_path), trial())
    made = written(tmp_path, None)
    assert "| – | tiny | – | 0/1 | – | – | – | – |" in made.markdown
    assert "Without a result:\n\n- tiny, seed 0: diverged" in made.markdown
    assert not any("pareto" in path.name for path in made.paths)


def test_damage_is_listed_in_the_report(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path, seeds=1)
    (ledger.trial_folder(trial("tiny")) / "run.json").write_text("{")
    made = written(tmp_path)
    assert "run.json is damaged" in made.problems[0]
    assert "## Problems in the ledger" in made.markdown
    assert "s0: run.json is damaged" in made.markdown


def test_the_notes_on_the_numbers_are_there_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for task in ("digits", "mnist"):
        for method in ("tiny", "fixed"):
            synthetic.run(ledger, trial(method, task=task))
    made = written(tmp_path)
    assert made.markdown.count("One multiply-add is one FLOP") == 1
    assert made.markdown.count("Mean rank: over tasks") == 1


def test_a_report_that_can_not_be_written_still_says_what_it_found(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path, seeds=1)
    (tmp_path / "report" / "leaderboard.csv" / "taken").mkdir(parents=True)
    with pytest.raises(report.UnwrittenError, match=r"cannot write .*board\.csv") as caught:
        written(ledger.folder)
    assert caught.value.report.paths == (tmp_path / "report" / "leaderboard.md",)
    assert (len(caught.value.report.tables), len(caught.value.report.notes)) == (1, 1)


def test_paths_are_shown_without_the_folders_that_tell_nothing_apart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for task in ("/home/me/a/x.npz", "/home/me/b/x.npz", "/home/me/y.npz"):
        for method in ("tiny", "fixed"):
            synthetic.run(ledger, trial(method, task=f'image_arrays[path="{task}"]'))
    made = written(tmp_path)
    for name in ("leaderboard.md", "leaderboard.csv", "leaderboard.tex"):
        text = (tmp_path / "report" / name).read_text()
        assert "/home/me" not in text
        for path in ("a/x.npz", "b/x.npz", "y.npz"):
            assert path in text
    assert [c["title"].partition(" ·")[0] for c in made.content["comparisons"]] == [
        'image_arrays[path="a/x.npz"]', 'image_arrays[path="b/x.npz"]', "image_arrays[path=y.npz]",
    ]  # fmt: skip


def test_an_empty_folder_has_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"nothing to report in .*: it has no trials"):
        written(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_ledger_that_can_not_be_read_says_why(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    (ledger.trial_folder(trial()) / "run.json").write_text("garbage")
    with pytest.raises(NothingToReportError, match="no trial in it can be read") as caught:
        written(tmp_path)
    (line,) = caught.value.problems
    assert "s0: run.json is damaged" in line


def test_a_report_without_one_of_its_trials_is_that_of_the_others(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path, seeds=1)
    shutil.rmtree(ledger.trial_folder(trial("fixed")))
    assert "needs to be conclusive: fixed." in written(tmp_path).markdown


def test_names_are_no_formulas_in_the_table_of_numbers(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(protocol="=cmd|' /C calc'!A0", task="\x1b[2J@x"))
    found = report.write(tmp_path, ())
    (path,) = [path for path in found.paths if path.name == "leaderboard.csv"]
    frame = pd.read_csv(path)
    assert frame.loc[0, ["protocol", "task"]].tolist() == ["'=cmd|' /C calc'!A0", "\\u001b[2J@x"]
    assert frame.loc[0, "test_score"] > 0


@pytest.mark.parametrize("part", ["report", "report/figures", "report/figures/x"])
def test_nothing_is_written_or_removed_through_a_link(tmp_path: Path, part: str) -> None:
    results, outside = tmp_path / "results", tmp_path / "outside"
    outside.mkdir()
    (outside / "anytime--old.png").write_bytes(b"precious")
    synthetic.run(Ledger(results), trial())
    path = results / part
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(outside)
    if path.name == "x":
        report.write(results, ())
    else:
        with pytest.raises(report.UnwrittenError, match="a link or a file where a folder belongs"):
            report.write(results, ())
    assert [p.read_bytes() for p in outside.iterdir()] == [b"precious"]
