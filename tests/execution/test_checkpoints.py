"""What a trial keeps, and what becomes of it."""

import io
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from execution.trials import SETTINGS, config, without_clocks

from nas_bench.execution.checkpoints import (
    Checkpoints,
    LeaseLostError,
    OutOfTimeError,
    PreemptedError,
    _packed,
    ask_to_stop,
    asked_to_stop,
    forget_stop,
)
from nas_bench.execution.storage import Folder
from nas_bench.execution.sweep import sweep
from nas_bench.execution.worker import messages
from nas_bench.results.ledger import Ledger
from nas_bench.signals import Stop

SOURCES = {"core": "1", "data": "2"}
STATE = {"trial": {"weights": torch.arange(3.0), "step": 7}, "messages": [{"loss": 0.5}]}


def keeper(storage, lease="mine", **values):
    fields = {"trial": "t", "sources": SOURCES, "every": 0.0, **values}
    return Checkpoints(storage, lease=lease, **fields)


@pytest.fixture
def kept(tmp_path):
    """A storage with a state of the trial."""
    storage = Folder(tmp_path)
    first = keeper(storage)
    first.claim()
    first.pause(lambda: STATE)
    return storage


def loaded(storage, **values):
    """What the next attempt finds, and its remarks."""
    following = keeper(storage, **values)
    following.claim()
    return following.load(), following.remarks


def test_what_was_kept_is_loaded(kept):
    state, remarks = loaded(kept, lease="another")
    assert torch.equal(state["trial"].pop("weights"), torch.arange(3.0))
    assert state == {"trial": {"step": 7}, "messages": [{"loss": 0.5}]}
    assert remarks == []


def test_nothing_is_kept_without_a_storage_nor_before_it_is_time(tmp_path):
    nowhere = keeper(None)
    nowhere.claim()
    nowhere.pause(lambda: pytest.fail("asked for its state"))
    assert nowhere.load() is None
    seldom = keeper(Folder(tmp_path), every=60.0)
    seldom.claim()
    seldom.pause(lambda: pytest.fail("asked for its state"))
    assert loaded(Folder(tmp_path)) == (None, [])


@pytest.mark.parametrize(
    ("values", "origin"),
    [
        ({"sources": SOURCES | {"core": "9"}}, "other code, data or device"),
        ({"sources": SOURCES | {"data": "9"}}, "other code, data or device"),
    ],
)
def test_a_state_of_other_code_or_data_is_not_gone_on_from(kept, values, origin):
    assert loaded(kept, **values) == (None, [f"t/state.pt is of {origin}: the trial begins anew"])


def test_a_state_of_another_trial_is_not_gone_on_from(kept):
    content = kept.read("t/state.pt")
    kept.write("other/state.pt", content)
    state, (remark,) = loaded(kept, trial="other")
    assert state is None
    assert "is of another trial" in remark


def test_any_damage_is_seen_and_the_trial_begins_anew(kept):
    chance, content = random.Random(0), kept.read("t/state.pt")
    damaged = [b"", b"garbage", content[:-1], content[: len(content) // 2], content + b"x"]
    for _ in range(100):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(flipped))
    for each in damaged:
        kept.write("t/state.pt", each)
        state, (remark,) = loaded(kept)
        assert state is None
        assert remark.startswith("t/state.pt cannot be read (it is damaged)")
    kept.write("t/state.pt", content)
    assert loaded(kept)[0] is not None


class Malicious:
    def __reduce__(self):
        return Path.write_text, (Path("executed"), "")


@pytest.mark.parametrize("where", ["in the state", "instead of a state"])
def test_nothing_in_a_state_is_executed(kept, where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    origin = {"trial": "t", "sources": SOURCES, "elapsed": 0.0}
    state = origin | {"state": Malicious()} if where == "in the state" else Malicious()
    kept.write("t/state.pt", _packed(state))
    state, (remark,) = loaded(kept)
    assert state is None
    assert "cannot be read" in remark
    assert not (tmp_path / "executed").exists()
    torch.load(io.BytesIO(_packed(Malicious())[32:]), weights_only=False)
    assert (tmp_path / "executed").exists()  # it would have been


@pytest.mark.parametrize("values", [[1, 2], {"sources": SOURCES}, "text"])
def test_what_is_whole_but_no_state_is_no_state(kept, values):
    kept.write("t/state.pt", _packed(values))
    assert loaded(kept)[0] is None


def test_who_has_lost_the_trial_ends_and_writes_nothing(kept):
    old, young = keeper(kept, "old"), keeper(kept, "young")
    old.claim()
    young.claim()
    before = kept.read("t/state.pt")
    with pytest.raises(LeaseLostError, match="another sweep has taken trial t over"):
        old.pause(dict)
    assert kept.read("t/state.pt") == before
    kept.remove("t")
    with pytest.raises(LeaseLostError):
        young.pause(dict)
    assert kept.read("t/state.pt") is None


def test_only_the_sweep_that_was_asked_ends_and_its_state_is_kept(kept):
    mine, other = keeper(kept, "mine", every=60.0), keeper(kept, "other", trial="o")
    mine.claim()
    other.claim()
    ask_to_stop(kept, "mine")
    ask_to_stop(kept, "a third")
    other.pause(dict)
    with pytest.raises(PreemptedError):
        mine.pause(lambda: {"step": 8})
    assert loaded(kept)[0] == {"step": 8}
    forget_stop(kept, "mine")
    assert not asked_to_stop(kept, "mine")


def test_the_time_of_all_attempts_adds_up(tmp_path):
    storage = Folder(tmp_path)
    first = keeper(storage, timeout=100.0)
    first.claim()
    first.started -= 60.0
    first.pause(lambda: {"step": 1})
    second = keeper(storage, timeout=100.0, every=60.0)
    second.claim()
    assert second.load() == {"step": 1}
    second.pause(dict)
    second.started -= 50.0
    with pytest.raises(OutOfTimeError, match=r"ran for 110 s, longer than --timeout 100"):
        second.pause(lambda: {"step": 2})
    longer = keeper(storage, timeout=200.0)
    longer.claim()
    assert longer.load() == {"step": 2}
    longer.pause(dict)


def test_a_checkpoint_that_cannot_be_written_is_one_remark_and_the_trial_goes_on(tmp_path):
    (tmp_path / "t").write_text("in the way")
    storage, following = Folder(tmp_path), keeper(Folder(tmp_path))
    following.claim()
    for _ in range(3):
        following.pause(lambda: {"step": 1})
    (remark,) = following.remarks
    assert remark.startswith("checkpoints cannot be written (")
    (tmp_path / "t").unlink()
    following.pause(lambda: {"step": 2})
    assert loaded(storage)[0] == {"step": 2}


# Whole trials -------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "results")


@pytest.fixture
def settings(tmp_path):
    return replace(SETTINGS, storage=str(tmp_path / "kept"), checkpoint_every=0.0)


def run(configs, ledger, settings, rerun="none", end_after=None):
    """Sweep; what was said, ended after so many messages if asked."""
    stop, said = Stop(), []

    def observe(_, message):
        said.append(message)
        if len(said) == end_after:
            ask_to_stop(Folder(Path(settings.storage)), lease(settings))
            stop.signal = 15

    try:
        sweep(configs, ledger, "inline", settings, rerun, observe, stop)
    except KeyboardInterrupt:
        assert end_after is not None
    return said


def lease(settings):
    (mark,) = Path(settings.storage).glob("sweep-*")
    return mark.name.removeprefix("sweep-")


def is_kept(trial, settings):
    return (Path(settings.storage) / trial.id / "state.pt").exists()


@pytest.mark.slow
def test_an_ended_trial_goes_on_from_its_checkpoint_and_leaves_none(ledger, settings):
    trial = config(method="tiny")
    whole = without_clocks(list(messages(trial_job(trial), SETTINGS)))
    run([trial], ledger, settings, end_after=4)
    assert ledger.status(trial) == "preempted"
    assert is_kept(trial, settings)
    said = run([trial], ledger, settings)
    assert [message["type"] for message in said[:3]] == ["started", "loaded", "resumed"]
    assert ledger.status(trial) == "ok"
    assert without_clocks(said)[-1] == whole[-1]
    assert not list(Path(settings.storage).iterdir())
    results = ledger.run(trial)
    assert results.attempts == 2
    assert results.environment["resumed_at_step"] == said[2]["step"]
    assert said[2]["step"] >= max(message["step"] for message in said[2]["messages"])
    assert len(results.curve) == sum(message["type"] == "record" for message in whole)
    assert len(results.growth) == sum(message["type"] == "growth" for message in whole)


def trial_job(trial):
    from nas_bench.execution import Job

    return Job(trial)


def test_rerun_all_starts_from_scratch(ledger, settings):
    trial = config(method="tiny")
    run([trial], ledger, settings, end_after=4)
    assert is_kept(trial, settings)
    said = run([trial], ledger, settings, rerun="all")
    assert "resumed" not in {message["type"] for message in said}
    assert ledger.status(trial) == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"garbage", b""])
def test_a_trial_with_a_damaged_checkpoint_says_so_and_begins_anew(ledger, settings, damage):
    trial = config(method="tiny")
    run([trial], ledger, settings, end_after=4)
    (Path(settings.storage) / trial.id / "state.pt").write_bytes(damage)
    said = run([trial], ledger, settings)
    (remark,) = (message["message"] for message in said if message["type"] == "remark")
    assert "cannot be read (it is damaged): the trial begins anew" in remark
    assert ledger.status(trial) == "ok"


@pytest.mark.parametrize(
    ("task", "status", "stays"),
    [
        ("raises", "failed", False),
        ("diverges", "diverged", False),
        ("raises[error=MemoryError]", "oom", True),
    ],
)
def test_a_checkpoint_stays_only_where_it_is_worth_going_on(ledger, settings, task, status, stays):
    trial = config(task)
    run([trial], ledger, settings)
    assert ledger.status(trial) == status
    assert (Path(settings.storage) / trial.id).exists() == stays


@pytest.mark.slow
def test_a_trial_out_of_time_keeps_its_state_for_a_longer_time(ledger, settings):
    trial = config(method="tiny")
    run([trial], ledger, replace(settings, timeout=1e-6))
    assert ledger.status(trial) == "timeout"
    assert is_kept(trial, settings)
    assert run([trial], ledger, settings) == []
    said = run([trial], ledger, replace(settings, timeout=100.0), rerun="failed")
    assert "resumed" in {message["type"] for message in said}
    assert ledger.status(trial) == "ok"
    assert not is_kept(trial, settings)


def test_where_checkpoints_cannot_be_written_trials_end_well_with_one_remark(ledger, settings):
    trials = [config(method="tiny", seed=seed) for seed in range(2)]
    Path(settings.storage).mkdir()
    for trial in trials:
        (Path(settings.storage) / trial.id).symlink_to("/proc/nowhere")
    said = run(trials, ledger, settings)
    (remark,) = (message["message"] for message in said if message["type"] == "remark")
    assert remark.startswith("checkpoints cannot be written (")
    assert [ledger.status(trial) for trial in trials] == ["ok", "ok"]
