import gc
import gzip
import hashlib
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from server import served

from nas_bench.tasks.mnist import Mnist
from nas_bench.training.pixels import moments
from nas_bench.training.task import DataMissingError
from nas_bench.training.torchvision_data import FILES, arrays

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def idx(values):
    """Bytes of the IDX format that MNIST's files have."""
    header = struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape)
    return header + bytes(values.flatten().tolist())


@pytest.fixture
def contents():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (30, 28, 28), generator=generator)
    labels = torch.arange(30) % 10
    values = (images[:20], labels[:20], images[20:], labels[20:])
    return {file: idx(part) for file, part in zip(FILES, values, strict=True)}


@pytest.fixture
def server(tmp_path, monkeypatch, contents):
    """The folder of a download server on this machine."""
    import torchvision

    folder = tmp_path / "server"
    folder.mkdir()
    packed = {f"{file}.gz": gzip.compress(content) for file, content in contents.items()}
    for file, content in packed.items():
        (folder / file).write_bytes(content)
    sums = [(file, hashlib.md5(content).hexdigest()) for file, content in packed.items()]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
    with served(folder) as url:
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [f"{url}/"])
        yield folder
    gc.collect()  # torchvision's forgotten sockets, while their warnings are ignored


def test_missing_files_are_downloaded_once_and_whole_by_several_at_a_time(tmp_path, server):
    folder = tmp_path / "data"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Mnist().fetch(folder), range(4)))
    (images, labels), (test_images, _) = arrays("MNIST", folder)
    assert (images.shape, test_images.shape) == ((20, 1, 28, 28), (10, 1, 28, 28))
    assert labels.tolist() == [index % 10 for index in range(20)]
    assert not list(folder.glob(".download-*"))
    for file in server.iterdir():
        file.unlink()
    Mnist().fetch(folder)


def test_archives_put_there_by_hand_are_unpacked_without_a_network(tmp_path, server):
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in server.iterdir():
        file.rename(raw / file.name)
    Mnist().fetch(tmp_path / "data")
    assert all((raw / file).is_file() for file in FILES)


def test_without_network_one_sentence_names_the_folder_and_the_files(tmp_path, server):
    for file in server.iterdir():
        file.unlink()
    with pytest.raises(DataMissingError) as caught:
        Mnist().load(tmp_path / "data")
    said = str(caught.value)
    assert "\n" not in said
    assert all(part in said for part in (str(tmp_path / "data"), *FILES, "--data"))


def test_a_corrupted_download_is_refused(tmp_path, server):
    (server / f"{FILES[0]}.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(DataMissingError):
        Mnist().fetch(tmp_path / "data")


def test_damaged_files_are_named_with_the_cure(tmp_path, server):
    Mnist().fetch(tmp_path)
    (tmp_path / "MNIST" / "raw" / FILES[0]).write_bytes(b"\0\0\10\3")
    with pytest.raises(DataMissingError, match=r"damaged .* delete that folder"):
        arrays("MNIST", tmp_path)


def test_pixels_are_normalised_by_the_training_set(tmp_path, server):
    train, test = Mnist().load(tmp_path)
    assert train.inputs.shape == (20, 1, 28, 28)
    assert float(train.inputs.mean()) == pytest.approx(0, abs=1e-5)
    assert float(train.inputs.std(correction=0)) == pytest.approx(1, abs=1e-5)
    mean, deviation = moments(arrays("MNIST", tmp_path)[0][0])
    pixels = arrays("MNIST", tmp_path)[1][0]
    assert torch.allclose(test.inputs * deviation + mean, pixels / 255, atol=1e-6)
