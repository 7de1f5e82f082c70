from pathlib import Path

import numpy as np
import pytest
import torch

from nas_bench import plugins
from nas_bench.cli import status
from nas_bench.contract import check_task
from nas_bench.specs import InputError
from nas_bench.tasks.image_arrays import ImageArrays
from nas_bench.training.array_files import arrays
from nas_bench.training.data import data_folder
from nas_bench.training.task import DataMissingError


@pytest.fixture
def path(tmp_path):
    """A file with 40 and 20 colour images of four classes."""
    draw = np.random.default_rng(0)
    np.savez(
        tmp_path / "mine.npz",
        x_train=draw.integers(0, 256, (40, 9, 7, 3), dtype=np.uint8),
        y_train=np.arange(40) % 4,
        x_test=draw.integers(0, 256, (20, 9, 7, 3), dtype=np.uint8),
        y_test=np.arange(20) % 4,
    )
    return tmp_path / "mine.npz"


def test_the_network_has_the_size_of_the_arrays(path):
    task = ImageArrays(path=str(path))
    train, test = task.load(Path())
    assert (train.inputs.shape, test.inputs.shape) == ((40, 3, 9, 7), (20, 3, 9, 7))
    assert task.network(task.target_widths)(test.inputs).shape == (20, 4)


def test_every_channel_is_normalised_by_the_training_set(path):
    train, test = ImageArrays(path=str(path)).load(Path())
    assert train.inputs.mean((0, 2, 3)).abs().max() < 1e-5
    assert (train.inputs.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    assert test.inputs.mean((0, 2, 3)).abs().max() > 1e-5


def test_arrays_keep_the_contract_of_tasks_as_far_as_it_is_about_data(path):
    checks = check_task(ImageArrays(path=str(path)), Path())
    failed = {check.name for check in checks if not check.ok}
    assert failed <= {"has a site for every width"}


def test_a_relative_path_is_one_from_the_working_directory(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    spec = plugins.canonical("image_arrays[path=mine.npz]", "task")
    assert spec == f'image_arrays[path="{path}"]'
    monkeypatch.chdir("/")
    assert plugins.canonical(spec, "task") == spec
    assert plugins.task(spec).network((1, 1, 1, 1, 1))


def test_without_a_file_one_sentence_says_how_to_name_one(tmp_path):
    task = ImageArrays()
    assert not task.present(tmp_path)
    with pytest.raises(InputError, match=r"image_arrays\[path=FILE\.npz\]"):
        task.fetch(tmp_path)
    for call in (task.load, lambda _: task.network((1, 1, 1, 1, 1))):
        with pytest.raises(DataMissingError, match=r"image_arrays\[path=FILE\.npz\]"):
            call(tmp_path)


def test_a_file_that_does_not_fit_is_refused_before_any_trial(path):
    np.savez(path, x_train=np.zeros((3, 8, 8)))
    with pytest.raises(InputError, match="it lacks y_train"):
        ImageArrays(path=str(path)).fetch(Path())


@pytest.mark.parametrize(
    ("verb", "code"), [("check", 5), ("show", 0), ("plan", 0), ("run", 2), ("run none", 2)]
)
def test_every_verb_names_what_is_wrong_with_the_file(verb, code, path, capsys, monkeypatch):
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("COLUMNS", "1000")  # no line is wrapped within the path
    path.write_bytes(path.read_bytes()[:900])
    verb, _, none = verb.partition(" ")
    spec = "image_arrays" if none else "image_arrays[path=mine.npz]"
    options = {
        "plan": ("--methods", "fixed"),
        "run": ("--methods", "fixed", "--executor", "inline"),
    }
    names = (spec,) if verb in ("check", "show") else ("--tasks", spec)
    assert status([verb, *names, *options.get(verb, ())]) == code
    said = "".join(capsys.readouterr()).replace("\n", " ")
    assert (
        "name one, image_arrays[path=FILE.npz]" in said if none else "mine.npz is damaged" in said
    )


def test_the_recovered_cifar10_is_read():
    path = data_folder() / "cifar10-recovered.npz"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    (images, labels), (test_images, _) = arrays(path)
    assert images.shape[1:] == test_images.shape[1:] == (3, 32, 32)
    assert torch.bincount(labels).min() > 4900
    network = ImageArrays(path=str(path)).network((1,) * 5)
    assert network(test_images[:2] / 255).shape == (2, 10)
