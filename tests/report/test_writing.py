import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import synthetic
from rich.console import Console
from synthetic import trial

from nas_bench import report
from nas_bench.results.ledger import Ledger, LedgerError
from nas_bench.trials.config import Budget

HOSTILE = 'evil|<script>alert("x")</script>\n# heading [red]no[/red] ' + "y" * 200


def printed(made: report.Report, width: int = 120) -> str:
    console = Console(width=width, file=io.StringIO())
    for table in made.tables:
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_one_comparison_gives_a_table_and_three_figures(tmp_path: Path) -> None:
    made = report.write(synthetic.sweep(tmp_path).folder)
    names = {path.relative_to(tmp_path).as_posix() for path in made.paths}
    figures = {"pareto_flops", "pareto_parameters", "learning_curves"}
    expected = {f"report/{name}.{kind}" for name in figures for kind in ("png", "svg")}
    assert names == expected | {"report/table.md", "report/table.csv"}
    assert all(path.stat().st_size for path in made.paths)


def test_the_same_ledger_gives_the_same_bytes(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path, seeds=2)
    contents = [[p.read_bytes() for p in report.write(ledger.folder).paths] for _ in range(2)]
    assert contents[0] == contents[1]


def test_failures_are_counted_and_listed_under_the_table(tmp_path: Path) -> None:
    made = report.write(synthetic.sweep(tmp_path).folder)
    line = "gradmax, seed 2: diverged: DivergedError: the loss is NaN at step 75"
    assert f"- {line}" in made.markdown
    assert line in printed(made)
    (row,) = [line for line in made.markdown.splitlines() if line.startswith("| gradmax ")]
    assert "| 2/3 |" in row


def test_the_terminal_table_loses_no_digit_on_eighty_columns(tmp_path: Path) -> None:
    made = report.write(synthetic.sweep(tmp_path).folder)
    lines = printed(made, 80).splitlines()
    (tiny,) = [line for line in lines if line.startswith(" tiny ")]
    (cells,) = [line for line in made.markdown.splitlines() if line.startswith("| tiny |")]
    assert tiny.split() == cells.replace("|", " ").split()


def test_the_csv_holds_plain_numbers(tmp_path: Path) -> None:
    made = report.write(synthetic.sweep(tmp_path, kind="free").folder)
    frame = pd.read_csv(tmp_path / "report" / "table.csv").set_index("method")
    assert len(frame) == len(synthetic.SETTINGS)
    tiny = [synthetic.records(trial("tiny", seed, kind="free"))[-1] for seed in range(3)]
    assert frame.parameters["tiny"] == pytest.approx(sum(r.parameters for r in tiny) / 3)
    assert frame.parameters_sd["tiny"] > 0
    assert frame.seeds_ok["gradmax"] == 2
    assert made.paths[1].name == "table.csv"


def test_several_comparisons_get_figures_of_their_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    changes: list[dict[str, Any]] = [
        {},
        {"kind": "free"},
        {"kind": "free", "budget": Budget(steps=9)},
    ]
    for change in changes:
        synthetic.run(ledger, trial(**change))
    names = {path.name for path in report.write(tmp_path).paths}
    assert {
        "learning_curves--smoke--same_target--digits.png",
        "learning_curves--smoke--free--digits--v1--9-steps.png",
        "learning_curves--smoke--free--digits--v1--12-epochs.png",
    } <= names


def test_figures_of_comparisons_that_are_gone_are_removed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    report.write(tmp_path)
    kept = tmp_path / "report" / "my_notes.png"
    kept.touch()
    synthetic.run(ledger, trial(kind="free"))
    report.write(tmp_path)
    assert not (tmp_path / "report" / "pareto_flops.png").exists()
    assert kept.exists()


def test_hostile_names_render_as_text(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial(HOSTILE, 0, protocol=HOSTILE, task=HOSTILE))
    synthetic.fail(ledger, trial(HOSTILE, 1, protocol=HOSTILE, task=HOSTILE), HOSTILE)
    made = report.write(tmp_path)
    assert "<script>" not in made.markdown
    assert "\n# heading" not in made.markdown
    rows = [line for line in made.markdown.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in rows] == [8, 8, 8]
    assert "[red]no[/red]" in printed(made, 400)
    assert all(path.parent == tmp_path / "report" for path in made.paths)


def test_a_regression_task_reports_its_loss(tmp_path: Path) -> None:
    for method in ("tiny", "gradmax", "fixed[size=seed]"):
        synthetic.run(Ledger(tmp_path), trial(method), regression=True)
    assert "| method | test loss |" in report.write(tmp_path).markdown


def test_a_ledger_in_which_all_failed_has_a_table_and_no_pareto_plot(tmp_path: Path) -> None:
    synthetic.fail(Ledger(tmp_path), trial())
    made = report.write(tmp_path)
    assert "| tiny | – | 0/1 | – | – | – | – |" in made.markdown
    assert not any("pareto" in path.name for path in made.paths)


def test_damage_is_listed_in_the_report(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path, seeds=1)
    (ledger.trial_folder(trial("tiny")) / "run.json").write_text("{")
    made = report.write(tmp_path)
    assert "run.json is damaged" in made.problems[0]
    assert "## Problems in the ledger" in made.markdown
    assert "s0: run.json is damaged" in made.markdown


def test_a_trial_that_still_runs_is_listed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    ledger.begin(trial(seed=1))
    assert "- tiny, seed 1: unfinished\n" in report.write(tmp_path).markdown


def test_seeds_that_were_not_run_are_listed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(3):
        synthetic.run(ledger, trial("gradmax", seed))
    synthetic.run(ledger, trial("tiny", 1))
    assert "- tiny, seeds 0, 2: not run\n" in report.write(tmp_path).markdown


def test_seeds_from_different_code_are_noted_under_the_table(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for seed in range(2):
        synthetic.run(ledger, trial("gradmax", seed))
        ledger.begin(trial(seed=seed), {"sources": {"core": str(seed)}})
        for record in synthetic.records(trial(seed=seed)):
            ledger.write(trial(seed=seed), synthetic.as_dict(record))
        ledger.finish(trial(seed=seed))
    made = report.write(tmp_path)
    line = "Seeds from different versions of the code or the data: tiny."
    assert line in made.markdown.splitlines()
    assert line in printed(made)


def test_the_note_on_the_numbers_is_there_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    synthetic.run(ledger, trial(task="mnist"))
    made = report.write(tmp_path)
    assert made.markdown.count("One multiply-add is one FLOP") == 1
    assert " ".join(printed(made).split()).count("One multiply-add is one FLOP") == 1


def test_a_report_that_can_not_be_written_still_says_what_it_found(tmp_path: Path) -> None:
    ledger = synthetic.sweep(tmp_path, seeds=1)
    (tmp_path / "report" / "table.csv" / "taken").mkdir(parents=True)
    with pytest.raises(report.UnwrittenError, match=r"cannot write .*table\.csv") as caught:
        report.write(ledger.folder)
    assert caught.value.report.paths == (tmp_path / "report" / "table.md",)
    assert "random_growth" in printed(caught.value.report)


def test_an_empty_folder_has_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"nothing to report in .*: it has no trials"):
        report.write(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_ledger_that_can_not_be_read_says_why(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    synthetic.run(ledger, trial())
    (ledger.trial_folder(trial()) / "run.json").write_text("garbage")
    with pytest.raises(LedgerError, match=r"none of its trials can be read; .*damaged"):
        report.write(tmp_path)
