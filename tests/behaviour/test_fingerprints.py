"""The behaviour versions are honest: where no version says so, no number moves."""

import itertools
from typing import get_args

import pytest
from behaviour import guard
from behaviour.fingerprints import fingerprints, measured

from nas_bench.results.staleness import shipped_versions
from nas_bench.trials.config import Schedule
from nas_bench.trials.planning import CONTROLS

NAMES = sorted(fingerprints())
CHOICES = {
    "network": lambda c: c.task,
    "kind": lambda c: c.kind,
    "where": lambda c: c.schedule.where,
    "optimizer": lambda c: c.recipe["optimizer"],
    "policy": lambda c: c.optimizer_policy,
    "budget": lambda c: str(c.budget).partition(" ")[2].rstrip("s"),
    "decay": lambda c: c.recipe["decay"],
    "augmentation": lambda c: c.recipe["augmentation"],
}
NEW_POLICIES = {"per_entry", "copied"}
"""Which differ from the others in the optimiser's state alone: each is met once."""
NEW_WHERE = {"gradient"}
"""Which chooses a site before all else: it is met once."""
SIMPLE = {
    "variance_transfer", "north_select", "north_weight", "nest", "splitting", "firefly",
}  # fmt: skip
"""Methods without algebra of their own, which meet one network of rows and one of maps."""
OF_ROWS = {"senn", "cascade_correlation"}
"""Methods that refuse maps, and meet one network of rows."""
ROWS = {"micro", "micro[network_kind=tokens]"}
MAPS = {"micro[network_kind=convnet]", "micro[network_kind=depthwise]"}
IMPOSSIBLE = (
    {"same_target", "best"}, {"same_target", "predicted"}, {"same_target", "flop"},
    {"crop_flip", "micro"}, {"crop_flip", "micro[network_kind=tokens]"},
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_number_moves_without_a_version(name):
    fingerprint = fingerprints()[name]
    lines = guard.unexpected(fingerprint, measured(fingerprint), guard.stored())
    assert not lines, f"{guard.CURE}\n" + "\n".join(lines[:5])


@pytest.mark.slow
@pytest.mark.parametrize("task", guard.EXAMPLES)
def test_no_network_of_a_task_changes_without_a_version(task):
    lines = guard.unexpected_of_task(task, guard.task_numbers(task), guard.stored())
    assert not lines, f"{guard.CURE}\n" + "\n".join(lines[:5])


def test_the_numbers_are_those_of_todays_versions_and_cases():
    stored, cure = guard.stored(), "run scripts/accept_fingerprints.py"
    assert {name: stored[name] for name in guard.versions()} == guard.versions(), cure
    assert sorted(stored["fingerprints"]) == NAMES, cure
    assert sorted(stored["networks"]) == sorted(guard.EXAMPLES), cure


@pytest.mark.slow
def test_every_method_and_control_meets_every_kind_of_network():
    seen = {(c.method, c.task) for c in _configs()}
    growing = {*shipped_versions("method"), *CONTROLS, "tiny[exact=true]"} - {
        "fixed",
        *SIMPLE,
        *OF_ROWS,
    }
    networks = {task for _, task in seen}
    assert not set(itertools.product(growing, networks)) - seen
    for method in SIMPLE | OF_ROWS:
        met = {task for spec, task in seen if spec.partition("[")[0] == method}
        assert met & ROWS, method
        assert bool(met & MAPS) == (method in SIMPLE), method
    kinds = {kind for f in fingerprints().values() for kind in guard.described(f).sites or ()}
    assert kinds == {
        "linear", "token", "convolution", "batch norm", "pooling", "flatten", "depthwise"
    }  # fmt: skip


def test_every_two_other_choices_meet_where_they_can():
    rows = [{name: choice(c) for name, choice in CHOICES.items()} for c in _configs()]
    assert {row["policy"] for row in rows} >= NEW_POLICIES
    assert {row["where"] for row in rows} == set(
        get_args(Schedule.model_fields["where"].annotation)
    )
    rows = [row for row in rows if row["policy"] not in NEW_POLICIES]
    rows = [row for row in rows if row["where"] not in NEW_WHERE]
    values = {name: {row[name] for row in rows} for name in CHOICES}
    seen = {(row[a], row[b]) for row in rows for a, b in itertools.permutations(CHOICES, 2)}
    for a, b in itertools.combinations(CHOICES, 2):
        for pair in itertools.product(values[a], values[b]):
            assert pair in seen or set(pair) in IMPOSSIBLE, (a, b, pair)
    assert {f.twin for f in fingerprints().values()} == {None, "steps", "flops"}


def test_every_trigger_and_rate_of_new_entries_is_met():
    schedules = [c.schedule for c in _configs()]
    assert {s.when.partition("[")[0] for s in schedules} == shipped_versions("trigger").keys()
    assert {s.new_rate for s in schedules} == {"same", "norm", "warmup"}
    assert {s.restart_decay for s in schedules} == {False, True}


def test_there_are_few_enough_and_five_in_float32():
    assert len(NAMES) <= 84  # two for each method of SIMPLE, one for each that refuses maps
    assert sum(not f.exact for f in fingerprints().values()) == 5


def _configs():
    return [f.config for f in fingerprints().values() if f.exact]
