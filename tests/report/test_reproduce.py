from pathlib import Path

import pytest
import synthetic
from synthetic import trial

from nas_bench.report import write
from nas_bench.report.comparison import comparisons
from nas_bench.report.reproduce import script
from nas_bench.results.ledger import Ledger

pytestmark = pytest.mark.usefixtures("no_figures")


def test_every_table_has_what_was_typed_for_it_once(tmp_path: Path) -> None:
    first = Ledger(tmp_path, ["nas-bench", "run", "--methods", "tiny[update=false]"])
    for seed in range(2):
        synthetic.run(first, trial("tiny[update=false]", seed))
    synthetic.run(Ledger(tmp_path), trial("fixed"))
    other = Ledger(tmp_path, ["nas-bench", "run", "--tasks", "mnist"])
    synthetic.run(other, trial(task="mnist"))
    lines = script(comparisons(Ledger(tmp_path).runs())).splitlines()
    head = lines.index("# digits · smoke v1 · same target · 12 epochs")
    assert lines[head + 1 : head + 4] == [
        "# measured with nas-bench 0.1.0",
        "nas-bench run --methods 'tiny[update=false]'",
        "# 1 trial does not say what was typed.",
    ]
    assert lines[lines.index("# mnist · smoke v1 · same target · 12 epochs") + 2] == (
        "nas-bench run --tasks mnist"
    )
    report = write(tmp_path, ())
    assert (tmp_path / "report" / "reproduce.sh").read_text().splitlines() == lines
    assert tmp_path / "report" / "reproduce.sh" in report.paths


def test_what_was_typed_cannot_break_out_of_its_line(tmp_path: Path) -> None:
    odd = Ledger(tmp_path, ["nas-bench", "run", "--methods", "a\nrm -r ~; $(b)"])
    synthetic.run(odd, trial())
    text = script(comparisons(Ledger(tmp_path).runs()))
    assert not [line for line in text.splitlines() if line.startswith("rm")]
    assert "\n# nas-bench run" in text
