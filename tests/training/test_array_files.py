import io
import os
import zipfile

import numpy as np
import pytest
import torch

from nas_bench.training.array_files import Header, arrays, header
from nas_bench.training.task import DataMissingError


def values(**changes):
    """Arrays of 12 and 6 grey images of three classes, with changes; None leaves one out."""
    draw = np.random.default_rng(0)
    made = {
        "x_train": draw.integers(0, 256, (12, 8, 6), dtype=np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": draw.integers(0, 256, (6, 8, 6), dtype=np.uint8),
        "y_test": np.arange(6) % 3,
    } | changes
    return {name: array for name, array in made.items() if array is not None}


@pytest.fixture
def written(tmp_path):
    """Writes arrays into a file."""

    def write(**changes):
        path = tmp_path / "mine.npz"
        np.savez_compressed(path, **values(**changes))
        return path

    return write


def images(*shape, dtype=np.uint8):
    """Arguments for training and test images of this shape."""
    pixels = np.arange(np.prod(shape)) % 251
    return {
        "x_train": np.broadcast_to(pixels.reshape(shape), (12, *shape)).astype(dtype),
        "x_test": np.broadcast_to(pixels.reshape(shape), (6, *shape)).astype(dtype),
    }


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((8, 6), (1, 8, 6)),
        ((8, 6, 3), (3, 8, 6)),
        ((3, 8, 6), (3, 8, 6)),
        ((10, 20, 30), (10, 20, 30)),
        ((30, 20, 10), (10, 30, 20)),
        ((8, 9, 8), (8, 8, 9)),
    ],
)
def test_channels_are_the_smaller_of_the_second_and_the_last_dimension(written, shape, found):
    path = written(**images(*shape))
    assert header(path) == Header(found, 3)
    (read, _), _ = arrays(path)
    assert read.shape == (12, *found)


def test_both_layouts_of_the_same_images_are_read_as_the_same(written):
    last = images(8, 6, 3)
    (expected, _), _ = arrays(written(**last))
    first = {name: array.transpose(0, 3, 1, 2) for name, array in last.items()}
    (found, _), _ = arrays(written(**first))
    assert torch.equal(found, expected)
    assert found[0, 1, 2, 3] == last["x_train"][0, 2, 3, 1]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_floats_become_float32_and_labels_int64(written, dtype):
    labels = np.array([0, 1, 2] * 4, dtype=np.uint8)
    (read, targets), _ = arrays(written(**images(8, 6, dtype=dtype), y_train=labels))
    assert read.dtype == torch.float32
    assert targets.dtype == torch.int64
    assert read[0, 0, 1, 1] == 7


def test_the_header_is_read_without_the_images(written, tmp_path):
    path = written()
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content[:128] if name.startswith("x_") else content)
    assert header(path) == Header((1, 8, 6), 3)
    with pytest.raises(DataMissingError):
        arrays(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x_test": None, "y_test": None}, "it lacks x_test, y_test and has x_train, y_train"),
        ({"x_train": np.zeros((12, 8, 6), int)}, "x_train is int64, expected uint8 or floats"),
        ({"x_train": np.zeros((12, 8, 6), object)}, "x_train is object, expected uint8"),
        ({"x_train": np.zeros((12, 48), np.uint8)}, r"shape \(12, 48\), expected \(n, h, w\)"),
        ({"x_test": np.zeros((0, 8, 6), np.uint8)}, r"shape \(0, 8, 6\), expected"),
        (images(3, 9), "are 3 × 9 with 1 channel, expected at least 4 × 4 pixels"),
        ({"x_test": np.zeros((6, 8, 8), np.uint8)}, "8 × 6 with 1 channel and those of x_test 8"),
        ({"x_test": np.zeros((6, 8, 6))}, "one of x_train and x_test is uint8, the other not"),
        ({"x_train": np.full((12, 8, 6), np.nan)}, "x_train has values that are no finite"),
        ({"x_train": np.full((12, 8, 6), 1e300)}, "x_train has values that are no finite"),
        ({"y_train": np.zeros(12)}, r"y_train is float64 of shape \(12,\), expected whole"),
        ({"y_train": np.zeros(12)}, r"use y_train\.astype\(int\)\.ravel\(\)"),
        ({"y_train": np.zeros((12, 1), int)}, r"of shape \(12, 1\), .* of shape \(12,\).*ravel"),
        ({"y_train": np.eye(12)}, r"if a row has a 1 for its class, use y_train\.argmax\(1\)"),
        (
            {"y_train": np.array(["a", "b"] * 6)},
            r"with numpy\.unique\(y_train",
        ),
        (
            {"y_test": np.zeros(5, int)},
            r"int64 of shape \(5,\), .* shape \(6,\).* leave",
        ),
        ({"y_train": np.arange(12) % 3 + 1}, "3 different labels from 1 to 3, expected"),
        ({"y_train": np.arange(12) % 3 * 2}, "3 different labels from 0 to 4, expected"),
        ({"y_train": np.zeros(12, int)}, "1 different labels from 0 to 0, expected at least 2"),
        ({"y_test": np.full(6, 3)}, "y_test has the label 3, y_train only 0 to 2"),
        ({"y_test": np.full(6, -1)}, "y_test has the label -1, y_train only 0 to 2"),
    ],
)
def test_arrays_that_do_not_fit_get_one_sentence_with_the_file(written, changes, said):
    path = written(**changes)
    with pytest.raises(DataMissingError, match=said) as caught:
        arrays(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut off"])
def test_a_file_of_another_format_is_named_with_the_cure(tmp_path, content):
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    with pytest.raises(DataMissingError, match=r"mine\.npz is damaged or no .npz file .*savez"):
        header(path)


def test_damaged_contents_are_found(written):
    path = written()
    content = bytearray(path.read_bytes())
    start = content.index(b"x_train.npy") + 200
    content[start : start + 50] = bytes(50)
    path.write_bytes(content)
    with pytest.raises(DataMissingError, match=r"mine\.npz"):
        arrays(path)


def test_a_header_that_promises_more_than_there_is_costs_no_memory(tmp_path):
    header_of = io.BytesIO()
    shape = {"descr": "<i8", "fortran_order": False, "shape": (10**11,)}
    np.lib.format.write_array_header_1_0(header_of, shape)
    pixels = {"descr": "|u1", "fortran_order": False, "shape": (10**11, 8, 6)}
    images_of = io.BytesIO()
    np.lib.format.write_array_header_1_0(images_of, pixels)
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for part in ("train", "test"):
            archive.writestr(f"y_{part}.npy", header_of.getvalue() + bytes(80))
            archive.writestr(f"x_{part}.npy", images_of.getvalue() + bytes(80))
    with pytest.raises(DataMissingError, match="y_train promises 800000000000 bytes and has 208"):
        header(path)


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DataMissingError, match="is no regular file"):
        header(tmp_path / "pipe.npz")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataMissingError, match=r"there is no file .*other\.npz"):
        header(tmp_path / "other.npz")
    with pytest.raises(DataMissingError, match="is no regular file"):
        header(tmp_path)
