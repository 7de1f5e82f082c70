from functools import cache
from pathlib import Path

import pytest

from nas_bench import plugins
from nas_bench.api.announcement import announced
from nas_bench.results.ledger import Ledger
from nas_bench.results.staleness import shipped_versions
from nas_bench.specs import InputError
from nas_bench.trials.planning import CONTROLS, plan
from nas_bench.trials.protocol import load_protocol, protocol_names

FREE = {
    "kind": "free",
    "schedule": {"where": "best", "growths": None, "neurons": 5},
    "twins": ["steps", "flops"],
}


ALL_ITS_OWN = "tiny[significance=false]"
EXAMPLES = ("smoke", "mlp", "mlp-free")
"""Protocols that test no claim."""


@cache
def planned_whole(name):
    """All trials of a protocol of the package."""
    return tuple(plan(load_protocol(name)))


@cache
def grows(method):
    return plugins.method(method).grows


def planned(*changes, name="smoke", **options):
    return plan(load_protocol(name, changes), **options)


def test_the_bare_command_is_twelve_trials():
    trials = planned()
    assert len(trials) == 12
    assert {trial.method for trial in trials} == {"tiny", "gradmax", "fixed", "fixed[size=seed]"}
    assert {trial.seed for trial in trials} == {0, 1, 2}
    assert not any(trial.twin for trial in trials)


def test_every_trial_is_planned_once():
    trials = planned({"methods": "tiny,tiny[update=true],fixed,tiny"})
    assert len({trial.id for trial in trials}) == len(trials) == 9


def test_published_trials_keep_their_identity():
    """Settings that came later leave the hash of what does not use them alone."""
    runs = Ledger(Path(__file__).parents[2] / "results" / "published").glances()
    assert runs
    configs = [run.config for run in runs if run.config]
    assert [(config.id, config.settings_id) for config in configs] == [
        (run.id, run.settings_id) for run in runs
    ]


def test_the_plan_is_the_same_every_time():
    assert [t.id for t in planned()] == [t.id for t in planned()]


def test_without_baselines_only_what_was_asked_for_is_planned():
    assert {trial.method for trial in planned(baselines=False)} == {"tiny", "gradmax"}


def test_specs_are_canonical():
    (trial,) = planned(
        {"methods": "tiny[significance=true,update=false]", "tasks": "digits[activation=relu]"},
        {"seeds": "4"},
        baselines=False,
    )
    assert (trial.method, trial.task, trial.seed) == ("tiny[update=false]", "digits", 4)


def test_all_is_every_working_method_and_the_controls():
    methods = {trial.method for trial in planned({"methods": "all", "seeds": "0"})}
    assert methods == {*plugins.methods(), *CONTROLS, "fixed[size=seed]"}


def test_controls_are_canonical():
    assert [plugins.canonical(control, "method") for control in CONTROLS] == list(CONTROLS)


def test_growing_trials_get_twins_as_dependents_after_all_others():
    trials = planned(FREE, {"seeds": "0"})
    originals = [trial for trial in trials if trial.twin is None]
    twins = trials[len(originals) :]
    growing = [trial for trial in originals if plugins.method(trial.method).grows]
    assert [(twin.twin.of, twin.twin.match) for twin in twins if twin.twin] == [
        (trial.id, match) for trial in growing for match in ("steps", "flops")
    ]
    assert {twin.label for twin in twins} >= {"tiny twin (steps)", "tiny twin (flops)"}
    assert len({trial.id for trial in trials}) == len(trials)


def test_twins_of_all_seeds_share_their_settings():
    twins = [trial for trial in planned(FREE) if trial.label == "tiny twin (flops)"]
    assert len(twins) == 3
    assert len({twin.settings_id for twin in twins}) == 1


def test_with_a_fixed_target_the_equal_steps_twin_is_fixed_and_not_planned_twice():
    twins = [trial for trial in planned({"twins": ["steps", "flops"]}) if trial.twin]
    assert {twin.label for twin in twins} == {"tiny twin (flops)", "gradmax twin (flops)"}


def test_with_a_fixed_target_and_a_budget_of_flops_fixed_is_the_twin_of_equal_flops():
    twins = [t for t in planned({"twins": ["steps", "flops"], "budget": "1e9 flops"}) if t.twin]
    assert {twin.label for twin in twins} == {"tiny twin (steps)", "gradmax twin (steps)"}


def test_what_a_clock_ends_is_not_reproducible_but_its_twins_are():
    trials = planned({"twins": ["steps", "flops"], "budget": "30 seconds"})
    assert {trial.reproducible for trial in trials if trial.twin is None} == {False}
    twins = [trial for trial in trials if trial.twin]
    assert {twin.label for twin in twins} == {
        f"{method} twin ({match})"
        for method in ("tiny", "gradmax")
        for match in ("steps", "flops")
    }
    assert all(twin.reproducible for twin in twins)


@pytest.mark.slow
@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_of_the_package_plans(name):
    """Each with every seed; those of free growth with every twin that they name."""
    protocol, trials = load_protocol(name), planned_whole(name)
    originals = [trial for trial in trials if trial.twin is None]
    assert {trial.seed for trial in originals} == set(protocol.seeds)
    growing = [trial for trial in originals if grows(trial.method)]
    assert growing
    if protocol.kind == "free":
        assert len(trials) == len(originals) + len(protocol.twins) * len(growing)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in protocol_names() if n not in EXAMPLES])
def test_what_tiny_gains_over_random_neurons_is_always_taken_apart(name):
    """Protocols that compare the two have the controls beside them, and all a claim to test."""
    protocol = load_protocol(name)
    assert protocol.claim
    methods = {trial.method for trial in planned_whole(name)}
    assert methods & {"tiny", ALL_ITS_OWN}
    if "random_growth" in methods:
        assert methods & {"tiny[update=false]", f"{ALL_ITS_OWN[:-1]},update=false]"}
        assert "random_growth[update=true]" in methods
    else:
        assert name.removesuffix("-summed") in ("tiny-fig12", "tiny-fig13")
        assert "fixed" in methods


def test_the_leaderboard_is_ten_seeds_at_equal_flops_of_at_most_two_thousand_trials():
    standard = planned_whole("standard")
    assert len({trial.task for trial in standard}) == 8
    assert {trial.seed for trial in standard} == set(range(10))
    assert {trial.budget.unit for trial in standard} == {"flops"}
    assert not any(trial.twin for trial in standard)
    assert not {name.partition("[")[0] for name in shipped_versions("method")} - {
        trial.method.partition("[")[0] for trial in standard
    }
    free = planned_whole("standard-free")
    assert len({trial.task for trial in free}) == 3
    assert {trial.twin.match for trial in free if trial.twin} == {"flops"}
    assert len(standard) <= 2000


def test_controls_stand_beside_the_methods_of_the_leaderboard_on_its_cheap_tasks():
    rows = {}
    for trial in planned_whole("standard"):
        rows.setdefault(trial.task, set()).add(trial.method)
    whole, classes = rows.pop("digits"), rows.pop("char_lm")
    assert len(classes) <= 18
    assert set(CONTROLS) | {"update_only"} <= whole
    for task, methods in rows.items():
        assert methods == (classes if task.startswith("cifar") else whole)


@pytest.mark.parametrize("name", ["standard-large", "standard-large-free"])
def test_clusters_have_every_method_and_its_twins_on_five_tasks(name):
    protocol = load_protocol(name)
    assert protocol.methods == ("all",)
    assert len(protocol.tasks) == 5
    assert protocol.twins == ("steps", "flops")


QUARTERS = ("lite", "mlp", "smoke", "standard", "standard-free", "standard-large")


@pytest.mark.parametrize("name", QUARTERS)
def test_every_method_can_grow_from_the_start_of_its_protocol(name):
    protocol = load_protocol(name)
    assert protocol.start == "quarter"
    for method in shipped_versions("method"):
        assert protocol.start in plugins.method(method).grows_from, method


def test_methods_that_begin_where_they_cannot_grow_are_named():
    trials = planned({"methods": "net2net,random_growth", "start": "seed"})
    lines = [line for line in announced(trials, None) if "start=quarter" in line]
    assert len(lines) == 1
    assert lines[0].startswith("net2net cannot grow sensibly from the seed network")
    trials = planned({"methods": "net2net,random_growth"})
    assert {trial.start for trial in trials} == {"quarter"}
    assert not any("start=quarter" in line for line in announced(trials, None))


def test_a_quarter_that_is_larger_than_the_first_step_is_refused():
    with pytest.raises(InputError, match=r"shrink from \[8,4\] to \[4,4\]"):
        planned({"schedule": {"growths": None, "widths": [[4, 4], [32, 16]]}})


def test_methods_with_widths_of_another_task_are_refused():
    with pytest.raises(InputError, match=r"fixed\[widths=\[9\]\] on task digits: .* expected 2"):
        planned({"methods": "fixed[widths=[9]]"})


def test_that_fixed_is_the_twin_of_equal_steps_is_said_where_no_twin_is_planned(caplog):
    planned({"twins": ["steps", "flops"]})
    planned(FREE, {"twins": ["steps"]})
    assert not caplog.messages
    assert not any(trial.twin for trial in planned({"twins": ["steps"]}))
    assert caplog.messages == [
        "No twins are planned: with the same target, fixed is the twin of equal steps"
    ]


def test_free_growth_may_start_above_the_size_of_the_fixed_network():
    assert planned(FREE, {"tasks": "digits[seed_widths=[40,1]]"})


def test_recipe_overrides_are_checked_and_typed():
    trials = planned({"recipe": {"learning_rate": 1}})
    assert repr(trials[0].recipe) == "{'learning_rate': 1.0}"
    with pytest.raises(InputError, match="learning_rate cannot be '1e-3': expected a number"):
        planned({"recipe": {"learning_rate": "1e-3"}})
    with pytest.raises(InputError, match="recipe: unknown option 'lr'"):
        planned({"recipe": {"lr": 1}})


def test_given_widths_are_kept():
    trials = planned({"schedule": {"growths": None, "widths": [[9, 9], [32, 16]]}})
    assert trials[0].schedule.widths == ((9, 9), (32, 16))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"methods": "tni"}, "did you mean tiny"),
        ({"tasks": "digit"}, "did you mean digits"),
        (
            {"tasks": "digits[seed_widths=[40,1]]", "start": "seed"},
            "[32,16] are below the seed widths [40,1]",
        ),
        ({"schedule": {"growths": None, "widths": []}}, "ends at [8,4], but the target"),
        ({"recipe": {"batch_size": 0}}, "recipe: batch_size is 0, expected a whole number of at"),
        ({"recipe": {"learning_rate": 0}}, "recipe: learning_rate is 0.0, expected a number gr"),
        ({"recipe": {"learning_rate": -1}}, "recipe: learning_rate is -1.0, expected a number"),
        ({"recipe": {"momentum": 1}}, "recipe: momentum is 1.0, expected a number from 0 to"),
        ({"recipe": {"weight_decay": -1}}, "recipe: weight_decay is -1.0, expected a number of"),
        ({"recipe": {"batch_size": 2.5}}, "option batch_size cannot be 2.5: expected a whole"),
        ({"budget": "4 epochs"}, "but the budget ends at 4 epochs"),
        ({"schedule": {"growths": None, "widths": [[9, 9]]}}, "ends at [9,9], but the target"),
        (
            {"schedule": {"growths": None, "widths": [[4], [32, 16]]}},
            "step [4]: expected 2 widths",
        ),
        ({"schedule": {"growths": None, "widths": [[9, 9], [4, 16]]}}, "shrink from [9,9]"),
    ],
)
def test_what_cannot_be_planned_gets_one_sentence(change, sentence):
    with pytest.raises(InputError) as caught:
        planned(change)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_trials_of_a_task_have_its_own_budget_schedule_and_methods():
    own = {"wine": {"methods": "gradmax", "budget": "2e6 flops", "schedule": {"every": 2}}}
    change = {"tasks": "digits,wine", "twins": ["steps"], "per_task": own}
    trials = planned(change)
    by_task = {task: [t for t in trials if t.task == task] for task in ("digits", "wine")}
    assert {t.id for t in by_task["digits"]} == {t.id for t in planned()}
    assert {t.budget.flops for t in by_task["wine"]} == {2e6}
    assert {t.schedule.every for t in by_task["wine"]} == {2}
    assert {t.label for t in by_task["wine"]} == {
        "fixed", "fixed[size=seed]", "gradmax", "gradmax twin (steps)",
    }  # fmt: skip


def test_a_task_s_own_settings_find_it_however_it_is_spelled():
    change = {
        "tasks": "digits[activation=relu,target_widths=[20,10]]",
        "per_task": {"digits[target_widths=[20,10]]": {"budget": "2e7 flops"}},
    }
    assert {trial.budget.flops for trial in planned(change)} == {2e7}
    with pytest.raises(InputError, match="unknown task 'digts': did you mean digits"):
        planned({"per_task": {"digts": {"budget": "2e7 flops"}}})


def test_a_growth_after_the_end_of_a_task_s_own_budget_is_refused():
    with pytest.raises(InputError, match="but the budget ends at 3 steps"):
        planned({"per_task": {"digits": {"budget": "3 steps", "schedule": {"unit": "steps"}}}})


def test_only_methods_that_grow_are_run_with_what_varies():
    vary = {"schedule.when": ["every", "significant"], "optimizer_policy": ["reset", "zeros"]}
    trials = planned({"methods": "tiny,random_growth", "seeds": "0", "vary": vary})
    grown = [
        (t.method, t.schedule.when, t.optimizer_policy) for t in trials if t.method[0] in "tr"
    ]
    assert len(set(grown)) == len(grown) == 8
    assert len([t for t in trials if t.method.startswith("fixed")]) == 2
    with pytest.raises(InputError, match="unknown trigger 'evry': did you mean every"):
        planned({"vary": {"schedule.when": ["evry"]}})
