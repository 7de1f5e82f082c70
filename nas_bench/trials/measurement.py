"""What a record says of a network."""

import hashlib
import time

import torch
from torch import nn

from nas_bench.training.data import Data
from nas_bench.training.evaluation import TRAINING_SAMPLES, score
from nas_bench.training.flops import parameters
from nas_bench.trials.messages import Record, Seconds
from nas_bench.trials.state import State


def record(state: State, data: Data, *, final: bool) -> Record:
    """The network's scores on all splits and what it has cost; evaluation is booked."""
    start = time.perf_counter()
    train, validation, test = (
        score(state.model, split, state.loss)
        for split in (data.train.first(TRAINING_SAMPLES), data.validation, data.test)
    )
    spent = state.spent
    spent.book("evaluation", time.perf_counter() - start)
    return Record(
        step=spent.step,
        epoch=state.epoch,
        samples=spent.samples,
        train_flops=spent.train_flops,
        growth_flops=spent.growth_flops,
        seconds=Seconds(**spent.seconds),
        parameters=parameters(state.model),
        flops=state.costs.flops,
        widths=state.widths,
        train_loss=train.loss,
        validation_loss=validation.loss,
        test_loss=test.loss,
        train_accuracy=train.accuracy,
        validation_accuracy=validation.accuracy,
        test_accuracy=test.accuracy,
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
