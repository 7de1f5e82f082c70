import torch

from nas_bench.tasks.digits import Digits


def test_the_test_set_is_always_the_same_and_holds_every_class(tmp_path):
    torch.manual_seed(1)
    train, test = Digits().load(tmp_path)
    torch.manual_seed(2)
    _, again = Digits().load(tmp_path)
    assert torch.equal(test.inputs, again.inputs)
    assert (len(train), len(test)) == (1438, 359)
    assert torch.bincount(test.targets).min() >= 34


def test_inputs_are_standardised_by_the_training_set(tmp_path):
    train, test = Digits().load(tmp_path)
    assert abs(float(train.inputs.mean())) < 1e-5
    assert abs(float(train.inputs.std()) - 1) < 1e-4
    assert float(test.inputs.mean()) != 0
    assert train.inputs.dtype == torch.float32
