"""The network that a trial begins with, drawn again where it is dead."""

import json

import pytest
import torch
from torch import nn

from nas_bench.tasks.digits import Digits
from nas_bench.training.data import prepare
from nas_bench.training.randomness import seed_all
from nas_bench.trials.config import Budget, Schedule, TrialConfig
from nas_bench.trials.first_network import alive, first_network
from nas_bench.trials.messages import Record
from nas_bench.trials.start import Start
from nas_bench.trials.trial import run_trial

NARROW = "digits[seed_widths=[1,1],target_widths=[4,3]]"


def config(seed, method="random_growth", redraw=True):
    return TrialConfig(
        protocol="test", version=1, kind="same_target", task=NARROW, method=method, seed=seed,
        budget=Budget(steps=20), schedule=Schedule(growths=2, every=5, unit="steps"),
        redraw_dead=redraw,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepare(Digits(), tmp_path_factory.mktemp("data"), 0.1)


def drawn(seed, data, folder, redraw=True):
    seed_all(seed)
    task = Digits(seed_widths=(1, 1), target_widths=(4, 3))
    trial = config(seed, redraw=redraw)
    start = Start(trial, trial.budget, task, None, (1, 1), folder, "cpu")
    return task, *first_network(start, data)


def by_hand(model, x):
    """The share of samples on which each hidden unit is active."""
    first, second = [m for m in model if isinstance(m, nn.Linear)][:2]
    h = torch.relu(first(x.flatten(1)))
    return [(h > 0).double().mean(0) for h in (h, torch.relu(second(h)))]


def test_a_dead_network_is_drawn_again_until_every_layer_is_alive(data, tmp_path):
    redrawn = 0
    for seed in range(12):
        task, model, redraws = drawn(seed, data, tmp_path)
        few = data.train.first(500)
        assert alive(model, task, few)
        assert all(float(share.max()) >= 0.01 for share in by_hand(model, few.inputs))
        _, first, none = drawn(seed, data, tmp_path, redraw=False)
        dead = any(float(share.max()) < 0.01 for share in by_hand(first, few.inputs))
        assert none == 0
        assert alive(first, task, few) != dead
        assert (redraws > 0) == dead
        same = [
            torch.equal(a, b) for a, b in zip(first.parameters(), model.parameters(), strict=True)
        ]
        assert all(same) == (redraws == 0)
        redrawn += redraws > 0
    assert 1 <= redrawn < 12


def test_all_methods_of_a_seed_begin_with_the_same_network(tmp_path):
    first = {}
    for method in ("random_growth", "tiny", "fixed[size=seed]"):
        seed_all(3)
        record = next(iter(run_trial(config(3, method), None, None, tmp_path, "cpu")))
        first[method] = (record.redraws, record.train_loss)
    assert len(set(first.values())) == 1


def test_without_redraws_a_trial_keeps_the_identity_it_had():
    values = config(0, redraw=False).model_dump(mode="json")
    assert "redraw_dead" not in values
    assert json.loads(config(0).model_dump_json())["redraw_dead"] is True
    assert config(0).id != config(0, redraw=False).id


def test_a_network_that_is_always_dead_is_an_error_with_the_cure(data, tmp_path, monkeypatch):
    def dead(self, widths):
        model = nn.Sequential(
            nn.Linear(64, widths[0]), nn.ReLU(), nn.Linear(widths[0], widths[1]), nn.ReLU(),
            nn.Linear(widths[1], 10),
        )  # fmt: skip
        nn.init.constant_(model[2].bias, -1e6)
        return model

    monkeypatch.setattr(Digits, "network", dead)
    with pytest.raises(ValueError, match=r"each of 100 networks of widths \[1, 1\] has a hidden"):
        drawn(0, data, tmp_path)


def test_units_of_tokens_and_maps_are_active_where_any_position_is():
    from nas_bench.trials.first_network import _activity

    maps = torch.zeros(4, 2, 3, 3)
    maps[0, 1, 2, 2] = -1.0
    assert _activity(maps).tolist() == [0.0, 0.25]
    assert _activity(maps.flatten(2).movedim(1, 2)).tolist() == [0.0, 0.25]
    assert _activity(torch.tensor([[1.0, 0.0], [0.0, 0.0]])).tolist() == [0.5, 0.0]


def test_without_a_start_a_trial_keeps_the_identity_it_had():
    seed, quarter = config(0), config(0).model_copy(update={"start": "quarter"})
    assert "start" not in seed.model_dump(mode="json")
    assert quarter.model_dump(mode="json")["start"] == "quarter"
    assert seed.settings_id != quarter.settings_id
    assert TrialConfig.model_validate(quarter.model_dump(mode="json")) == quarter


def test_a_trial_that_starts_at_a_quarter_grows_from_there(tmp_path):
    trial = config(0).model_copy(update={"start": "quarter"})
    records = [m for m in run_trial(trial, None, None, tmp_path, "cpu") if isinstance(m, Record)]
    assert (records[0].widths, records[-1].widths) == ((1, 1), (4, 3))
    wider = trial.model_copy(update={"task": "digits"})
    events = [m for m in run_trial(wider, None, None, tmp_path, "cpu") if hasattr(m, "added")]
    assert [event.widths for event in events] == [(20, 4), (20, 10), (32, 10), (32, 16)]
