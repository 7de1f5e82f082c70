import hashlib
import os
from importlib.resources import files

import pytest
import torch

from nas_bench.training.task import DataMissingError
from nas_bench.training.text_files import EMBEDDED, text

SHA256 = "e528369dfeb2532e5bb0b8cc0e3f2e699d6645baa8307901b79e502dcc2e422b"


def test_the_embedded_text_is_the_one_whose_results_are_compared():
    content = (files("nas_bench.training") / "texts" / EMBEDDED).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256
    assert len(content) < 1 << 20
    assert content.startswith(b"Book I\n\nOf Man's first disobedience, and the fruit\n")
    found = text(None)
    assert bytes(ord(found.alphabet[code]) for code in found.codes) == content


def test_characters_are_numbered_in_the_order_of_unicode(tmp_path):
    (tmp_path / "mine.txt").write_text("zaλa😀", encoding="utf-8-sig")
    found = text(tmp_path / "mine.txt")
    assert found.alphabet == "azλ😀"
    assert found.codes.tolist() == [1, 0, 2, 0, 3]
    assert found.codes.dtype == torch.int64


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe\x00", "it is no UTF-8 text"), (b"", "it has 0 different characters"),
     (b"aaaa", "it has 1 different character, expected 2 to 1000"),
     ("".join(map(chr, range(20_000, 21_001))).encode(), "it has 1001 different characters")],
)  # fmt: skip
def test_what_is_no_text_is_refused_in_one_sentence(content, said, tmp_path):
    (tmp_path / "mine.txt").write_bytes(content)
    with pytest.raises(DataMissingError, match=rf"mine\.txt: {said}"):
        text(tmp_path / "mine.txt")


def test_pipes_and_files_that_are_too_large_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataMissingError, match="pipe is no regular file: give a text file"):
        text(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataMissingError, match="has 1048576 MiB, more than 16"):
        text(tmp_path / "large")
    with pytest.raises(DataMissingError, match="there is no file"):
        text(tmp_path / "none")
