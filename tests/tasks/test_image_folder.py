import os
import shutil
from pathlib import Path

import numpy as np
import pictures
import pytest
import torch
from benchmarks.streamed_images import memory
from PIL import Image
from training.test_streaming import without_clocks
from trials.test_resume import assert_resumes
from trials.test_trial import said, trial

from nas_bench.cli import status
from nas_bench.contract import check_task
from nas_bench.specs import InputError
from nas_bench.tasks.image_folder import ImageFolder
from nas_bench.training.image_files import EXTENSIONS, ImageFiles, damage, parts
from nas_bench.training.order import DataOrder
from nas_bench.training.soundness import loaded
from nas_bench.training.streaming import FEW
from nas_bench.training.task import DataMissingError
from nas_bench.trials import trial as module
from nas_bench.trials.config import Budget, Schedule

WIDTHS = {"seed_widths": (1, 1, 1, 1, 1), "target_widths": (3, 3, 3, 3, 3), "size": 16}
SHORT = {
    "budget": Budget(epochs=2), "schedule": Schedule(growths=1, every=1),
    "recipe": {"batch_size": 20, "learning_rate": 1e-2}, "evaluations": 2, "redraw_dead": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return pictures.folder(tmp_path_factory.mktemp("pictures") / "mine", train=24)


def task(folder, **options):
    return ImageFolder(path=str(folder), **WIDTHS | options)


@pytest.fixture
def copied(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_folders_are_classes_and_images_squares(folder):
    train, test = loaded(task(folder), Path())
    assert (len(train), len(test)) == (72, 12)
    assert train.targets.bincount().tolist() == [24, 24, 24]
    few = train.first(3)
    assert (few.inputs.shape, few.inputs.dtype) == ((3, 3, 16, 16), torch.float32)
    assert torch.equal(few.targets, torch.tensor([0, 0, 0]))
    network = task(folder).network((3, 3, 3, 3, 3))
    assert network(few.inputs).shape == (3, 3)
    assert task(folder, architecture="resnet", **_own()).network(_own()["seed_widths"])


def _own():
    return {"seed_widths": (1,) * 8, "target_widths": (2,) * 8}


def test_a_resnet_has_widths_of_its_own(folder):
    found = ImageFolder(path=str(folder), architecture="resnet")
    assert found.target_widths == (64, 64, 128, 128, 256, 256, 512, 512)
    assert found.seed_widths == (16, 16, 32, 32, 64, 64, 128, 128)


def test_the_layout_is_that_of_torchvision(folder):
    from torchvision.datasets import ImageFolder as Reference
    from torchvision.datasets.folder import IMG_EXTENSIONS

    assert EXTENSIONS == IMG_EXTENSIONS
    dataset, _ = task(folder).load(Path())
    reference = Reference(folder / "train")
    assert dataset.targets.tolist() == reference.targets
    paths = [str(dataset._path(i)) for i in range(len(dataset))]
    assert paths == [path for path, _ in reference.samples]


def test_training_sees_random_parts_and_everything_else_the_middle(folder):
    dataset, _ = task(folder).load(Path())
    assert isinstance(dataset, ImageFiles)
    torch.manual_seed(0)
    drawn = [dataset.augmented(5)[0] for _ in range(2)]
    assert not torch.equal(*drawn)
    assert torch.equal(dataset[5][0], dataset[5][0])
    still, _ = task(folder, crops="center").load(Path())
    assert torch.equal(still.augmented(5)[0], dataset[5][0])


@pytest.mark.slow
def test_a_folder_is_learned_from_and_grown_on_and_a_cut_trial_goes_on_bit_for_bit(
    folder, monkeypatch
):
    records, events = said(trial("random_growth", task(folder), **SHORT))
    assert records[-1].widths == (3, 3, 3, 3, 3)
    assert sum(event.added for event in events) > 0
    assert records[-1].test_accuracy > 0.5
    monkeypatch.setenv("NAS_BENCH_WORKERS", "0")
    again, _ = said(trial("random_growth", task(folder), **SHORT))
    assert without_clocks(again) == without_clocks(records)
    monkeypatch.setattr(module, "PAUSE_EVERY", 0.0)
    assert_resumes(
        lambda: trial("random_growth", task(folder), **SHORT), lambda pauses: (2, pauses - 1)
    )


def test_a_folder_keeps_the_contract_of_tasks(folder):
    failed = [check for check in check_task(task(folder), Path()) if not check.ok]
    assert not failed


def test_the_checksum_is_that_of_the_content(folder, copied):
    def checksum(where):
        return loaded(task(where), Path())[0].digest()

    assert checksum(copied) == checksum(folder)
    file = copied / "train" / "bee" / "00003.jpg"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    assert checksum(copied) != checksum(folder)


def test_hidden_files_and_links_to_folders_around_them_add_no_images(folder, copied):
    train, _ = loaded(task(folder), Path())
    hidden = copied / "train" / ".ipynb_checkpoints"
    hidden.mkdir()
    some = next((copied / "train").rglob("*.jpg"))
    shutil.copy(some, hidden)
    some.with_name("._1.jpg").write_bytes(b"left by another system")
    (some.parent / "around").symlink_to("..")
    (some.parent / "again").symlink_to(".")
    images, _ = loaded(task(copied), Path())
    assert images.targets.tolist() == train.targets.tolist()


def emptied(folder):
    for file in (folder / "train" / "bee").iterdir():
        file.unlink()


def in_its_place(folder):
    shutil.rmtree(folder / "val")
    (folder / "val").write_text("mine")


def unknown(folder):
    (folder / "val" / "dog").mkdir()


def alone(folder):
    for name in ("bee", "cat"):
        shutil.rmtree(folder / "train" / name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: shutil.rmtree(folder / "val"), "there is no folder .*val: give a folder"),
        (in_its_place, "there is no folder .*val: give a folder"),
        (emptied, r"bee has no images \(.bmp, .*put some there"),
        (unknown, "val has the class dog, which .*train lacks"),
        (alone, "train has 1 folder, expected one for each of at least 2 classes"),
    ],
)
def test_a_folder_of_another_form_is_refused_before_any_trial(change, sentence, copied):
    change(copied)
    with pytest.raises(InputError, match=sentence):
        task(copied).fetch(Path())


def test_an_image_that_cannot_be_read_is_named(copied):
    (copied / "train" / "cat" / "00002.jpg").write_bytes(b"no image")
    train, _ = loaded(task(copied), Path())
    with pytest.raises(DataMissingError, match=r"cat/00002\.jpg is no image that can be read"):
        list(train.batches(100))


def test_check_finds_damaged_images_without_decoding_those_that_are_sound(copied, capsys):
    cats = sorted((copied / "train" / "cat").iterdir())
    cats[2].write_bytes(b"no image")
    cats[4].write_bytes(cats[4].read_bytes()[:-200])
    cats[5].write_bytes(cats[5].read_bytes() + b"what a camera left")
    widths = ",".join(f"{name}={list(WIDTHS[name])}" for name in ("seed_widths", "target_widths"))
    spec = f"image_folder[path={copied},size=16,{widths}]"
    assert status(["check", spec]) == 5
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("FAILED")]
    assert "cat/00002.jpg is no image that can be read (" in line
    assert ", and 1 other: replace what is damaged or take it out" in line
    for file in (cats[2], cats[4]):
        file.unlink()
    assert status(["check", spec]) == 0


def test_a_png_that_was_cut_is_damaged(tmp_path):
    path = tmp_path / "a.png"
    Image.effect_noise((32, 32), 50).save(path)
    assert damage(path) is None
    path.write_bytes(path.read_bytes()[:-200])
    assert "truncated" in str(damage(path))


def test_a_pipe_among_the_images_is_none_of_them(copied):
    before = parts(copied)[0].files
    os.mkfifo(copied / "train" / "cat" / "pipe.jpg")
    assert np.array_equal(parts(copied)[0].files, before)


def test_without_a_folder_one_sentence_says_how_to_name_one(capsys):
    assert status(["check", "image_folder"]) == 0
    assert "not checked: image_folder has no folder: name one" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"image_folder\[path=FOLDER\]"):
        ImageFolder().fetch(Path())


@pytest.mark.parametrize("size", [7, 1025])
def test_a_size_out_of_range_is_refused(size, folder):
    with pytest.raises(ValueError, match=f"size is {size}, expected a whole number from 8"):
        task(folder, size=size)


@pytest.mark.slow
def test_memory_stays_as_it_is_while_the_folder_grows_tenfold(tmp_path, monkeypatch):
    """Of one process: what workers share with it cannot be told apart."""
    monkeypatch.setenv("NAS_BENCH_WORKERS", "0")
    more = []
    for train in (30, 300):
        place = pictures.folder(tmp_path / str(train), train)
        samples, _ = loaded(task(place, size=64), Path())
        feed, before = _fed(samples), memory()
        for batch in range(len(samples) // 20):
            feed.next(20, 20 * batch)
        for inputs, _ in samples.batches(FEW):
            assert len(inputs) <= FEW
        more.append(memory() - before)
    whole = len(samples) * samples.entries * 4
    assert whole > 44e6
    assert more[1] < max(more[0], 0) + whole / 3


def _fed(samples):
    """A feed that has begun."""
    feed = samples.feed(DataOrder(len(samples), torch.Generator()), "0/sample")
    feed.next(20, 0)
    return feed
