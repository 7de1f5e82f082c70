from pathlib import Path

import pytest
import torch
from sklearn import datasets

from nas_bench import plugins
from nas_bench.specs import InputError

TABLES = {"iris": 150, "wine": 178, "breast_cancer": 569, "diabetes": 442}


def loaded(spec):
    return plugins.task(spec).load(Path("nowhere"))


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_split_once_and_standardised_on_training_rows(name):
    train, test = loaded(name)
    assert len(train) + len(test) == TABLES[name]
    assert len(test) == pytest.approx(TABLES[name] / 5, abs=2)
    torch.testing.assert_close(train.inputs.mean(0), torch.zeros(train.inputs.shape[1]),
                               rtol=0, atol=1e-5)  # fmt: skip
    torch.testing.assert_close(train.inputs.std(0), torch.ones(train.inputs.shape[1]))
    again, _ = loaded(name)
    assert torch.equal(train.inputs, again.inputs)
    raw = getattr(datasets, f"load_{name}")(return_X_y=True)[0]
    both = torch.cat((train.inputs, test.inputs)).double()
    for column in range(raw.shape[1]):  # the same rows, in other units and another order
        theirs = torch.tensor(raw[:, column]).double()
        ours = both[:, column] * (theirs.std() / both[:, column].std())
        ours = ours - ours.mean() + theirs.mean()
        torch.testing.assert_close(ours.sort().values, theirs.sort().values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_classes_have_equal_shares_in_both_parts(name):
    shares = [part.targets.bincount() / len(part) for part in loaded(name)]
    torch.testing.assert_close(shares[0], shares[1], rtol=0, atol=0.03)


def test_a_regressions_loss_is_one_for_the_mean():
    train, _ = loaded("diabetes")
    loss = plugins.task("diabetes").loss
    assert float(loss(torch.zeros_like(train.targets), train.targets)) == pytest.approx(1)


def test_spirals_are_those_of_the_classic():
    train, test = loaded("spirals")
    assert (len(train), len(test)) == (194, 192)
    assert train.targets.bincount().tolist() == [97, 97]
    assert torch.equal(train.inputs[:97], -train.inputs[97:])
    radii = train.inputs.norm(dim=1)
    assert float(radii[0]) == 1.0
    assert float(radii[96]) == pytest.approx(8 / 104)
    nearest = torch.cdist(test.inputs, train.inputs).argmin(1)
    assert torch.equal(train.targets[nearest], test.targets)


@pytest.mark.slow
def test_spirals_cannot_be_told_by_a_line_and_can_be_by_the_target_network():
    train, _ = loaded("spirals")
    torch.manual_seed(0)
    found = {}
    for widths in ((1, 1), (32, 32)):
        model = plugins.task("spirals").network(widths)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(1500):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(train.inputs), train.targets).backward()
            optimizer.step()
        found[widths] = float((model(train.inputs).argmax(1) == train.targets).float().mean())
    assert found[1, 1] < 0.7
    assert found[32, 32] > 0.97


@pytest.mark.parametrize("dimension", [1, 5, 64])
def test_as_many_inputs_are_independent_as_the_dimension_says(dimension):
    train, test = loaded(f"effective_dimension[dimension={dimension}]")
    assert (len(train), len(test)) == (4000, 1000)
    assert train.inputs.shape[1] == 64
    assert int(torch.linalg.matrix_rank(train.inputs.double(), rtol=1e-5)) == dimension
    torch.testing.assert_close(train.inputs.std(0), torch.ones(64), rtol=0.1, atol=0)
    assert float(train.targets.double().mean()) == pytest.approx(0.5, abs=0.03)


def test_the_class_follows_the_sum_of_the_independent_features():
    train, _ = loaded("effective_dimension")
    said = (train.inputs[:, :16].sum(1) > 0).long()
    assert float((said == train.targets).double().mean()) == pytest.approx(0.965, abs=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [("dimension=65", "dimension is 65, expected a number from 1 to features, 64"),
     ("samples=3", "samples is 3"), ("draw=-1", "draw is -1"),
     ("samples=1000000000000", "from 50 to 10\\^6"), ("features=1000000000", "from 1 to 10\\^4")],
)  # fmt: skip
def test_data_that_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        plugins.task(f"effective_dimension[{options}]")
