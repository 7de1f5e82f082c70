from itertools import product

import pytest

from nas_bench import plugins
from nas_bench.results.staleness import shipped_versions
from nas_bench.trials.config import Budget, Schedule, TrialConfig
from nas_bench.tuning.points import DIMENSIONS, points
from nas_bench.tuning.space import Change, changes

pytestmark = pytest.mark.slow  # trials run


def trial(method="tiny", kind="free", **fields):
    schedule = Schedule(every=4, first=2, neurons=4)
    defaults = {"protocol": "test", "version": 1, "task": "sine", "schedule": schedule}
    budget = Budget(flops=1e6)
    return TrialConfig(method=method, kind=kind, seed=0, budget=budget, **(defaults | fields))


@pytest.mark.parametrize("sampling", ["sobol", "random"])
def test_points_never_change_and_more_of_them_begin_with_the_same(sampling):
    many = points(sampling, 33)
    assert len(many) == 33
    assert all(len(point) == DIMENSIONS for point in many)
    assert all(0 <= share < 1 for point in many for share in point)
    assert many == points(sampling, 33)
    assert many[:5] == points(sampling, 5)
    assert len({tuple(point) for point in many}) == 33


def test_sobol_points_put_one_share_into_each_part_of_every_setting():
    for column in zip(*points("sobol", 16), strict=True):
        assert sorted(int(16 * share) for share in column) == list(range(16))


@pytest.mark.parametrize(
    ("method", "count"),
    [
        *product(["tiny", "gradmax", "fixed", "tiny[update=false]"], [1, 16, 33]),
        pytest.param("tiny", 300, marks=pytest.mark.slow),
    ],
)
def test_every_method_has_as_many_different_configurations_the_default_first(method, count):
    found = changes(trial(method), (), "sobol", count)
    assert len(set(found)) == len(found) == count
    assert found[0] == Change(method)
    config = trial(method, recipe={"batch_size": 10})
    assert found[0].applied(config, 0.03) == config


def test_methods_share_the_points_of_shared_settings():
    shared = ("learning_rate", "interval", "neurons", "optimizer_policy")
    of = {m: changes(trial(m), (), "sobol", 16) for m in ("tiny", "gradmax", "random_growth")}
    first, *others = [
        [tuple(getattr(change, name) for name in shared) for change in found]
        for found in of.values()
    ]
    assert all(other == first for other in others)
    rates = [change.learning_rate for change in changes(trial("fixed"), (), "sobol", 16)]
    assert rates == [learning_rate for learning_rate, *_ in first]


def test_what_never_grows_tunes_its_learning_rate_alone():
    found = changes(trial("fixed"), (), "sobol", 16)
    rates = [change.learning_rate for change in found]
    assert found == tuple(Change("fixed", rate) for rate in rates)
    assert 0.1 <= min(rates) < 0.2
    assert 5 < max(rates) <= 10


def test_growers_also_vary_when_and_how_much_they_grow_and_their_own_options():
    found = changes(trial("tiny"), (), "sobol", 16)
    assert {change.interval for change in found} == {0.5, 1.0}
    assert {change.neurons for change in found} == {0.5, 1.0, 2.0}
    assert {change.optimizer_policy for change in found} == {None, "transplant", "reset"}
    methods = [plugins.method(change.method) for change in found]
    assert {method.significance for method in methods} == {True, False}
    for option, low, high in (("ridge", 1e-5, 0.1), ("statistics_factor", 0.01, 1.0)):
        values = [getattr(method, option) for method in methods]
        assert len(set(values)) > 8
        assert low <= min(values) < max(values) <= high
    same_target = changes(trial("tiny", kind="same_target"), (), "sobol", 16)
    assert {change.neurons for change in same_target} == {1.0}
    at_once = trial("tiny", kind="same_target", schedule=Schedule(every=0, growths=2))
    assert {change.interval for change in changes(at_once, (), "sobol", 16)} == {1.0}


def test_published_methods_say_which_of_their_options_are_worth_trying():
    """`north_weight` has none; the options of random neurons and of δW* alone are controls."""
    published = shipped_versions("method")
    silent = {name for name in published if not type(plugins.method(name)).search_space}
    assert silent == {"fixed", "north_weight", "random_growth", "update_only"}


def test_options_that_are_compared_are_not_tuned():
    compared = {"significance", "ridge", "statistics_factor"}
    found = changes(trial("tiny"), compared, "sobol", 16)
    assert {change.method for change in found} == {"tiny"}


def test_a_change_is_relative_to_the_protocol_and_the_recipe():
    change = Change("gradmax[scale=1.0]", 2.0, 0.5, 0.1, "reset")
    found = change.applied(trial("gradmax"), 0.03)
    assert found.method == "gradmax[scale=1.0]"
    assert found.recipe == {"learning_rate": 0.06}
    assert (found.schedule.every, found.schedule.first, found.schedule.neurons) == (2, 1, 1)
    assert found.optimizer_policy == "reset"
    own = trial("gradmax", recipe={"learning_rate": 0.5, "momentum": 0.9})
    assert change.applied(own, 0.03).recipe == {"learning_rate": 1.0, "momentum": 0.9}
    assert own.recipe["learning_rate"] == 0.5
