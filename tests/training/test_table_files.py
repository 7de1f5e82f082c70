import os

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import datasets

from nas_bench import plugins
from nas_bench.training import table_files
from nas_bench.training.table_files import table
from nas_bench.training.task import DataMissingError


def rows(**changes):
    """Forty people, with changes; None leaves a column out."""
    i = np.arange(40)
    made = {
        "age": 20.0 + i,
        "city": np.array(["Rome", "Oslo", "Bern"])[i % 3],
        "member": i % 2 == 0,
        "paid": np.array(["no", "yes"])[(i // 4) % 2],
    } | changes
    return pd.DataFrame({name: column for name, column in made.items() if column is not None})


@pytest.fixture
def written(tmp_path):
    """Writes a frame, or a text as it is, into a file."""

    def write(content, kind="csv"):
        path = tmp_path / f"mine.{kind}"
        if isinstance(content, str | bytes):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        elif kind == "csv":
            content.to_csv(path, index=False)
        else:
            content.to_parquet(path)
        return path

    return write


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_a_real_table_gives_the_samples_of_the_embedded_task(name, written, tmp_path):
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    found = table(written(frame), "target", "auto")
    train, test = plugins.task(name).load(tmp_path)
    n = len(train)
    for ours, theirs in ((found.train, train), (found.test, test)):
        torch.testing.assert_close(ours.inputs, theirs.inputs * (n / (n - 1)) ** 0.5)
        torch.testing.assert_close(ours.targets, theirs.targets)
    assert found.classes == plugins.task(name).classes


def test_numbers_are_standardised_on_training_rows_and_texts_are_zero_and_one(written):
    found = table(written(rows()), "paid", "auto")
    assert (len(found.train), len(found.test), found.features, found.classes) == (32, 8, 5, 2)
    age, member = found.train.inputs[:, :2].T
    for column in (age, member):
        assert float(column.mean()) == pytest.approx(0, abs=1e-6)
        assert float(column.std(correction=0)) == pytest.approx(1)
    years = torch.cat((found.train.inputs[:, 0], found.test.inputs[:, 0])).sort().values
    torch.testing.assert_close(years.diff(), years.diff()[:1].expand(39))
    cities = torch.cat((found.train.inputs[:, 2:], found.test.inputs[:, 2:]))
    assert cities.sum(0).tolist() == [13, 13, 14]  # Bern, Oslo, Rome
    assert set(cities.flatten().tolist()) == {0, 1}


def test_csv_and_parquet_hold_the_same_table(written):
    one = table(written(rows()), "paid", "auto")
    frame = rows().assign(city=rows()["city"].astype("category"))
    for content in (rows(), frame):
        other = table(written(content, "parquet"), "paid", "auto")
        for a, b in ((one.train, other.train), (one.test, other.test)):
            assert torch.equal(a.inputs, b.inputs)
            assert torch.equal(a.targets, b.targets)


@pytest.mark.parametrize(
    ("target", "kind", "classes"),
    [("paid", "auto", 2), ("member", "auto", 2), ("age", "auto", 1), ("grade", "auto", 4),
     ("grade", "regression", 1), ("share", "classification", 2)],
)  # fmt: skip
def test_the_type_of_the_target_says_what_it_is_unless_the_option_does(
    target, kind, classes, written
):
    i = np.arange(40)
    path = written(rows(grade=i % 4, share=i % 2 / 2))
    found = table(path, target, kind)
    assert found.classes == classes
    assert found.train.targets.is_floating_point() == (classes == 1)
    assert found.train.targets.shape == ((32, 1) if classes == 1 else (32,))


def test_a_file_that_is_written_anew_is_read_anew(written):
    before = table(written(rows()), "paid", "auto").features
    assert table(written(rows(city=None)), "paid", "auto").features == before - 3


def test_columns_of_any_size_are_standardised(written):
    i = np.arange(40)
    path = written(rows(huge=i * 1e300, tiny=i * 1e-300, same=np.full(40, 7.5)))
    inputs = table(path, "paid", "auto").train.inputs
    torch.testing.assert_close(inputs[:, 2], inputs[:, 0])
    torch.testing.assert_close(inputs[:, 3], inputs[:, 0])
    assert inputs[:, 4].tolist() == [0] * 32


TEXT = "a,b\n" + "1,x\n2,y\n" * 10


@pytest.mark.parametrize(
    ("content", "target", "said"),
    [
        (rows(age=[*range(39), None]), "paid", "column 'age' lacks 1 of 40 values.*dropna"),
        (rows(paid=[None, *["a", "b", "c"] * 13]), "paid", "column 'paid' lacks 1 of 40"),
        (rows(age=[np.inf, *range(39)]), "paid", "column 'age' has infinite values"),
        (rows(name=[f"n{i}" for i in range(40)] * 1), "pay", r"unknown column 'pay': did you mean "
         r"paid\?: table\[path=FILE,target=COLUMN\]"),
        (rows(), "", "no target is named: table"),
        (rows(city=[f"city {i}" for i in range(40)] * 1)[:9], "paid", "it has 9 rows, expected"),
        (rows()[["paid"]], "paid", "no column beside 'paid'"),
        (rows(paid="yes"), "paid", "1 different values, expected 2 to 1000 classes: choose"),
        (rows(paid=["rare", *["a", "b", "c"] * 13]), "paid", "class 'rare' of column 'paid'"),
        (rows(n=range(40)), "n", "class '0' of column 'n' has 1 row, .* or say kind=regression"),
        ("", "b", "column 1 has no name|it is no table|no list of columns"),
        (b"\xff\xfe\x00", "b", "it is no UTF-8 text"),
        (TEXT.replace(",", ";"), "b", "unknown column 'b': .*a;b"),
        (TEXT + "1,2,3\n", "b", "it is no table of commas .*line 22, saw 3"),
        (TEXT.replace("x", "x,z"), "b", "it is no table of commas"),
        ("a,a,b\n" + "1,2,x\n" * 20, "b", "two columns are named 'a'"),
        ("a, b\n" + "1,x\n2,y\n" * 9, "b", "column ' b' begins or ends with a blank: take"),
        (",a,b\n" + "1,2,x\n" * 20, "b", "column 1 has no name: .*index=False"),
        ('a,"b\nc",d\n' + "1,2,x\n" * 20, "d", "line break within quotes"),
        ("a," * 11_000 + "b\n", "b", "11001 columns, more than 10000"),
        ("a" * (1 << 20), "b", "its first line is longer than 1 MiB"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused_in_one_sentence(content, target, said, written):
    path = written(content)
    with pytest.raises(DataMissingError, match=said) as raised:
        table(path, target, "auto")
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("values", "odd"),
    [
        (["1", "2", "?"], "'\\?'"),
        (["1.5", "2e3", "-7", "abc"], "'abc'"),
        (["0,5", "1,2"], "'0,5'"),
        (["10%", "20 %"], "'10%'"),
        (["1,234", "567"], "'1,234'"),
        (["2024-01-31", "2024-02-01 12:00"], "'2024-01-31'"),
        (["31.1.2024", "1.2.2024"], "'1.2.2024'"),
    ],
)
def test_numbers_and_dates_that_are_text_are_no_categories(values, odd, written):
    column = [values[i % len(values)] for i in range(40)]
    for target, changes in (("paid", {"city": column}), ("paid", {"paid": column})):
        with pytest.raises(DataMissingError, match=f"holds text such as {odd} where numbers"):
            table(written(rows(**changes)), target, "auto")


@pytest.mark.parametrize("values", [["18-25", "26-35", "65+"], ["1st", "2nd"], ["3+", "a1"]])
def test_categories_may_begin_with_digits(values, written):
    column = [values[i % len(values)] for i in range(40)]
    assert table(written(rows(city=column)), "paid", "auto").features == 2 + len(values)
    numbers = [str(i % 3) for i in range(40)]
    assert table(written(rows(city=numbers), "parquet"), "paid", "auto").features == 5


def test_a_table_without_numbers_needs_none(written):
    found = table(written(rows(age=None, member=None)), "paid", "auto")
    assert (found.features, found.train.inputs.isfinite().all()) == (3, True)


def test_texts_that_are_no_categories_and_no_numbers_are_refused(written):
    path = written(rows(name=[f"n{i}" for i in range(40)]))
    assert table(path, "paid", "auto").features == 45
    with pytest.raises(DataMissingError, match="column 'city' holds text, such as 'Rome'"):
        table(path, "city", "regression")
    frame = pd.concat([rows()] * 3, ignore_index=True)
    path = written(frame.assign(name=[f"n{i}" for i in range(120)]))
    with pytest.raises(DataMissingError, match="column 'name' holds 120 different texts, such as"):
        table(path, "paid", "auto")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"when": pd.Timestamp("2024-01-01")}, r"column 'when' holds timestamp\["),
        ({"list": [[1]] * 40}, "column 'list' holds list"),
        ({"bytes": [b"x"] * 40}, "column 'bytes' holds binary"),
    ],
)
def test_columns_of_parquet_that_are_neither_numbers_nor_text_are_named(changes, said, written):
    with pytest.raises(DataMissingError, match=said):
        table(written(rows(**changes), "parquet"), "paid", "auto")


def test_a_table_is_refused_by_its_size_before_it_is_read(written, monkeypatch):
    path = written(rows(), "parquet")
    monkeypatch.setattr(table_files, "CELLS", 100)
    with pytest.raises(DataMissingError, match="40 rows of 4 columns are more than 100 values"):
        table(path, "paid", "auto")
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # a hole that the disk does not have
    with pytest.raises(DataMissingError, match="has 1048576 MiB, more than 256"):
        table(path, "paid", "auto")


def test_damaged_parquet_and_a_missing_pyarrow_are_said(written, monkeypatch):
    path = written(b"PAR1" + bytes(100), "parquet")
    with pytest.raises(DataMissingError, match="damaged or no Parquet file"):
        table(path, "paid", "auto")
    monkeypatch.setattr(table_files, "find_spec", lambda name: None)
    with pytest.raises(DataMissingError, match=r"pip install 'nas-bench\[parquet\]', or save"):
        table(path, "paid", "auto")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_opened(make, tmp_path):
    make(tmp_path / "mine.csv")
    with pytest.raises(DataMissingError, match=r"mine\.csv is no regular file"):
        table(tmp_path / "mine.csv", "paid", "auto")


@pytest.mark.parametrize(
    ("name", "said"),
    [("none.csv", "there is no file"), ("a\0b.csv", "cannot be read"),
     ("x" * 300 + ".csv", "cannot be read"), ("mine.xlsx", "its name ends in .xlsx: give a .csv")],
)  # fmt: skip
def test_paths_of_any_kind_are_said(name, said, tmp_path):
    (tmp_path / "mine.xlsx").write_bytes(b"")
    with pytest.raises(DataMissingError, match=said):
        table(tmp_path / name, "paid", "auto")
