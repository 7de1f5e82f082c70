from dataclasses import replace

import pytest
import synthetic

from nas_bench import plugins
from nas_bench.results.ledger import Ledger
from nas_bench.trials.config import Twin
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol
from nas_bench.tuning.choice import choose
from nas_bench.tuning.history import search_of, tunings
from nas_bench.tuning.search import searches, tuned
from nas_bench.tuning.space import Change

pytestmark = pytest.mark.slow  # trials run


SEARCH_SEED = 1000000


def planned(**changes):
    given = {"tasks": "sine", "methods": "tiny,gradmax", "budget": "1e6 flops", "seeds": "0-1"}
    return plan(load_protocol("smoke", [given | changes]))


def search(configurations=4, method="tiny", seeds=(SEARCH_SEED,), **changes):
    found = searches(planned(**changes), "sobol", configurations, seeds)
    return next(each for each in found if each.method == method)


def write(ledger, config, validation, test=0.5, flops=1e6):
    """A trial that ended with these accuracies."""
    *_, last = synthetic.records(config)
    values = {"validation_accuracy": validation, "test_accuracy": test}
    synthetic.begin(ledger, config)
    costs = {"train_flops": 0.75 * flops, "growth_flops": 0.25 * flops}
    ledger.write(config, synthetic.as_dict(replace(last, **values, **costs)))
    ledger.finish(config)


def test_search_trials_are_told_from_the_protocols_by_name_and_seed():
    plans = planned(methods="tiny,tiny[update=false]")
    found = searches(plans, "sobol", 4, (SEARCH_SEED,))
    assert [(s.task, s.method) for s in found] == [
        ("sine", method) for method in ("tiny", "tiny[update=false]", "fixed[size=seed]", "fixed")
    ]
    trials = [trial for each in found for trial in each.trials]
    assert len({trial.id for trial in trials}) == len(trials) == 16
    assert {trial.seed for trial in trials} == {SEARCH_SEED}
    assert {trial.budget for trial in trials} == {plans[0].budget}
    names = {trial.protocol for trial in trials}
    assert len(names) == 4
    assert "smoke-search-tiny" in names
    assert all(name.startswith("smoke-search-") for name in names)


def test_options_that_any_spec_of_a_method_sets_are_compared_and_not_tuned():
    both = planned(methods="tiny,tiny[significance=false],gradmax")
    found = {s.method: s for s in searches(both, "sobol", 16, (SEARCH_SEED,))}
    for method in ("tiny", "tiny[significance=false]"):
        tuned = {plugins.method(trial.method).significance for trial in found[method].trials}
        assert tuned == {plugins.method(method).significance}
    assert len({trial.method for trial in found["gradmax"].trials}) > 8


def test_the_choice_is_by_validation_and_never_by_test(tmp_path):
    ledger, asked = Ledger(tmp_path), search()
    validations, tests = (0.5, 0.7, 0.9, 0.8), (0.9, 0.99, 0.1, 0.95)
    for trial, validation, test in zip(asked.trials, validations, tests, strict=True):
        write(ledger, trial, validation, test)
    found = choose(asked, ledger)
    assert found.candidate is asked.candidates[2]
    assert found.scores == validations
    assert found.failed == 0
    assert found.flops == 4e6


def test_of_equal_scores_the_earlier_configuration_is_chosen(tmp_path):
    ledger, asked = Ledger(tmp_path), search()
    for trial in asked.trials:
        write(ledger, trial, 0.5)
    assert choose(asked, ledger).candidate is asked.candidates[0]


def test_the_choice_is_by_the_whole_validation_split_where_it_was_scored(tmp_path):
    ledger, asked = Ledger(tmp_path), search()
    for place, trial in enumerate(asked.trials):
        *_, last = synthetic.records(trial, earlier=False)
        scores = {"validation_accuracy": 0.9 - 0.1 * place, "test_accuracy": 0.1}
        whole = {"full_validation_accuracy": 0.5 + 0.1 * place}
        synthetic.begin(ledger, trial)
        ledger.write(trial, synthetic.as_dict(replace(last, **scores, **whole)))
        ledger.finish(trial)
    found = choose(asked, ledger)
    assert found.candidate == asked.candidates[-1]
    assert found.scores == pytest.approx((0.5, 0.6, 0.7, 0.8))


def test_losses_are_chosen_by_the_lowest(tmp_path):
    ledger, asked = Ledger(tmp_path), search(2)
    for trial, accuracy in zip(asked.trials, (90, 95), strict=True):
        *_, last = synthetic.records(trial, regression=True)
        synthetic.begin(ledger, trial)
        ledger.write(trial, synthetic.as_dict(replace(last, validation_loss=100.0 - accuracy)))
        ledger.finish(trial)
    found = choose(asked, ledger)
    assert found.candidate is asked.candidates[1]
    assert found.scores == (-10, -5)


def test_a_failed_seed_makes_a_configuration_the_worst(tmp_path):
    ledger, asked = Ledger(tmp_path), search(2, seeds=(7, 8))
    (good, bad), others = (candidate.trials for candidate in asked.candidates)
    write(ledger, good, 0.99)
    synthetic.fail(ledger, bad)
    for trial in others:
        write(ledger, trial, 0.1)
    found = choose(asked, ledger)
    assert found.candidate is asked.candidates[1]
    assert found.failed == 1


def test_what_is_not_applicable_is_no_failure(tmp_path):
    ledger, asked = Ledger(tmp_path), search(2)
    write(ledger, asked.trials[0], 0.9)
    synthetic.refuse(ledger, asked.trials[1])
    found = choose(asked, ledger)
    assert (found.failed, found.stopped) == (0, 0)
    assert found.candidate is asked.candidates[0]


def test_where_all_fail_the_default_is_kept_and_the_cost_is_known(tmp_path):
    ledger, asked = Ledger(tmp_path), search(2)
    for trial in asked.trials:
        synthetic.fail(ledger, trial)
    found = choose(asked, ledger)
    assert found.candidate is asked.candidates[0]
    assert found.failed == 2
    assert found.flops > 0


def test_final_trials_have_the_protocols_seeds_and_the_chosen_settings():
    plans = planned(kind="free", twins=["flops"], schedule={"growths": None})
    default = {(c.task, c.method): Change(c.method) for c in plans}
    key = "sine", "gradmax"
    chosen = default | {key: Change("gradmax[scale=1.0]", 2.0, 0.5, 2.0, "reset")}
    final = tuned(plans, chosen)
    assert {trial.protocol for trial in final} == {"smoke-tuned"}
    assert [trial.seed for trial in final] == [trial.seed for trial in plans]
    twins = [trial for trial in final if trial.twin]
    originals = {trial.id: trial for trial in final}
    assert len(twins) == 4
    for twin in twins:
        assert twin.twin is not None
        original = originals[twin.twin.of]
        assert twin == original.model_copy(update={"twin": Twin(of=original.id, match="flops")})
    changed = [trial for trial in final if trial.method == "gradmax[scale=1.0]"]
    assert len(changed) == 4
    assert {trial.recipe["learning_rate"] for trial in changed} == {0.06}
    assert {trial.schedule.neurons for trial in changed} == {10}


@pytest.mark.slow
def test_the_cost_of_tuning_is_that_of_all_search_trials_of_task_and_method(tmp_path):
    ledger, asked = Ledger(tmp_path), search()
    other = search(method="gradmax")
    for trial in asked.trials[:3]:
        write(ledger, trial, 0.5, flops=1e6)
    synthetic.fail(ledger, asked.trials[3])
    for trial in other.trials:
        write(ledger, trial, 0.5, flops=5e6)
    known = tunings(ledger.glances())
    (final, *_) = tuned(planned(), {("sine", s.method): s.candidates[2].change for s in (
        asked, other, search(method="fixed"), search(method="fixed[size=seed]"))})  # fmt: skip
    found = search_of(final, known)
    assert found is not None
    assert (found.method, found.configurations) == ("tiny", 4)
    failed = ledger.run(asked.trials[3])
    assert failed is not None
    assert found.flops == pytest.approx(
        3e6 + failed.costs["train_flops"] + failed.costs["growth_flops"]
    )
    assert search_of(final.model_copy(update={"protocol": "smoke"}), known) is None
    assert search_of(final.model_copy(update={"version": 99}), known) is None
