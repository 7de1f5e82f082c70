"""Tables that people bring as .csv or .parquet files: features and one target column."""

import csv
import functools
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from nas_bench.specs import said, shown, unknown
from nas_bench.text import counted, shortened
from nas_bench.training.data import split
from nas_bench.training.file_task import Mark, mark, reading
from nas_bench.training.task import Samples

if TYPE_CHECKING:
    from pandas import Series

Columns = dict[str, "Series"]
Kind = Literal["auto", "classification", "regression"]
TEST_FRACTION, TEST_SEED = 0.2, 20240529
MEBIBYTES, COLUMNS, CELLS = 256, 10_000, 5 * 10**7
"""Of a file, and of the table in it, at most; with a column for every category, too."""
CATEGORIES, CLASSES = 100, 1000
"""Different texts in a column of features and values in a target of classes, at most."""
ROWS, ROWS_OF_CLASS = 10, 3
"""At least."""
_LONGEST_HEADER = 1 << 20
_AMOUNT = re.compile(
    r"[-+]?[\d.,]*\d[\d.,]*(e[-+]?\d+)?\s?%?|\d{1,4}([-/.])\d{1,2}\2\d{1,4}\b.*", re.I | re.A
)
"""Texts that stand for numbers or dates, whatever the country."""
_EXPECTED = "a .csv or .parquet file"


@dataclass(frozen=True)
class Table:
    """What is in a table.

    Attributes:
        train: four fifths of the rows; test: the others.
        classes: how many there are, 1 for a regression.
    """

    train: Samples
    test: Samples
    classes: int

    @property
    def features(self) -> int:
        """How many inputs a row has."""
        return self.train.inputs.shape[1]


def table(path: Path, target: str, kind: Kind) -> Table:
    """The rows of a file, split and standardised; the latest two stay in memory.

    A fifth of the rows, always the same, are the test set, classes in equal shares. Columns of
    numbers are normalised with mean and deviation of the training rows, and so is the target of a
    regression. A column of texts becomes a feature of 0 and 1 for each of them, in their order.

    Args:
        path: of a .csv file (UTF-8, commas, names in the first line) or a .parquet file.
        target: name of the column that is predicted.
        kind: auto: floats are a regression; texts, whole numbers, true and false are classes.

    Raises:
        DataMissingError: if the file cannot be read, is too large, or no network can learn it.
    """
    with reading(path):
        return _table(path, target, kind, mark(path, _EXPECTED, MEBIBYTES))


@functools.lru_cache(maxsize=2)
def _table(path: Path, target: str, kind: Kind, _mark: Mark) -> Table:
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"its name ends in {path.suffix or 'nothing'}: give {_EXPECTED}")
    with path.open("rb") as file:
        columns = read(file)
    if target not in columns:
        named = unknown("column", target, columns) if target else "no target is named"
        raise ValueError(f"{shortened(named, 300)}: table[path=FILE,target=COLUMN]")
    if (rows := len(columns[target])) < ROWS:
        raise ValueError(f"it has {counted(rows, 'row')}, expected at least {ROWS}")
    if len(columns) < 2:
        raise ValueError(f"it has no column beside {shown(target)}: add features")
    for name, column in columns.items():
        _refuse_missing(name, column)
    answers = columns.pop(target)
    numbers, texts = _features(columns)
    if _are_classes(answers, kind):
        labels, classes = _labels(answers)
        return _split(numbers, texts, labels, labels, classes)
    values = torch.tensor(_numbers(target, answers))
    if bool((values == values[0]).all()):
        raise ValueError(
            f"column {shown(target)} has one value in all rows: choose another target"
        )
    return _split(numbers, texts, values[:, None], torch.zeros(len(values), dtype=torch.long), 1)


def _split(numbers: Tensor, texts: Tensor, targets: Tensor, strata: Tensor, classes: int) -> Table:
    """Both parts of the rows; `strata` are what both have in equal shares."""
    train, test = split(strata, TEST_FRACTION, Generator().manual_seed(TEST_SEED))
    inputs = torch.cat((_standardised(numbers, train), texts), 1)
    if classes == 1:
        targets = _standardised(targets, train)
    parts = [Samples(inputs[part], targets[part]) for part in (train, test)]
    return Table(parts[0], parts[1], classes)


def _standardised(columns: Tensor, train: Tensor) -> Tensor:
    """Less the mean and over the deviation of training rows, float32; constants become 0."""
    if not columns.shape[1]:
        return columns.float()
    sizes = columns.abs().amax(0).clamp(min=torch.finfo(torch.float64).tiny)
    columns = columns / sizes  # squares of what is very large or small stay numbers
    deviations = columns[train].std(0, correction=0)
    constant = deviations < 1e-12
    return ((columns - columns[train].mean(0)) / deviations.masked_fill(constant, 1.0)).float()


def _csv(file: BinaryIO) -> Columns:
    import pandas as pd

    names = _header(file.readline(_LONGEST_HEADER))
    file.seek(0)
    with warnings.catch_warnings(action="ignore"):
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of rows longer than the header
        try:
            frame = pd.read_csv(
                file, index_col=False, low_memory=False, encoding="utf-8-sig", compression=None
            )
        except UnicodeDecodeError as error:
            raise ValueError(f"it is no UTF-8 text ({error.reason}): save it as UTF-8") from error
        except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
            raise ValueError(f"it is no table of commas ({said(error).strip()})") from error
    if len(frame.columns) != len(names):
        raise ValueError("its first line has a line break within quotes: give columns short names")
    return {name: column for name, (_, column) in zip(names, frame.items(), strict=True)}


def _header(line: bytes) -> list[str]:
    """The names in the first line of a .csv file."""
    if len(line) == _LONGEST_HEADER:
        raise ValueError("its first line is longer than 1 MiB: it is to hold the columns' names")
    try:
        names = next(csv.reader([line.decode("utf-8-sig")]), [])
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no UTF-8 text ({error.reason}): save it as UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"its first line is no list of columns ({error})") from error
    _refuse_names(names)
    return names


def _parquet(file: BinaryIO) -> Columns:
    if find_spec("pyarrow") is None:
        raise ValueError(
            "Parquet files are read by pyarrow, which is not installed: "
            "pip install 'nas-bench[parquet]', or save it as .csv"
        )
    import pyarrow as pa
    from pyarrow import parquet

    try:
        reader = parquet.ParquetFile(file)
        schema, rows = reader.schema_arrow, reader.metadata.num_rows
        _refuse_names(schema.names)
        _refuse_cells(rows, len(schema.names))
        texts = [field.name for field in schema if _is_text(field.type)]
        for field in schema:
            if field.name not in texts and not _is_number(field.type):
                raise ValueError(
                    f"column {shown(field.name)} holds {field.type}: turn it into numbers or text"
                )
        parts = (reader.metadata.row_group(i) for i in range(reader.metadata.num_row_groups))
        if sum(part.total_byte_size for part in parts) > 4 * MEBIBYTES << 20:
            raise ValueError(f"it holds more than {4 * MEBIBYTES} MiB: give a part of it")
        found = parquet.ParquetFile(file, read_dictionary=texts).read()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is damaged or no Parquet file ({said(error)})") from error
    return {str(n): column for n, column in found.to_pandas(ignore_metadata=True).items()}


_READERS: dict[str, Callable[[BinaryIO], Columns]] = {".csv": _csv, ".parquet": _parquet}


def _is_text(kind: object) -> bool:
    return str(kind) in ("string", "large_string") or str(kind).startswith("dictionary<values=str")


def _is_number(kind: object) -> bool:
    plain = ("bool", "halffloat", "float", "double")
    return str(kind) in plain or str(kind).removeprefix("u").startswith("int")


def _refuse_names(names: Sequence[str]) -> None:
    if len(names) > COLUMNS:
        raise ValueError(f"it has {len(names)} columns, more than {COLUMNS}: leave some out")
    seen: set[str] = set()
    for place, name in enumerate(names, 1):
        if not name.strip() or name.startswith("__index_level_"):
            raise ValueError(
                f"column {place} has no name: name it, or leave it out (pandas writes row numbers "
                "unless told index=False)"
            )
        if name in seen:
            raise ValueError(f"two columns are named {shown(name)}: rename one")
        if name != name.strip(" \t"):
            raise ValueError(f"column {shown(name)} begins or ends with a blank: take it out")
        seen.add(name)


def _refuse_cells(rows: int, columns: int) -> None:
    if rows * columns > CELLS:
        raise ValueError(
            f"{rows} rows of {columns} columns are more than {CELLS} values: give fewer of either"
        )


def _refuse_missing(name: str, column: "Series") -> None:
    if missing := int(column.isna().sum()):
        raise ValueError(
            f"column {shown(name)} lacks {missing} of {len(column)} values: leave out these rows "
            "(dropna of pandas) or say what stands for them (fillna)"
        )


def _features(columns: Columns) -> tuple[Tensor, Tensor]:
    """Columns of numbers, float64, and of 0 and 1 for each text of the others, float32."""
    numbers, texts = [], []
    for name, column in columns.items():
        if _holds_text(column):
            texts.append(_texts(name, column))
        else:
            numbers.append(_numbers(name, column))
    rows = len(next(iter(columns.values())))
    _refuse_cells(rows, len(numbers) + sum(len(known) for known, _ in texts))
    ones = [torch.eye(len(known))[codes] for known, codes in texts]
    none = np.empty((rows, 0))
    return (
        torch.from_numpy(np.column_stack([none, *numbers])),
        torch.cat([torch.empty(rows, 0), *ones], 1),
    )


def _holds_text(column: "Series") -> bool:
    return column.dtype.kind not in "biuf"


def _numbers(name: str, column: "Series") -> np.ndarray:
    if _holds_text(column):
        raise ValueError(
            f"column {shown(name)} holds text, such as {shown(column.iloc[0])}, expected numbers"
        )
    values = column.to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"column {shown(name)} has infinite values: leave out these rows")
    return values


def _texts(name: str, column: "Series") -> tuple[np.ndarray, Tensor]:
    """The different texts of a column in their order, and which of them each row has."""
    found, codes = _distinct(column)
    if len(found) > CATEGORIES:
        raise ValueError(
            f"column {shown(name)} holds {len(found)} different texts, such as {shown(found[0])}, "
            f"more than {CATEGORIES}: leave it out, or turn it into numbers"
        )
    _refuse_amounts(name, found)
    return found, codes


def _refuse_amounts(name: str, texts: np.ndarray) -> None:
    """Refuse numbers and dates that are text: `0,5`, or a `?` among numbers; not `1`, `2`, `3`."""
    others = [text for text in texts if not _AMOUNT.fullmatch(text.strip())]
    if 2 * len(others) < len(texts) and not all(map(str.isdecimal, texts)):
        raise ValueError(
            f"column {shown(name)} holds text such as {shown(str((others or texts)[0]))} where "
            "numbers or dates seem to be meant: turn it into numbers, leave rows out, or begin "
            "categories with a letter"
        )


def _distinct(column: "Series") -> tuple[np.ndarray, Tensor]:
    """The different values of a column in their order, and which of them each row has."""
    import pandas as pd

    codes, met = pd.factorize(column)
    found = np.asarray(met)
    order = np.argsort(found)
    return found[order], torch.from_numpy(np.argsort(order)[codes])


def _are_classes(answers: "Series", kind: Kind) -> bool:
    return answers.dtype.kind != "f" if kind == "auto" else kind == "classification"


def _labels(answers: "Series") -> tuple[Tensor, int]:
    """The class of each row, and how many there are."""
    found, labels = _distinct(answers)
    name, other = shown(answers.name), "choose another target"
    if _holds_text(answers):
        _refuse_amounts(str(answers.name), found)
    if not _holds_text(answers) and len(found) > 2:
        other += ", or say kind=regression"
    if not 2 <= len(found) <= CLASSES:
        raise ValueError(
            f"column {name} has {len(found)} different values, expected 2 to {CLASSES} classes: "
            + other
        )
    counts = labels.bincount()
    fewest = int(counts.argmin())
    if (rows := int(counts[fewest])) < ROWS_OF_CLASS:
        raise ValueError(
            f"class {shown(str(found[fewest]))} of column {name} has {counted(rows, 'row')}, "
            f"expected at least {ROWS_OF_CLASS}: leave out the class, {other}"
        )
    return labels, len(found)
