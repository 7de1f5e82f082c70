"""SIGTERM and Ctrl-C: running trials keep their state, nothing else begins."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from benchmarks.crashes import Sweep, Tally, compare
from execution.trials import PLUGIN

from nas_bench.signals import ECHO, Stop, Terminated, terminable

pytestmark = pytest.mark.crash
WORDS = {signal.SIGTERM: (75, "Ended by SIGTERM"), signal.SIGINT: (130, "Interrupted")}


def statuses(folder):
    """The status of every trial that has begun."""
    paths = sorted(folder.glob("*/*/*/*/*/run.json"))
    return [json.loads(path.read_text())["status"] for path in paths]


def wait_for(condition, running, patience=300.0):
    deadline = time.monotonic() + patience
    while not condition():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(running, number):
    """Check the exit code and the last words; everything that was said on stderr."""
    _, errors = running.communicate(timeout=300)
    code, sentence = WORDS[number]
    assert running.returncode == code, errors
    assert errors.splitlines()[-1].startswith(sentence)
    assert "Traceback" not in errors
    return errors


# What hears signals --------------------------------------------------------------------------


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def test_the_first_signal_tells_whoever_listens_and_is_raised_at_the_end():
    heard = []
    with pytest.raises(Terminated), terminable() as stop:  # noqa: PT012
        with stop.heard_by(lambda: heard.append("told")):
            send()
            heard.append("went on")
        heard.append("not reached")
    assert heard == ["told", "went on"]


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_where_nobody_listens_it_is_raised_at_once(number, error):
    with pytest.raises(error), terminable():  # noqa: PT012
        send(number)
        pytest.fail("went on")


@pytest.mark.parametrize(("second", "later"), [(signal.SIGTERM, ECHO), (signal.SIGINT, 0.0)])
def test_the_second_signal_is_raised_at_once(second, later):
    with pytest.raises(KeyboardInterrupt), terminable() as stop, stop.heard_by(lambda: None):  # noqa: PT012
        send()
        time.sleep(later)
        send(second)
        pytest.fail("went on")


def test_a_signal_to_the_process_and_to_its_group_is_one_signal():
    heard = []
    with pytest.raises(Terminated), terminable() as stop, stop.heard_by(lambda: heard.append(1)):  # noqa: PT012
        send()
        send()
        heard.append("went on")
    assert heard == [1, "went on"]


def test_it_is_raised_when_the_grace_is_over_but_not_after_the_end():
    stop = Stop(grace=2 * ECHO)
    before = signal.signal(signal.SIGTERM, stop.hear)
    try:
        with pytest.raises(KeyboardInterrupt), stop.heard_by(lambda: None):  # noqa: PT012
            send()
            time.sleep(10)
            pytest.fail("went on")
        quick = Stop(grace=2 * ECHO)
        signal.signal(signal.SIGTERM, quick.hear)
        with pytest.raises(KeyboardInterrupt), quick.heard_by(lambda: None):
            send()
        time.sleep(3 * ECHO)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_it_is_raised_at_once_when_nobody_can_be_told():
    def full():
        raise OSError("no space left on device")

    with pytest.raises(Terminated), terminable() as stop, stop.heard_by(full):  # noqa: PT012
        send()
        pytest.fail("went on")


def test_in_other_threads_nothing_is_heard():
    def inside():
        with terminable() as stop:
            assert not stop.requested

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


# The command line ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nothing interrupts."""
    sweep = Sweep(tmp_path_factory.mktemp("whole"), "inline", 60, seeds="0-1", tasks="digits")
    sweep.finish()
    return sweep


@pytest.mark.parametrize(
    ("executor", "number", "send"),
    [
        ("inline", signal.SIGTERM, os.kill),
        ("inline", signal.SIGINT, os.killpg),  # as a terminal does
        ("ray", signal.SIGTERM, os.kill),
        ("ray", signal.SIGTERM, os.killpg),  # as `timeout` and batch systems do
        ("ray", signal.SIGINT, os.killpg),
    ],
)
def test_a_signal_keeps_what_runs_and_the_same_command_goes_on_to_the_same_bits(
    whole, tmp_path, executor, number, send
):
    sweep = replace(whole, folder=tmp_path / "results", executor=executor)
    running = sweep.start()
    states = lambda: list(sweep.folder.glob(".checkpoints/*/state.pt"))  # noqa: E731
    grown = lambda: any(p.stat().st_size for p in sweep.folder.glob("*/*/*/*/*/growth.jsonl"))  # noqa: E731
    wait_for(lambda: states() and grown(), running)
    begun = len(statuses(sweep.folder))
    send(running.pid, number)
    ended(running, number)
    after = statuses(sweep.folder)
    assert set(after) <= {"ok", "preempted"}
    assert begun <= len(after) <= begun + 1  # a trial may begin just then
    assert len(states()) == after.count("preempted") >= 1
    sweep.finish()
    tally = Tally()
    compare(whole.folder, sweep.folder, tally)
    assert tally.good, tally
    assert tally.resumed >= 1
    assert not list(sweep.folder.glob(".checkpoints/*"))


def test_a_signal_while_ray_starts_ends_before_any_trial(tmp_path):
    sweep = Sweep(tmp_path / "results", "ray", 60)
    running = sweep.start()
    wait_for(lambda: (sweep.folder / ".lock").exists(), running)
    time.sleep(2.5)
    start = time.monotonic()
    running.send_signal(signal.SIGTERM)
    ended(running, signal.SIGTERM)
    assert time.monotonic() - start < 20
    assert statuses(sweep.folder) == []


SLOW = ("--methods", "fixed", "--tasks", "slow", "--seeds", "0-1", "--no-baselines", "--quiet")


@pytest.mark.parametrize("number", WORDS, ids=["SIGTERM", "SIGINT"])
def test_a_second_signal_ends_at_once_what_takes_long(tmp_path, number):
    command = [sys.executable, "-m", "nas_bench", "run", *SLOW, "--executor", "inline"]
    running = subprocess.Popen(
        [*command, "--plugin", str(PLUGIN), "--results", str(tmp_path)],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: list(tmp_path.glob(".checkpoints/*/lease")), running)
    running.send_signal(number)
    time.sleep(4 * ECHO)  # also a slow machine then hears two signals
    assert running.poll() is None
    start = time.monotonic()
    running.send_signal(number)
    ended(running, number)
    assert time.monotonic() - start < 25  # neither the grace nor the trial, 60 s each
    assert statuses(tmp_path) == ["preempted"]
