"""Where the trials of a task train, and what is said about it."""

from dataclasses import replace

import pytest
import synthetic
import torch
from execution.trials import SETTINGS, config, job

from nas_bench.cli import main
from nas_bench.execution import ExecutionError, Settings
from nas_bench.execution.devices import Gpus, earlier, places, sentence
from nas_bench.execution.ray_tune import _resources
from nas_bench.execution.sweep import sweep
from nas_bench.results.environment import device_class
from nas_bench.results.ledger import Ledger
from nas_bench.specs import InputError
from nas_bench.trials.messages import as_dict

ONE, NONE = Gpus(1, "NVIDIA H200"), Gpus()
BOTH = ("cifar100", "digits")
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def where(settings=SETTINGS, gpus=ONE, before=None, tasks=BOTH):
    found = places(tasks, settings, gpus, before or {})
    return {task: (place.device, place.gpus) for task, place in found.items()}


def test_auto_takes_a_gpu_for_tasks_that_gain_from_one():
    assert where() == {"cifar100": ("cuda", 0.25), "digits": ("cpu", 0.0)}
    assert set(where(gpus=NONE).values()) == {("cpu", 0.0)}


@pytest.mark.parametrize("task", ["cifar10", "cifar100", "cifar100[architecture=vit]"])
def test_convolutions_and_transformers_gain_from_a_gpu(task):
    assert where(tasks=[task])[task][0] == "cuda"


@pytest.mark.parametrize("task", ["digits", "sine", "mnist", "fashion_mnist", "student_teacher"])
def test_small_mlps_do_not(task):
    assert where(tasks=[task])[task] == ("cpu", 0.0)


def test_a_device_that_is_asked_for_is_that_of_every_task():
    assert set(where(replace(SETTINGS, device="cpu")).values()) == {("cpu", 0.0)}
    cuda = where(replace(SETTINGS, device="cuda"))
    assert cuda == {"cifar100": ("cuda", 0.25), "digits": ("cuda", 1.0)}


def test_gpus_for_each_trial_ask_for_a_device_too():
    half = replace(SETTINGS, gpus_per_trial=0.5)
    assert set(where(half).values()) == {("cuda", 0.5)}
    assert set(where(replace(SETTINGS, gpus_per_trial=0.0)).values()) == {("cpu", 0.0)}


def test_auto_goes_on_where_the_results_of_a_task_are_from():
    assert where(before={"cifar100": {"cpu"}})["cifar100"] == ("cpu", 0.0)
    assert where(before={"digits": {"cuda"}})["digits"] == ("cuda", 1.0)
    assert where(before={"cifar100": {"cpu", "cuda"}})["cifar100"] == ("cuda", 0.25)


def test_auto_refuses_to_put_rows_of_a_cpu_beside_rows_of_a_gpu():
    with pytest.raises(
        InputError, match=r"cifar100 here are of a GPU.*mix them with --device cpu"
    ):
        where(gpus=NONE, before={"cifar100": {"cuda"}})
    assert where(replace(SETTINGS, device="cpu"), NONE, {"cifar100": {"cuda"}})


@pytest.mark.parametrize(("device", "gpus"), [("cuda", NONE), ("cuda:1", ONE)])
def test_a_gpu_that_is_not_there_is_one_sentence(device, gpus):
    with pytest.raises(ExecutionError, match=f"{device} was asked for, but there are . GPUs"):
        where(replace(SETTINGS, device=device), gpus)


def test_one_line_says_what_was_taken_and_why():
    found = places([*BOTH, "mnist"], SETTINGS, ONE, {})
    assert sentence(found, ONE) == (
        "cifar100 trains on cuda (NVIDIA H200): it gains from one; "
        "digits, mnist on cpu: too small to gain from a GPU"
    )
    here = places(["cifar10", "cifar100"], SETTINGS, NONE, {})
    assert sentence(here, NONE) == "cifar10, cifar100 train on cpu: there is no GPU"


def test_what_stays_in_the_ledger_and_what_goes_on_binds_not_what_is_replaced(tmp_path):
    ledger = Ledger(tmp_path)
    done, more, cut = (synthetic.trial(seed=seed) for seed in range(3))
    for trial, device in ((done, "cpu"), (cut, "NVIDIA H200")):
        ledger.write(trial, {"type": "started", "environment": {"device": device}})
    for record in synthetic.records(done):
        ledger.write(done, as_dict(record))
    ledger.finish(done)
    assert earlier([more], ledger.glances(), "none") == {done.task: {"cpu"}}
    assert earlier([done], ledger.glances(), "stale") == {}
    assert earlier([cut], ledger.glances(), "none") == {cut.task: {"cpu", "cuda"}}
    assert earlier([done, cut], ledger.glances(), "all") == {}


def test_devices_of_one_class_are_told_by_the_name_that_is_recorded():
    names = ("cpu", "mps", "NVIDIA H200", "NVIDIA A100-SXM4-40GB")
    assert [device_class(name) for name in names] == ["cpu", "mps", "cuda", "cuda"]


def test_ray_sets_aside_the_share_of_each_trial():
    ask = _resources(Settings(cpus_per_trial=2))
    jobs = replace(job(), device="cuda", gpus=0.25), job()
    asked = [ask({"spec": {"job": j.as_dict()}}).required_resources for j in jobs]
    assert asked == [{"CPU": 2, "GPU": 0.25}, {"CPU": 2}]


def test_a_job_keeps_its_device_on_the_way_to_a_worker():
    there = replace(job(), device="cuda", gpus=0.25)
    assert type(there).from_dict(there.as_dict()) == there


def test_a_sweep_says_its_devices_once_and_records_the_class(tmp_path):
    said: list[str] = []
    trials = [config(), config(seed=1)]
    ledger = Ledger(tmp_path)
    sweep(trials, ledger, "inline", SETTINGS, say=said.append)
    assert said == ["digits trains on cpu: too small to gain from a GPU"]
    assert {ledger.run(trial).environment["device"] for trial in trials} == {"cpu"}


@no_gpu
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--device", "cuda"), 4, "cuda was asked for, but there are 0 GPUs: use --device cpu"),
        (("--device", "mps"), 4, "no mps device here"),
        (("--device", "tpu"), 2, "'tpu' is none of auto, cpu, cuda, cuda:N and mps"),
        (("--device", "cpu", "--gpus-per-trial", "1"), 2, "--device cpu and --gpus-per-trial"),
        (("--device", "cuda", "--gpus-per-trial", "0"), 2, "--device cuda and --gpus-per-trial"),
        (("--device", "cuda:1", "--executor", "ray"), 2, "a GPU of Ray's choice, not cuda:1"),
        (("--gpus-per-trial", "0.5"), 4, "cuda was asked for, but there are 0 GPUs"),
    ],
)
def test_devices_that_cannot_be_are_refused_before_anything_runs(
    arguments, code, message, tmp_path, capsys
):
    where = ("--results", str(tmp_path / "results"), "--executor", "inline", *arguments)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--methods", "tiny", "--seeds", "0", *where])
    assert ended.value.code == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("results/*/*"))


def test_the_share_of_a_task_is_shown(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["ls", "tasks"])
    lines = {line.split()[0]: line.split()[2] for line in capsys.readouterr().out.splitlines()}
    assert (lines["cifar100"], lines["digits"] == "GPU") == ("GPU", False)
    with pytest.raises(SystemExit):
        main(["show", "cifar100[architecture=resnet18]", "--data", str(tmp_path)])
    assert ["gpu_share", "1.0"] in [line.split() for line in capsys.readouterr().out.splitlines()]
