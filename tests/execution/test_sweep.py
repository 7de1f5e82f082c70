import os

import pytest
from execution.trials import SETTINGS, config

from nas_bench.execution import Settings
from nas_bench.execution.sweep import Summary, sweep
from nas_bench.results.ledger import Ledger, LedgerError
from nas_bench.results.lock import locked
from nas_bench.trials.config import Budget, Twin

pytestmark = pytest.mark.slow  # trials run


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "results")


def twin(of, match):
    return of.model_copy(update={"twin": Twin(of=of.id, match=match)})


def run(configs, ledger, rerun="none"):
    ran = []

    def observe(config, message):
        if message["type"] in ("started", "failure"):
            ran.append((config.id, message["type"]))

    return sweep(configs, ledger, "inline", SETTINGS, rerun, observe), [
        identity for identity, kind in ran if kind == "started"
    ]


def test_what_has_a_result_is_skipped_and_more_seeds_extend_the_sweep(ledger):
    first, second = config(seed=0), config(seed=1)
    assert run([first], ledger) == (Summary(1, 0, 0), [first.id])
    assert run([first, second], ledger) == (Summary(1, 0, 1), [second.id])
    assert run([first, second], ledger) == (Summary(0, 0, 2), [])
    assert run([first, second], ledger, rerun="all")[0] == Summary(2, 0, 0)


def test_a_failed_trial_is_a_row_that_stays_until_it_is_asked_for(ledger):
    good, bad = config(), config("raises")
    assert run([bad, good], ledger) == (Summary(1, 1, 0), [bad.id, good.id])
    assert ledger.status(bad) == "failed"
    assert run([bad, good], ledger) == (Summary(0, 1, 1), [])
    assert run([bad, good], ledger, rerun="failed") == (Summary(0, 1, 1), [bad.id])


def test_an_interrupted_trial_is_preempted_and_begins_anew(ledger):
    cut = config("raises[error=KeyboardInterrupt]")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run([cut], ledger)
        assert ledger.status(cut) == "preempted"
    assert {run.attempts for run in ledger.runs()} == {2}


@pytest.mark.slow
def test_twins_get_the_final_widths_and_what_their_original_spent(ledger):
    original = config(method="tiny", kind="free")
    twins = [twin(original, "steps"), twin(original, "flops")]
    assert run([*twins, original], ledger)[0] == Summary(3, 0, 0)
    runs = {run.id: run.result for run in ledger.runs()}
    grown, by_steps, by_flops = (runs[config.id] for config in (original, *twins))
    assert grown.growth_flops > 0
    assert grown.widths == by_steps.widths == by_flops.widths
    assert by_steps.step == grown.step
    spent = grown.train_flops + grown.growth_flops
    assert 0.98 * spent < by_flops.train_flops <= spent


def test_the_twin_of_an_original_from_an_earlier_sweep_runs_alone(ledger):
    original = config(method="tiny")
    run([original], ledger)
    assert run([twin(original, "steps")], ledger)[0] == Summary(1, 0, 0)


def test_a_twin_without_original_is_a_failed_row_with_that_reason(ledger):
    failed, absent = config("raises"), config(seed=5)
    twins = [twin(failed, "steps"), twin(absent, "flops")]
    assert run([failed, *twins], ledger)[0] == Summary(0, 3, 0)
    reasons = {run.id: run.reason for run in ledger.runs()}
    assert "it is failed: ValueError: this network cannot be made" in reasons[twins[0].id]
    assert "it never ran" in reasons[twins[1].id]


def test_the_twin_of_an_original_that_took_no_step_is_a_failed_row_and_others_go_on(ledger):
    idle = config(method="tiny", kind="free", budget=Budget(flops=1.0))
    busy = config(method="tiny", kind="free")
    twins = [twin(of, match) for of in (idle, busy) for match in ("steps", "flops")]
    assert run([idle, busy, *twins], ledger)[0] == Summary(4, 2, 0)
    runs = {run.id: run for run in ledger.runs()}
    assert (runs[idle.id].status, runs[idle.id].result.step) == ("ok", 0)
    for failed in twins[:2]:
        assert runs[failed.id].status == "failed"
        assert "it took no step" in runs[failed.id].reason
    assert [runs[good.id].status for good in twins[2:]] == ["ok", "ok"]


def test_a_fault_of_the_machine_and_what_hangs_on_it_is_run_again(ledger, tmp_path):
    lacking = config(f"lacking[folder={tmp_path}/data]")
    twins = [twin(lacking, "steps")]
    assert run([lacking, *twins], ledger)[0] == Summary(0, 2, 0)
    assert run([lacking, *twins], ledger)[1] == [lacking.id]
    (tmp_path / "data").mkdir()
    assert run([lacking, *twins], ledger)[0] == Summary(2, 0, 0)


def test_a_damaged_curve_is_repaired_by_running_again(ledger):
    run([config()], ledger)
    (ledger.trial_folder(config()) / "curve.jsonl").unlink()
    assert ledger.status(config()) == "damaged"
    assert run([config()], ledger)[0] == Summary(1, 0, 0)
    assert ledger.status(config()) == "ok"


def test_a_second_sweep_of_a_folder_stops_at_once_unless_it_has_nothing_to_do(ledger):
    run([config()], ledger)
    with locked(ledger.folder):
        assert run([config()], ledger)[0] == Summary(0, 0, 1)
        with pytest.raises(LedgerError, match=rf"another nas-bench \(pid {os.getpid()} on"):
            run([config(seed=1)], ledger)
    assert run([config(seed=1)], ledger)[0] == Summary(1, 0, 0)


def test_missing_data_is_said_before_anything_runs(ledger, tmp_path, monkeypatch):
    import torchvision

    from nas_bench.training.task import DataMissingError

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    with pytest.raises(DataMissingError, match="MNIST is not in"):
        sweep([config(), config("mnist")], ledger, "inline", Settings(data=tmp_path))
    assert ledger.runs() == []
