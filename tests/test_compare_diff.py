"""`nas-bench compare A B` and `nas-bench diff RUN RUN`."""

import json
import math
import shutil
from dataclasses import replace

import pytest
import synthetic
from scipy import stats
from synthetic import trial

from nas_bench.cli import status
from nas_bench.results.ledger import Ledger
from nas_bench.trials.messages import Record

ACCURACY = {"tiny": (0.91, 0.93, 0.92, 0.95, 0.94, 0.96), "fixed": (0.9, 0.9, 0.9, 0.9, 0.9, 0.9)}


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_BENCH_RESULTS", str(tmp_path / "ledger"))
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def said(ledger, capsys):
    """What a verb prints on stdout, or on stderr where it fails, after checking its exit code."""

    def say(*arguments, code=0):
        capsys.readouterr()
        assert status(arguments) == code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return " ".join((err if code else out).split())

    return say


@pytest.fixture
def document(ledger, capsys):
    def read(*arguments):
        capsys.readouterr()
        assert status([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return read


def ended(ledger: Ledger, config, accuracy: float, **changes: float) -> None:
    """A trial that ends with this test accuracy."""
    synthetic.begin(ledger, config)
    for record in synthetic.records(config):
        if record.final:
            record = replace(record, test_accuracy=accuracy, **changes)
        ledger.write(config, synthetic.as_dict(record))
    ledger.finish(config)


def fill(ledger: Ledger, seeds: int, **fields) -> None:
    for method, accuracies in ACCURACY.items():
        for seed, accuracy in enumerate(accuracies[:seeds]):
            ended(ledger, trial(method, seed, **fields), accuracy)


@pytest.mark.parametrize("verb", ["compare", "diff"])
def test_help_has_three_examples(verb, said):
    assert said(verb, "--help").split("Examples:")[1].count(f"nas-bench {verb} ") == 3


def test_compare_pairs_by_seed(ledger, document):
    fill(ledger, 6)
    (found,) = document("compare", "tiny", "fixed")["comparisons"]
    gaps = [100 * (a - b) for a, b in zip(*ACCURACY.values(), strict=True)]
    assert (found["first"]["name"], found["second"]["name"]) == ("tiny", "fixed")
    assert (found["pairs"], found["measured_pairs"]) == (6, 6)
    assert found["difference"] == pytest.approx(3.5)
    assert found["interval"] == pytest.approx([min(gaps), max(gaps)])  # of six seeds
    assert found["p"] == found["adjusted"] == 2 / 2**6
    assert found["first"]["scores"]["3"] == pytest.approx(95)
    assert found["first"]["mean"] == pytest.approx(93.5)
    assert found["visible_gap"] == pytest.approx(visible(gaps), rel=1e-4)


def visible(gaps: list[float]) -> float:
    """The gap that a paired t-test of these differences would see in 80 % of cases, by search."""
    n, error = len(gaps), stats.tstd(gaps) / math.sqrt(len(gaps))
    critical = stats.t.ppf(0.975, n - 1)
    low, high = 0.0, 100.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        seen = stats.nct.sf(critical, n - 1, middle / error)
        low, high = (middle, high) if seen < 0.8 else (low, middle)
    return low


def test_the_other_way_round_only_the_sign_changes(ledger, document):
    fill(ledger, 6)
    (one,) = document("compare", "tiny", "fixed")["comparisons"]
    (other,) = document("compare", "fixed", "tiny")["comparisons"]
    assert other["difference"] == -one["difference"]
    assert (other["p"], other["visible_gap"]) == (one["p"], one["visible_gap"])


def test_below_six_paired_seeds_nothing_is_tested(ledger, said, document):
    fill(ledger, 5)
    out = said("compare", "tiny", "fixed")
    assert "not testable" in out
    assert "below 6 paired seeds" in out
    assert "93.00 90.00 +3.00 not testable" in out
    (found,) = document("compare", "tiny", "fixed")["comparisons"]
    assert (found["p"], found["adjusted"], found["pairs"]) == (None, None, 5)


def test_a_trial_without_a_result_is_named_and_counts_as_the_worst(ledger, said, document):
    fill(ledger, 6)
    synthetic.fail(ledger, trial("tiny", 5), "no luck")
    ended(ledger, trial("fixed", 6), 0.5)
    (found,) = document("compare", "tiny", "fixed")["comparisons"]
    assert (found["pairs"], found["measured_pairs"]) == (7, 5)
    assert found["worst"] == 50
    assert found["first"]["scores"]["5"] == found["first"]["scores"]["6"] == 50
    reasons = {"5": "diverged: DivergedError: no luck", "6": "not run"}
    assert found["first"]["without_result"] == reasons
    out = said("compare", "tiny", "fixed")
    assert "7 (5 measured)" in out
    assert "tiny, seed 5: diverged: DivergedError: no luck" in out
    assert "tiny, seed 6: not run" in out


def test_where_nothing_has_a_result_nothing_is_computed(ledger, said):
    for method in ("tiny", "fixed"):
        synthetic.fail(ledger, trial(method))
    out = said("compare", "tiny", "fixed")
    assert "– – – – –" in out
    assert "fixed, seed 0: diverged" in out


def test_each_task_is_a_line_and_p_is_that_among_all_of_them(ledger, said, document):
    for task in ("digits", "sine"):
        fill(ledger, 6, task=task)
    found = document("compare", "tiny", "fixed")["comparisons"]
    assert [each["task"] for each in found] == ["digits", "sine"]
    assert [each["adjusted"] for each in found] == [2 / 2**6] * 2
    assert "max-T over joint sign flips" in said("compare", "tiny", "fixed").replace("\n", " ")
    (only,) = document("compare", "tiny", "fixed", "--task", "sine")["comparisons"]
    assert (only["task"], only["adjusted"]) == ("sine", 2 / 2**6)
    assert document("compare", "tiny", "fixed", "--protocol", "smoke")["comparisons"] == found


def test_losses_are_compared_as_losses(ledger, document):
    for method, loss in (("tiny", 0.25), ("fixed", 0.5)):
        synthetic.begin(ledger, trial(method))
        (*_, last) = synthetic.records(trial(method), regression=True)
        message = synthetic.as_dict(replace(last, test_loss=loss))
        ledger.write(trial(method), message)
        ledger.finish(trial(method))
    (found,) = document("compare", "tiny", "fixed")["comparisons"]
    assert (found["metric"], found["higher"], found["difference"]) == ("loss", False, -0.25)


def test_names_are_those_of_specs_and_of_rows(ledger, said, document):
    method = "random_growth[update=true,zero_fan_out=true]"
    twin = {"of": trial(method).id, "match": "steps"}
    settings = [{"learning_rate": 0.1}, {"learning_rate": 0.2}]
    ended(ledger, trial(method), 0.9)
    ended(ledger, trial(method, twin=twin), 0.8)
    for recipe, accuracy in zip(settings, (0.7, 0.6), strict=True):
        ended(ledger, trial("tiny", recipe=recipe), accuracy)
    for one, other, difference in (
        ("random_growth[zero_fan_out=true, update=true]", f"{method} twin (steps)", 10),
        ("tiny {recipe.learning_rate=0.1}", "tiny {recipe.learning_rate=0.2}", 10),
        (method, "tiny {recipe.learning_rate=0.1}", 20),
    ):
        (found,) = document("compare", one, other)["comparisons"]
        assert found["difference"] == pytest.approx(difference)
    error = said("compare", "tiny", method, code=2)
    assert "tiny has several settings in digits" in error
    assert "'tiny {recipe.learning_rate=0.2}'" in error


def test_compare_refuses_what_it_cannot_compare(ledger, said):
    assert "there are no results in" in said("compare", "tiny", "fixed", code=3)
    fill(ledger, 1)
    synthetic.run(ledger, trial("gradmax", task="sine"))
    for arguments, code, sentence in (
        (("tini", "fixed"), 2, "unknown method 'tini': did you mean tiny?"),
        (("tiny", "fixed", "--task", "digit"), 2, "unknown task 'digit': did you mean digits?"),
        (("tiny", "fixed", "--protocol", "smok"), 2, "did you mean smoke?"),
        (("tiny", "tiny"), 2, "are the same row: name two different ones"),
        (("tiny", "gradmax"), 3, "no comparison holds both tiny and gradmax"),
        (("tiny", "fixed", "--task", "sine"), 3, "no comparison holds both"),
    ):
        assert sentence in said("compare", *arguments, code=code)


def test_damage_is_named_and_no_reason_not_to_compare(ledger, capsys):
    fill(ledger, 2)
    (ledger.trial_folder(trial("tiny", 1)) / "run.json").write_text("{")
    assert status(["compare", "tiny", "fixed"]) == 0
    out, err = capsys.readouterr()
    assert "tiny, seed 1: damaged: run.json is damaged" in " ".join(out.split())
    assert "s1: run.json is damaged" in err


def test_diff_says_what_differs_and_nothing_else(ledger, document):
    one, other = trial("tiny"), trial("tiny", 1, schedule={"every": 3, "growths": 4})
    synthetic.run(ledger, one)
    synthetic.run(ledger, other)
    found = document("diff", one.id[:8], str(ledger.trial_folder(other)))
    differences = found["differences"]
    assert differences["config"] == {"seed": [0, 1], "schedule.every": [2.0, 3.0]}
    assert set(differences) == {"config", "result"}
    assert "test_accuracy" in differences["result"]
    assert found["course"][0].startswith("record 1 has train_loss")
    assert not found["equal"]


def grown(ledger: Ledger, config, events, last: Record) -> None:
    synthetic.begin(ledger, config)
    first = synthetic.records(config)[0]
    for message in (replace(first, widths=(1, 6)), *events, last):
        ledger.write(config, synthetic.as_dict(message))
    ledger.finish(config)


def test_diff_counts_growth_by_site_and_names_widths_by_the_sites_that_grew(ledger, document):
    last = replace(synthetic.records(trial())[-1], widths=(8, 6))
    added = synthetic.growth(30, added=5)
    grown(ledger, trial("tiny"), [added, replace(added, step=60, status="rejected")], last)
    grown(ledger, trial("gradmax"), [added], replace(last, widths=(9, 7), parameters=1))
    found = document("diff", trial("tiny").id, trial("gradmax").id)["differences"]
    assert found["architecture"] == {
        "width of layers.1": [8, 9],
        "width of site 2": [6, 7],
        "parameters": [last.parameters, 1],
    }
    assert found["growth events"] == {
        "layers.1: neurons added": [10, 5],
        "layers.1: neurons filled": [4, 2],
        "layers.1: attempts rejected": [1, None],
    }


def test_diff_says_so_where_two_are_equal_or_differ_in_clocks_alone(ledger, said, document):
    synthetic.run(ledger, trial())
    folder = ledger.trial_folder(trial())
    assert said("diff", str(folder), trial().id[:4]).endswith("The two are equal.")
    assert document("diff", str(folder), str(folder))["equal"]
    elsewhere = Ledger(ledger.folder.with_name("elsewhere"))
    records = synthetic.records(trial())
    synthetic.begin(elsewhere, trial())
    for record in records:
        if record.step in (30, 60, 90):
            elsewhere.write(trial(), synthetic.as_dict(synthetic.growth(record.step)))
        slower = replace(record, seconds=replace(record.seconds, train=99.0))
        elsewhere.write(trial(), synthetic.as_dict(slower))
    elsewhere.finish(trial())
    out = said("diff", str(folder), str(elsewhere.trial_folder(trial())))
    assert "The two are equal, clocks aside." in out
    assert "train 1.32 99" in out


def test_diff_of_a_failed_and_a_damaged_trial_shows_what_there_is(ledger, said, capsys):
    synthetic.run(ledger, trial())
    synthetic.fail(ledger, trial("gradmax"))
    out = said("diff", trial().id, trial("gradmax").id)
    assert "status ok diverged" in out
    assert "reason – DivergedError: the loss is NaN at step 75" in out
    folder = ledger.trial_folder(trial())
    shutil.copy(folder / "curve.jsonl", folder / "run.json")
    assert status(["diff", str(folder), trial("gradmax").id]) == 0
    assert "digits/tiny" in capsys.readouterr().err


def test_diff_shows_enough_digits_to_see_the_difference(ledger, said):
    ended(ledger, trial(), 0.9, test_loss=0.123456781)
    ended(ledger, trial("fixed"), 0.9, test_loss=0.123456782)
    assert "test_loss 0.123456781 0.123456782" in said("diff", trial().id, trial("fixed").id)


def test_diff_refuses_what_is_no_trial(ledger, said):
    synthetic.run(ledger, trial())
    for name in ("ffff", "tiny", "elsewhere/s0"):
        assert f"there is no trial '{name}'" in said("diff", trial().id, name, code=2)


def test_a_method_that_cannot_be_read_is_not_unknown(ledger, said):
    for name in ("tiny", "fixed"):
        ended(ledger, trial(name), 0.9)
    (ledger.trial_folder(trial("tiny")) / "run.json").write_text("{")
    err = said("compare", "tiny", "fixed", code=3)
    assert "run.json is damaged" in err
    assert "there are no trials of tiny that can be read in" in err
    assert "unknown method 'gradmax'" in said("compare", "gradmax", "fixed", code=2)
