"""What a cell says is the same in every table, on the page and in the numbers beside them."""

from typing import Any

import pytest
import synthetic
from synthetic import trial

from nas_bench.report import cells
from nas_bench.report.comparison import comparisons
from nas_bench.report.content import content
from nas_bench.report.numbers import numbers
from nas_bench.report.standing import Standing, standing
from nas_bench.report.table import leaderboard
from nas_bench.results.ledger import Ledger

SEEDS = range(6)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Percents and losses, intervals that are cut, a seed without a result, free growth."""
    ledger = synthetic.sweep(tmp_path_factory.mktemp("cells"), seeds=len(SEEDS))
    for seed in SEEDS:
        synthetic.run(ledger, trial("net2net", seed), spread=60.0)
        for method in ("tiny", "fixed", "random_growth"):
            synthetic.run(ledger, trial(method, seed, task="diabetes"), regression=True)
            synthetic.run(ledger, trial(method, seed, kind="free"))
    return ledger


@pytest.fixture(scope="module")
def standings(ledger: Ledger) -> list[Standing]:
    return [standing(comparison) for comparison in comparisons(ledger.runs())]


@pytest.fixture(scope="module")
def shown(ledger: Ledger, standings: list[Standing]) -> list[dict[str, Any]]:
    return content(ledger.runs(), "made up", standings)["comparisons"]


def test_every_cell_is_what_the_page_has(
    standings: list[Standing], shown: list[dict[str, Any]]
) -> None:
    for found, described in zip(standings, shown, strict=True):
        table = leaderboard(found)
        columns = {column.title: column.cells for column in table.columns}
        rows = {row["name"]: row for row in described["rows"]}
        asked = {
            (pair["question"], pair["first"]): pair
            for pair in (*described["growing"], *described["against"])
        }
        metric = "test accuracy (%)" if found.comparison.higher else "test loss"
        for place, name in enumerate(columns["method"]):
            row = rows[name]
            score = " ".join(filter(None, row["score"]["text"]))
            assert columns[metric][place] == score + " †" * bool(row["counted_as_worst"])
            rank = "–".join(map(str, dict.fromkeys(row["rank"] or ())))
            assert columns["ranks"][place] == (rank or "–")
            for title, question in (
                ("grown − scratch, equal steps", "equal steps"),
                ("method − random neurons", "against random_growth"),
            ):
                pair = asked.get((question, name))
                text = " ".join(filter(None, pair["text"])) if pair else ""
                star = " *" * bool(pair and pair["adjusted"] <= 0.05)
                assert title not in columns or columns[title][place] == text + star


def test_numbers_are_those_of_the_page_in_full(
    standings: list[Standing], shown: list[dict[str, Any]]
) -> None:
    rows = iter(numbers(standings))
    for row in (row for described in shown for row in described["rows"]):
        found, score = next(rows), row["score"]
        expected = {
            "method": row["name"],
            "test_score": score["mean"],
            "test_score_sd": score["sd"],
            "test_score_ci_low": score["interval"][0],
            "test_score_ci_high": score["interval"][1],
            "growth_share": row["growth_share"],
            "own_neurons": row["own_neurons"],
            **{name: cost["mean"] for name, cost in row["costs"].items()},
            **{f"{name}_sd": cost["sd"] for name, cost in row["costs"].items()},
        }
        assert {name: found[name] for name in expected} == expected
    assert next(rows, None) is None


def test_no_margin_reaches_beyond_what_scores_can_be(standings: list[Standing]) -> None:
    found = next(s for s in standings if "net2net" in s.scores)
    row = next(row for row in found.comparison.rows if row.name == "net2net")
    mean, ends = cells.score_parts(found.scores["net2net"], "accuracy")
    assert f"{found.scores['net2net'].estimate.mean:.2f}" == mean
    assert ends.endswith(" to 100.00)")
    assert cells.score(found, row) == f"{mean} {ends}"


def test_growths_share_is_that_of_the_means(standings: list[Standing]) -> None:
    row = next(row for row in standings[0].comparison.rows if row.name == "tiny")
    growth = sum(record.growth_flops for record in row.results)
    whole = sum(record.growth_flops + record.train_flops for record in row.results)
    assert row.growth_share == growth / whole > 0
