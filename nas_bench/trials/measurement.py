"""What a record says of a network."""

import hashlib
import time

import torch
from torch import nn

from nas_bench.training.data import Data
from nas_bench.training.evaluation import Score, score
from nas_bench.training.flops import parameters
from nas_bench.training.task import Split
from nas_bench.trials.messages import Record, Seconds
from nas_bench.trials.state import State


def record(state: State, data: Data, *, full: bool, final: bool = False) -> Record:
    """The network's scores and what it has cost; evaluation is booked.

    Args:
        state: of the trial.
        data: its splits.
        full: whether the whole validation split and the test split are scored too.
        final: whether it is the trial's last.
    """
    start = time.perf_counter()
    spent = state.spent

    def scored(samples: Split) -> Score:
        return score(state.model, samples, state.loss, counted=state.task.metric == "accuracy")

    train, validation = scored(data.train_sample), scored(data.validation_sample)
    whole, test = None, None
    if full:
        sampled = len(data.validation_sample) < len(data.validation)
        whole = scored(data.validation) if sampled else validation
        test = scored(data.test)
    spent.book("evaluation", time.perf_counter() - start)
    return Record(
        step=spent.step,
        epoch=state.epoch,
        samples=spent.samples,
        train_flops=spent.train_flops,
        growth_flops=spent.growth_flops,
        trigger_flops=spent.trigger_flops,
        seconds=Seconds(**spent.seconds),
        parameters=parameters(state.model),
        flops=state.costs.flops,
        widths=state.widths,
        train_loss=train.loss,
        validation_loss=validation.loss,
        test_loss=test and test.loss,
        train_accuracy=train.accuracy,
        validation_accuracy=validation.accuracy,
        test_accuracy=test and test.accuracy,
        full_validation_loss=whole and whole.loss,
        full_validation_accuracy=whole and whole.accuracy,
        final=final,
        weights=_digest(state.model) if final else None,
        redraws=state.redraws,
    )


def _digest(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, with their names."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
