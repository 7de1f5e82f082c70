import math
from pathlib import Path

import pytest
import torch

from nas_bench import plugins
from nas_bench.contract import check_task
from nas_bench.specs import InputError
from nas_bench.training.text_files import text
from nas_bench.trials.messages import Record
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol
from nas_bench.trials.trial import run_trial


@pytest.fixture(scope="module")
def task():
    return plugins.task("char_lm")


@pytest.fixture(scope="module")
def samples(task):
    return task.load(Path("nowhere"))


@pytest.fixture
def small(tmp_path):
    """The first 8 000 characters of the poem, in a file."""
    found = text(None)
    (tmp_path / "mine.txt").write_text("".join(found.alphabet[c] for c in found.codes[:8000]))
    return tmp_path / "mine.txt"


def test_targets_are_the_next_characters_and_the_test_set_is_the_end_of_the_text(samples):
    train, test = samples
    assert train.inputs.shape == (12_824, 32)
    assert len(test) == 1425
    assert torch.equal(train.inputs[:, 1:], train.targets[:, :-1].float())
    assert torch.equal(train.inputs[1:, 0], train.targets[:-1, -1].float())
    read = torch.cat((train.inputs, test.inputs)).flatten().long()
    assert torch.equal(read, text(None).codes[: len(read)])


def test_no_character_sees_those_that_follow(task, samples):
    network, inputs = task.network((3, 3)).eval(), samples[0].inputs[:2].clone()
    before = network(inputs)
    inputs[:, 20] = (inputs[:, 20] + 1) % 65
    after = network(inputs)
    assert before.shape == (2, 65, 32)
    assert torch.equal(before[..., :20], after[..., :20])
    assert not torch.equal(before[..., 20:], after[..., 20:])


def test_an_untrained_networks_loss_is_that_of_equal_chances_in_nats_a_character(task, samples):
    _, test = samples
    loss = task.loss(task.network((8, 8))(test.inputs), test.targets)
    assert loss.item() == pytest.approx(math.log(65), abs=0.05)


@pytest.mark.slow
def test_a_text_of_ones_own_keeps_the_contract_and_the_hidden_layers_of_its_mlps_grow(small):
    task = plugins.task(f"char_lm[path={small},context=16]")
    assert [check for check in check_task(task, Path()) if not check.ok] == []
    change = {
        "tasks": [f"char_lm[path={small},context=16,target_widths=[5,4]]"],
        "methods": ["tiny"],
    }
    steps = {"budget": "40 steps", "schedule": {"unit": "steps", "every": 10}, "seeds": [0]}
    (config,) = plan(load_protocol("smoke", [change, steps]), baselines=False)
    records = [m for m in run_trial(config, None, None, Path(), "cpu") if isinstance(m, Record)]
    first, last = records[0], records[-1]
    assert (first.widths, last.widths) == ((1, 1), (5, 4))
    assert last.validation_accuracy is None
    assert last.test_accuracy is None
    assert first.test_loss is not None
    assert last.test_loss is not None
    assert last.test_loss < first.test_loss - 0.5


@pytest.mark.parametrize("options", ["context=1", "context=2000"])
def test_contexts_out_of_range_are_refused(options):
    with pytest.raises(InputError, match="expected a whole number from 2 to 1024"):
        plugins.task(f"char_lm[{options}]")


def test_a_text_that_is_too_short_is_refused_before_any_trial(small):
    task = plugins.task(f"char_lm[path={small},context=100]")
    with pytest.raises(InputError, match="has 8000 characters, expected more than 100 times"):
        task.fetch(Path())
