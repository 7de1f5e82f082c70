"""Characters: the next one of a text, by a small GPT."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from torch import nn

from nas_bench.training.char_transformer import CharTransformer
from nas_bench.training.file_task import FileTask
from nas_bench.training.task import DataMissingError, Recipe, Samples
from nas_bench.training.text_files import Text, text

TEST_FRACTION = 0.1
SMALLEST = 100
"""Samples of a text, at least."""


@dataclass(frozen=True)
class CharLM(FileTask):
    """Two blocks whose MLPs grow; the score is the test loss in nats per token, a character.

    A sample is `context` characters one after the other, to be followed by the next `context`;
    samples do not overlap. The last tenth of the text is the test set. Without a path the text is
    Paradise Lost, which comes with the package.

    Attributes:
        context: characters that are read at once.

    References:
        Paradise Lost, Milton, 1667, in twelve books 1674; in the public domain.
    """

    name: ClassVar[str] = "char_lm"
    summary: ClassVar[str] = "next character of Paradise Lost, or char_lm[path=FILE], small GPT"
    metric: ClassVar[Literal["accuracy", "loss"]] = "loss"
    recipe: ClassVar[Recipe] = Recipe(optimizer="adamw", learning_rate=3e-3, batch_size=32)

    target_widths: tuple[int, ...] = (192, 192)
    context: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.context <= 1024:
            raise ValueError(f"context is {self.context}, expected a whole number from 2 to 1024")

    def check_file(self) -> None:
        """See the base class."""
        self._samples_of(self._text())

    def present(self, folder: Path) -> bool:
        """Always: a text comes with the package."""
        return True

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; nothing is read from the folder."""
        codes = self._text().codes
        samples = self._samples_of(self._text())
        test = round(TEST_FRACTION * samples)
        inputs, targets = (
            part[: samples * self.context].unflatten(0, (samples, self.context))
            for part in (codes[:-1].float(), codes[1:])
        )
        kept = samples - test
        return Samples(inputs[:kept], targets[:kept]), Samples(inputs[kept:], targets[kept:])

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class; it has an output for each character of the text."""
        return CharTransformer(len(self._text().alphabet), self.context, widths)

    @property
    def loss(self) -> nn.Module:
        """See the base class; the mean over all tokens of all samples."""
        return nn.CrossEntropyLoss()

    def _samples_of(self, found: Text) -> int:
        """How many samples a text has."""
        count = (len(found.codes) - 1) // self.context
        if count < SMALLEST:
            raise DataMissingError(
                f"{self.path} has {len(found.codes)} characters, expected more than {SMALLEST} "
                f"times context, {self.context}: give a longer text"
            )
        return count

    def _text(self) -> Text:
        return text(Path(self.path) if self.path else None)
