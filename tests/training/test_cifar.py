import gc
import hashlib
import io
import pickle
import re
import struct
import tarfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from server import served

from nas_bench.tasks.cifar10 import Cifar10
from nas_bench.tasks.cifar100 import Cifar100
from nas_bench.training.cifar import CIFAR10, CIFAR100
from nas_bench.training.data import data_folder
from nas_bench.training.task import DataMissingError

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

BOTH = pytest.mark.parametrize("files", [CIFAR10, CIFAR100], ids=["CIFAR-10", "CIFAR-100"])
SAMPLES = 20


class Python2(pickle._Pickler):
    """Writes bytes as Python 2 did, which wrote the published files."""

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, bytes: save_bytes}


def published(value):
    """The bytes of a file."""
    file = io.BytesIO()
    Python2(file, protocol=2).dump(value)
    return file.getvalue()


def contents(files, index):
    """What is in one file of a data set."""
    draw = np.random.default_rng(index)
    return {
        b"data": draw.integers(0, 256, (SAMPLES, 3072), dtype=np.uint8),
        files.labels: draw.integers(0, files.classes, SAMPLES).tolist(),
        b"coarse_labels": [0] * SAMPLES,
    }


def write(folder, files):
    """All files of a small data set, and what is in them."""
    place = folder / files.place
    place.mkdir(parents=True)
    written = [contents(files, index) for index in range(len(files.train) + 1)]
    for name, held in zip((*files.train, files.test), written, strict=True):
        (place / name).write_bytes(published(held))
    return written


@BOTH
def test_files_are_joined_in_order_and_rows_become_images(tmp_path, files):
    *train, test = write(tmp_path, files)
    (images, labels), (test_images, test_labels) = files.arrays(tmp_path)
    rows = np.concatenate([held[b"data"] for held in train])
    assert images.dtype == torch.uint8
    assert images.shape == (len(train) * SAMPLES, 3, 32, 32)
    assert np.array_equal(images[:, 1, 2, 3], rows[:, 1024 + 2 * 32 + 3])
    assert labels.tolist() == [label for held in train for label in held[files.labels]]
    assert np.array_equal(test_images.flatten(1), test[b"data"])
    assert test_labels.tolist() == test[files.labels]


def test_files_of_every_numpy_are_read(tmp_path):
    held, _ = write(tmp_path, CIFAR100)
    before = CIFAR100.arrays(tmp_path)
    core = re.compile(rb"numpy\._?core\.multiarray")
    for content in (published(held), pickle.dumps(held, protocol=2)):
        assert core.search(content)
        for module in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
            (tmp_path / CIFAR100.place / "train").write_bytes(core.sub(module, content))
            assert torch.equal(before[0][0], CIFAR100.arrays(tmp_path)[0][0])


class Program:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_a_file_that_would_run_a_program_is_refused_and_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, CIFAR100)
    (tmp_path / CIFAR100.place / "test").write_bytes(pickle.dumps(Program()))
    with pytest.raises(DataMissingError, match=r"asks for pathlib.*, which no array needs"):
        CIFAR100.arrays(tmp_path)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda held: held.pop(b"data"), "data"),
        (lambda held: held[b"labels"].pop(), r"images of shape \(20, 3072\) for 19 labels"),
        (lambda held: held.update({b"labels": [10] * SAMPLES}), "labels outside 0…9"),
        (lambda held: held.update({b"data": held[b"data"] / 2}), "has float64 images"),
        (lambda held: held.update({b"data": [1, 2]}), "list"),
    ],
)
def test_contents_that_do_not_fit_are_named_with_the_cure(tmp_path, damage, said):
    held = write(tmp_path, CIFAR10)[0]
    damage(held)
    (tmp_path / CIFAR10.place / "data_batch_1").write_bytes(published(held))
    with pytest.raises(DataMissingError, match=rf"damaged \(.*{said}.*\): delete that folder"):
        CIFAR10.arrays(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_file_that_was_cut_off_is_named_with_the_cure(tmp_path, size):
    write(tmp_path, CIFAR10)
    path = tmp_path / CIFAR10.place / "test_batch"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataMissingError, match=r"damaged .* delete that folder"):
        Cifar10().load(tmp_path)


def test_every_channel_is_normalised_by_the_training_set(tmp_path):
    write(tmp_path, CIFAR10)
    train, test = Cifar10().load(tmp_path)
    assert train.inputs.dtype == torch.float32
    assert train.inputs.mean((0, 2, 3)).abs().max() < 1e-6
    assert (train.inputs.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    (images, _), (test_images, _) = CIFAR10.arrays(tmp_path)
    bright = images[:, 2].double() / 255
    expected = (test_images[:, 2] / 255 - bright.mean()) / bright.std(correction=0)
    assert torch.allclose(test.inputs[:, 2], expected.float(), atol=1e-5)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """The archive of a small CIFAR-100, where torchvision believes the real one to be."""
    import torchvision

    origin = tmp_path / "origin"
    write(origin, CIFAR100)
    (origin / CIFAR100.place / "meta").write_bytes(pickle.dumps({"fine_label_names": []}))
    path = origin / CIFAR100.archive
    with tarfile.open(path, "w:gz") as packed:
        packed.add(origin / CIFAR100.place, CIFAR100.place)

    def summed(name):
        return [name, hashlib.md5((origin / CIFAR100.place / name).read_bytes()).hexdigest()]

    dataset = torchvision.datasets.CIFAR100
    monkeypatch.setattr(dataset, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(dataset, "train_list", [summed("train")])
    monkeypatch.setattr(dataset, "test_list", [summed("test")])
    monkeypatch.setattr(dataset, "meta", {**dataset.meta, "md5": summed("meta")[1]})
    with served(origin) as url:
        monkeypatch.setattr(dataset, "url", f"{url}/{path.name}")
        yield path
    gc.collect()  # torchvision's forgotten sockets, while their warnings are ignored


def test_missing_files_are_downloaded_in_the_layout_of_torchvision(tmp_path, archive):
    import torchvision

    folder = tmp_path / "data"
    assert not Cifar100().present(folder)
    Cifar100().fetch(folder)
    assert Cifar100().present(folder)
    assert len(torchvision.datasets.CIFAR100(folder)) == SAMPLES
    archive.unlink()
    assert len(Cifar100().load(folder)[0]) == SAMPLES
    assert not list(folder.glob(".download-*"))


def test_an_archive_put_there_by_hand_is_unpacked_without_a_network(tmp_path, archive):
    folder = tmp_path / "data"
    folder.mkdir()
    archive.rename(folder / archive.name)
    assert len(Cifar100().load(folder)[0]) == SAMPLES


def test_without_network_one_sentence_names_the_folder_and_the_archive(tmp_path, archive):
    archive.unlink()
    with pytest.raises(DataMissingError) as caught:
        Cifar100().load(tmp_path / "data")
    said = str(caught.value)
    assert "\n" not in said
    assert all(part in said for part in (str(tmp_path / "data"), CIFAR100.archive, "--data"))


def test_the_published_cifar100_is_read():
    folder = data_folder()
    if not Cifar100().present(folder):
        pytest.skip(f"CIFAR-100 is not in {folder}")
    (images, labels), (test_images, test_labels) = CIFAR100.arrays(folder)
    assert (images.shape, test_images.shape) == ((50_000, 3, 32, 32), (10_000, 3, 32, 32))
    assert torch.bincount(labels).tolist() == [500] * 100
    assert torch.bincount(test_labels).tolist() == [100] * 100
    assert images.float().mean((0, 2, 3)).tolist() == pytest.approx([129.3, 124.1, 112.4], abs=0.1)
