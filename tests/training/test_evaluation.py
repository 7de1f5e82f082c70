import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_bench.training import evaluation
from nas_bench.training.evaluation import score
from nas_bench.training.task import Samples


class TokenCrossEntropy(nn.Module):
    """Mean over samples and tokens; the classes are last."""

    def forward(self, outputs, labels):
        return functional.cross_entropy(outputs.flatten(0, -2), labels.flatten())


def test_perfect_predictions_of_tokens_have_accuracy_one():
    labels = torch.arange(6 * 4).view(6, 4) % 3
    logits = 10.0 * functional.one_hot(labels, 3)
    assert score(nn.Identity(), Samples(logits, labels), TokenCrossEntropy()).accuracy == 1.0


def test_accuracy_of_tokens_is_the_share_of_right_tokens():
    labels = torch.zeros(5, 4, dtype=torch.long)
    logits = torch.zeros(5, 4, 3)
    logits[..., 0] = 1.0
    logits[:, 0, 1] = 2.0
    logits[0, 1, 2] = 2.0
    samples = Samples(logits, labels)
    assert score(nn.Identity(), samples, TokenCrossEntropy()).accuracy == pytest.approx(14 / 20)


def test_right_tokens_are_not_counted_where_the_loss_is_the_score():
    labels = torch.zeros(5, 4, dtype=torch.long)
    samples = Samples(torch.zeros(5, 4, 3), labels)
    found = score(nn.Identity(), samples, TokenCrossEntropy(), counted=False)
    assert found.accuracy is None
    assert found.loss == pytest.approx(math.log(3))


@pytest.mark.parametrize("n", [4096, 4097, 90])
@pytest.mark.parametrize("shape", [(), (3,)], ids=["labels", "tokens"])
def test_neither_loss_nor_accuracy_depends_on_how_the_samples_are_cut(n, shape, monkeypatch):
    """Sorted by loss, so that means of chunks would differ from the mean of all."""
    monkeypatch.setattr(evaluation, "CPU_ENTRIES", 5000)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(n, *shape, 5, generator=generator, dtype=torch.float64)
    inputs = inputs * torch.linspace(0, 4, n, dtype=torch.float64).view(-1, *[1] * len(shape), 1)
    labels = torch.randint(5, (n, *shape), generator=generator)
    found = score(nn.Identity(), Samples(inputs, labels), TokenCrossEntropy())
    chances = inputs.softmax(-1).gather(-1, labels[..., None])
    right = inputs.argmax(-1) == labels
    assert found.loss == pytest.approx(float(-chances.log().mean()), rel=1e-12)
    assert found.accuracy == pytest.approx(float(right.double().mean()), rel=1e-12)


def test_values_have_a_loss_and_no_accuracy():
    inputs = torch.linspace(0, 1, 5000, dtype=torch.float64)[:, None]
    found = score(nn.Identity(), Samples(inputs, torch.zeros_like(inputs)), nn.MSELoss())
    assert found.loss == pytest.approx(float(inputs.square().mean()), rel=1e-12)
    assert found.accuracy is None


def test_scoring_leaves_the_model_in_its_mode():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2)).train()
    model[1].eval()
    samples = Samples(torch.ones(4, 3), torch.zeros(4, dtype=torch.long))
    first, again = (score(model, samples, nn.CrossEntropyLoss()) for _ in range(2))
    assert first == again
    assert [module.training for module in model] == [True, False]


class Keeping(nn.Module):
    """A loss that makes a tensor at its first call and keeps it."""

    def __init__(self):
        super().__init__()
        self.rows = None

    def forward(self, outputs, targets):
        if self.rows is None:
            self.rows = torch.arange(100)
        return -outputs.log_softmax(-1)[self.rows[: len(outputs)], targets].mean()


def test_what_a_loss_keeps_of_an_evaluation_can_be_trained_with():
    model, loss = nn.Linear(4, 3), Keeping()
    inputs, targets = torch.randn(20, 4), torch.zeros(20, dtype=torch.long)
    score(model, Samples(inputs, targets), loss)
    loss(model(inputs), targets).backward()
    assert model.weight.grad.any()
