"""Table: the user's own rows, a .csv or .parquet file with a target column."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from torch import nn

from nas_bench.training import table_files
from nas_bench.training.file_task import FileTask
from nas_bench.training.mlp import Activation, mlp
from nas_bench.training.task import DataMissingError, Recipe, Samples


@dataclass(frozen=True)
class Table(FileTask):
    """Classes or numbers in one column, predicted from all others by an MLP.

    Rows are split and standardised as `nas_bench.training.table_files` says; the loss of a
    regression is 1 for the mean and 1 − R² in general.

    Attributes:
        target: name of the column that is predicted.
        kind: auto: a target of floats is a regression, any other is classes.
        activation: of the hidden layer.
    """

    name: ClassVar[str] = "table"
    summary: ClassVar[str] = "your own rows, table[path=FILE.csv,target=COLUMN], MLP"
    recipe: ClassVar[Recipe] = Recipe(optimizer="adam", learning_rate=3e-3, batch_size=32)

    seed_widths: tuple[int, ...] = (1,)
    target_widths: tuple[int, ...] = (32,)
    target: str = ""
    kind: table_files.Kind = "auto"
    activation: Activation = "relu"

    @property
    def metric(self) -> Literal["accuracy", "loss"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See the base class; accuracy, too, while there is no file that tells."""
        return "loss" if self.path and self._table().classes == 1 else "accuracy"

    def check_file(self) -> None:
        """See the base class."""
        self._table()

    def load(self, folder: Path) -> tuple[Samples, Samples]:
        """See the base class; nothing is read from the folder."""
        found = self._table()
        return found.train, found.test

    def network(self, widths: Sequence[int]) -> nn.Module:
        """See the base class; inputs and outputs are those of the table."""
        found = self._table()
        return mlp(found.features, widths, found.classes, self.activation)

    @property
    def loss(self) -> nn.Module:
        """See the base class."""
        return nn.MSELoss() if self.metric == "loss" else nn.CrossEntropyLoss()

    def _table(self) -> table_files.Table:
        if not self.path:
            raise DataMissingError(
                "table has no file: name one and the column to predict, "
                "table[path=FILE.csv,target=COLUMN]"
            )
        return table_files.table(Path(self.path), self.target, self.kind)
