import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
import synthetic
from synthetic import trial

from nas_bench.report import write
from nas_bench.report.comparison import comparisons
from nas_bench.results.gathering import contents, gathered
from nas_bench.results.ledger import Ledger
from nas_bench.results.packing import pack
from nas_bench.specs import InputError
from nas_bench.trials.messages import as_dict

pytestmark = pytest.mark.usefixtures("no_figures")


_CLOCK = itertools.count(1)


def ledger(folder: Path, *methods: str, seeds: range = range(2), off: float = 0.0) -> Path:
    """A ledger whose final test accuracies of all methods are off by so much."""
    found = Ledger(folder)
    for config in (trial(method, seed) for method in methods for seed in seeds):
        synthetic.begin(found, config)
        for record in synthetic.records(config):
            assert record.test_accuracy is not None
            clocks = replace(record.seconds, train=record.seconds.train + next(_CLOCK))
            record = replace(record, test_accuracy=record.test_accuracy - off, seconds=clocks)
            found.write(config, as_dict(record))
        found.finish(config)
    return folder


def test_a_trial_that_two_ledgers_have_counts_once_and_rows_of_the_second_are_marked(tmp_path):
    first = ledger(tmp_path / "published", "fixed", "tiny")
    second = ledger(tmp_path / "ours", "fixed", "mine")
    found = gathered([first, second])
    assert found.name == "published + ours"
    (compared,) = comparisons(found.runs)
    assert {row.name: len(row.runs) for row in compared.rows} == {
        "fixed": 2, "tiny": 2, "mine @ ours": 2,
    }  # fmt: skip
    (check,) = found.checks
    assert (check.ledger, check.compared, check.differing) == ("ours", 2, ())
    assert check.reproduced


def test_of_a_trial_that_failed_in_the_first_ledger_the_other_result_counts(tmp_path):
    first = tmp_path / "published"
    synthetic.fail(Ledger(first), trial("tiny"))
    second = ledger(tmp_path / "ours", "tiny", seeds=range(1))
    (run,) = gathered([first, second]).runs
    assert (run.status, run.ledger) == ("ok", "ours")


def test_a_ledger_that_does_not_reproduce_the_first_is_named_in_the_head(tmp_path):
    first = ledger(tmp_path / "published", "fixed", "random_growth")
    second = ledger(tmp_path / "ours", "fixed", "mine", off=0.05)
    report = write(second, (), [first, second])
    (head,) = report.heads
    assert head.startswith("ours does NOT reproduce published")
    assert "of 2 trials of fixed and random_growth that both have, 2 differ" in head
    assert "fixed seed 0: the final test accuracies are 0.0500 apart" in head
    assert report.markdown.split("\n")[2] == head
    assert report.content["reference"][0]["reproduced"] is False
    within = ledger(tmp_path / "near", "fixed", off=0.02)
    assert "agree within the tolerance" in write(second, (), [first, within]).heads[0]


def test_a_copy_shows_nothing_about_what_is_reproduced(tmp_path):
    first = ledger(tmp_path / "published", "fixed", "tiny")
    shutil.copytree(first, tmp_path / "copy")
    (check,) = gathered([first, tmp_path / "copy"]).checks
    assert (check.compared, check.reproduced) == (0, False)
    assert "no result of fixed and random_growth that was trained twice" in check.sentence


def test_ledgers_without_a_shared_reference_say_that_nothing_shows_it(tmp_path):
    first = ledger(tmp_path / "published", "fixed")
    second = ledger(tmp_path / "ours", "mine")
    (check,) = gathered([first, second]).checks
    assert not check.reproduced
    assert "they share no result of fixed and random_growth" in check.sentence


def test_rows_are_compared_over_the_seeds_that_all_ledgers_have(tmp_path):
    first = ledger(tmp_path / "published", "fixed", seeds=range(4))
    second = ledger(tmp_path / "ours", "mine", seeds=range(1, 3))
    report = write(second, (), [first, second])
    seeds = {row["name"]: len(row["trials"]) for row in report.content["comparisons"][0]["rows"]}
    assert seeds == {"fixed": 2, "mine @ ours": 2}
    assert "- seeds 0,3 of the first ledger: others lack them" in report.markdown


def test_ledgers_of_other_versions_of_a_protocol_are_not_compared_which_is_said(tmp_path):
    first = ledger(tmp_path / "published", "fixed")
    second = Ledger(tmp_path / "ours")
    synthetic.run(second, trial("mine", version=2))
    report = write(second.folder, (), [first, second.folder])
    assert len(report.tables) == 2
    said = "smoke of ours is of version 2, 12 epochs (here version 1, 12 epochs)"
    assert said in report.markdown


def test_other_behaviour_in_the_second_ledger_ranks_no_row(tmp_path):
    first = ledger(tmp_path / "published", "fixed", seeds=range(6))
    second = Ledger(tmp_path / "ours")
    for seed in range(6):
        config = trial("mine", seed)
        synthetic.begin(second, config)
        loaded = {"type": "loaded", "environment": {"data": "other"}}
        second.write(config, loaded)
        for record in synthetic.records(config):
            second.write(config, as_dict(record))
        second.finish(config)
    runs = gathered([first, second.folder]).runs
    runs = [replace(r, environment=r.environment | {"data": r.environment.get("data", "a")})
            for r in runs]  # fmt: skip
    (compared,) = comparisons(runs)
    assert compared.differing == ("data",)


def test_a_pack_is_read_wherever_it_lies(tmp_path):
    first = ledger(tmp_path / "published", "fixed", "tiny")
    before = {run.id: run.result for run in Ledger(first).runs()}
    list(pack(first))
    (there,) = first.glob("*/*.zip")
    moved = tmp_path / "sent.zip"
    moved.write_bytes(there.read_bytes())
    found = contents(moved)
    assert {run.id: run.result for run in found.runs} == before
    assert found.damage == []


def test_a_file_that_is_no_pack_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "odd.zip"
    path.write_text("no zip")
    with pytest.raises(InputError, match=r"odd\.zip is no pack that can be read"):
        contents(path)
    with ZipFile(path, "w") as archive:
        archive.writestr("smoke/digits/../../evil/s0/run.json", "{}")
    assert contents(path).runs == []
