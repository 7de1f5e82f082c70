from pathlib import Path

import synthetic
from synthetic import trial

from nas_bench.report.comparison import comparisons
from nas_bench.report.settings import settings
from nas_bench.results.ledger import Ledger


def test_what_rows_share_is_apart_from_what_is_their_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for rate in (0.1, 0.2):
        synthetic.run(ledger, trial("tiny", recipe={"learning_rate": rate}))
    synthetic.run(ledger, trial("fixed", recipe={"learning_rate": 0.1}, threads=2))
    rows = comparisons(ledger.runs())[0].rows
    shared, own = settings(rows)
    assert shared["schedule.growths"] == 4
    assert not {"seed", "method", "protocol", "budget.epochs"} & {*shared}
    found = {row.name: values for row, values in zip(rows, own, strict=True)}
    assert found == {
        "fixed": {"recipe.learning_rate": 0.1, "threads": 2},
        "tiny {recipe.learning_rate=0.1}": {"recipe.learning_rate": 0.1, "threads": 1},
        "tiny {recipe.learning_rate=0.2}": {"recipe.learning_rate": 0.2, "threads": 1},
    }
