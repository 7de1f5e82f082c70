"""When trials grow: what triggers decide, what their looks cost, and that targets are reached."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from torch import nn
from trials.test_trial import said, spent, trial
from trials.test_unseen_data import READERS, WatchedTest, WatchedValidation, watched

from nas_bench import plugins
from nas_bench.growth import Need, find_sites, measure
from nas_bench.specs import InputError
from nas_bench.tasks.char_lm import CharLM
from nas_bench.training.evaluation import score
from nas_bench.training.flop_meter import FlopMeter
from nas_bench.trials import measurement
from nas_bench.trials.config import Budget, Schedule
from nas_bench.trials.planning import plan
from nas_bench.trials.protocol import load_protocol
from nas_bench.trials.trial import TargetMissedError
from nas_bench.trials.trigger import Growth, Look, Progress, Trigger, decision
from nas_bench.triggers.north import North
from nas_bench.triggers.plateau import Plateau
from nas_bench.triggers.significant import Significant

STEPS = {"unit": "steps", "every": 5}
NEVER = "plateau[delta=-100]"


def progress(values, growths=(), name="train_loss"):
    """Looks at times 1, 2, 3, …"""
    looks = [Look(at, {name: value}, {}, {"1": 3}) for at, value in enumerate(values, start=1)]
    return Progress(tuple(looks), tuple(growths))


class TestPlateau:
    def test_ash_compares_the_fall_with_the_first_loss_since_the_last_growth(self):
        """E: 10, 4, 3.9 falls by 0.1, below 2 % of 10 and not below 2 % of 4."""
        ash = Plateau(window=1, delta=0.02)
        assert ash.due(progress([10, 4, 3.9]))
        assert not ash.due(progress([10, 4, 3.9], [Growth(1, 2)]))
        assert not ash.due(progress([10, 4, 3.7]))

    def test_hirose_compares_it_with_the_loss_before_the_window(self):
        hirose = Plateau(window=2, delta=0.01, relative_to="window")
        assert hirose.due(progress([1.0, 0.999, 0.991]))
        assert not hirose.due(progress([1.0, 0.999, 0.989]))

    def test_autogrow_takes_the_gain_in_accuracy_as_it_is(self):
        convergent = Plateau(1, 0.0005, "validation", "error", "nothing")
        assert convergent.reads == ("validation_error",)
        assert convergent.due(progress([0.3, 0.2996], name="validation_error"))
        assert not convergent.due(progress([0.3, 0.2994], name="validation_error"))

    def test_a_window_never_reaches_behind_the_last_growth(self):
        plateau = Plateau(window=3)
        assert not plateau.due(progress([1.0] * 3))
        assert plateau.due(progress([1.0] * 4))
        assert not plateau.due(progress([1.0] * 7, [Growth(4, 2)]))
        assert plateau.due(progress([1.0] * 8, [Growth(4, 2)]))

    @pytest.mark.parametrize("options", [{"window": 0}, {"delta": math.nan}])
    def test_numbers_without_a_meaning_are_refused(self, options):
        with pytest.raises(ValueError, match="expected"):
            Plateau(**options)


def test_variance_transfer_waits_a_fifth_longer_each_time():
    """T₀ = 10: 10, 12, 14, 17, 20, 24, …"""
    times = [plugins.trigger("exponential").time(done, 10, 1) for done in range(7)]
    assert times == [10, 12, 14, 17, 20, 24, 29]


def test_significant_ends_for_good_after_so_many_fruitless_attempts():
    once, twice = Significant(), Significant(patience=2)
    assert once.due(progress([0], [Growth(1, 3)]))
    assert not once.due(progress([0], [Growth(1, 3), Growth(2, 0)]))
    assert twice.due(progress([0], [Growth(1, 3), Growth(2, 0)]))
    assert not twice.due(progress([0], [Growth(1, 0), Growth(2, 0)]))
    assert twice.due(progress([0], [Growth(1, 0), Growth(2, 1), Growth(3, 0)]))


class TestNorth:
    def looks(self, *ranks_and_widths):
        found = [Look(at, {}, {"1": r}, {"1": w}) for at, (r, w) in enumerate(ranks_and_widths)]
        return Progress(tuple(found), ())

    def test_a_layer_grows_by_what_its_rank_exceeds_its_share(self):
        """γ φ₀/M₀ M = 0.9 · ¾ · 12 = 8.1: a rank of 11 is 3 above it."""
        north = North(gamma=0.9)
        assert north.due(self.looks((3, 4))) == {}
        assert north.due(self.looks((3, 4), (11, 12))) == {"1": 3}
        assert north.due(self.looks((3, 4), (8, 12))) == {}

    def test_the_best_ratio_so_far_may_take_the_place_of_the_first(self):
        looks = self.looks((3, 4), (4, 4), (11, 12))
        assert North(gamma=0.9, best_so_far=True).due(looks) == {"1": 1}
        assert North(gamma=0.9).due(looks) == {"1": 3}

    def test_its_rank_is_that_of_the_post_activities(self):
        """Six neurons of which one is dead and one a copy: rank 4, by torch's own SVD."""
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2)).double()
        with torch.no_grad():
            model[0].weight[1], model[0].bias[1] = model[0].weight[0], model[0].bias[0]
            model[0].bias[2] = -100
        x, y = torch.randn(300, 5).double(), torch.randn(300, 2).double()
        (site,) = find_sites(model, x[:2])
        needs = {site.name: North().needs(site)}
        assert needs[site.name] == Need.SAMPLES
        seen = measure(model, [site], [(x, y)], nn.MSELoss(), needs)[site.name]
        H = model[1](model[0](x)).detach()
        expected = (torch.linalg.svdvals(H / 300**0.5) > 0.01).sum()
        assert North().measured(seen) == expected == 4

    def test_it_looks_at_initialisation_first(self):
        assert [North().time(done, 30, 10) for done in range(4)] == [0, 30, 40, 50]


def test_every_trial_that_says_nothing_grows_as_it_always_did():
    """The default is `every`, and says so nowhere: identities stay."""
    assert "when" not in Schedule().model_dump()
    assert Schedule(when="north").model_dump()["when"] == "north"
    records, events = said(trial("random_growth", schedule=Schedule(growths=3, **STEPS)))
    assert [event.step for event in events] == [5, 10, 15]
    assert records[-1].trigger_flops == 0


def grown_at(when, budget, reserve=0.25, **changes):
    schedule = Schedule(when=when, growths=4, reserve=reserve, **STEPS)
    running = trial("random_growth", schedule=schedule, budget=budget, **changes)
    records, events = said(running)
    assert records[-1].widths == (9,)
    return [event.step for event in events], records


class TestForcedGrowth:
    """A trigger that never fires still reaches the target, one growth a look, late but in time."""

    def test_of_a_budget_in_the_schedules_unit(self):
        """75 of 100 steps: the last four looks are at 60, 65, 70 and 75."""
        steps, _ = grown_at(NEVER, Budget(steps=100))
        assert steps == [60, 65, 70, 75]

    def test_of_a_budget_in_epochs_with_looks_by_steps(self):
        """20 steps an epoch: 630 samples in batches of 32 but for the last one of 22."""
        steps, _ = grown_at(NEVER, Budget(epochs=5))
        assert steps == [55, 65, 70, 75]

    def test_of_a_budget_in_flops(self):
        budget = Budget(flops=2e6)
        steps, records = grown_at(NEVER, budget)
        assert len(steps) == 4
        grown = next(record for record in records if record.widths == (9,))
        assert spent(grown) < 0.9 * budget.flops
        assert spent(records[-1]) <= budget.flops

    def test_where_the_budget_no_longer_allows_what_the_trigger_measures(self):
        """Else such a trial would look again and again, and never end."""
        schedule = Schedule(when=NEVER, growths=4, reserve=0.01, **STEPS)
        running = trial("random_growth", schedule=schedule, budget=Budget(flops=1e6))
        with pytest.raises(TargetMissedError):
            said(running)
        assert len(running.now.progress.growths) == 4

    def test_of_a_budget_in_seconds_not_before_training(self):
        """The look at initialisation takes time, but tells nothing of how fast training is."""
        steps, _ = grown_at("north[gamma=1]", Budget(seconds=0.5))
        assert steps[0] > 0

    def test_all_at_once_where_there_are_too_few_looks(self):
        schedule = Schedule(when=NEVER, growths=4, unit="steps", every=40)
        _, events = said(trial("random_growth", schedule=schedule, budget=Budget(steps=100)))
        assert [event.step for event in events] == [40, 75, 75, 75]

    def test_not_where_the_trigger_was_earlier(self):
        steps, _ = grown_at("plateau[delta=100,window=1]", Budget(steps=100))
        assert steps == [10, 20, 30, 40]


def test_no_growth_is_forced_where_sizes_are_free():
    schedule = Schedule(when=NEVER, neurons=2, **STEPS)
    _, events = said(trial("tiny", kind="free", schedule=schedule, budget=Budget(steps=40)))
    assert events == []


def test_looks_are_charged_and_a_budget_of_flops_holds_them():
    """A score of the sample of each split that is read."""
    schedule = Schedule(when="plateau[of=validation,delta=-100]", neurons=2, **STEPS)
    running = trial("tiny", kind="free", schedule=schedule, budget=Budget(steps=40))
    sample = running.data.validation_sample
    records, _ = said(running)
    with FlopMeter() as counted:
        score(running.model, sample, running.now.loss)
    looks = len(running.now.progress.looks)
    assert looks == 7
    assert records[-1].trigger_flops == records[-1].growth_flops == looks * counted.flops
    budget = Budget(flops=2e5)
    records, _ = said(trial("tiny", kind="free", schedule=schedule, budget=budget))
    assert records[-1].trigger_flops > 0
    assert spent(records[-1]) <= budget.flops


def test_looks_of_north_cost_a_pass_and_the_eigenvalues_of_each_layer():
    """On 500 samples: the network, the hidden layer once more, and the Gram of its activities."""
    schedule = Schedule(when="north[gamma=1]", neurons=2, growths=1, **STEPS)
    running = trial("random_growth", kind="free", schedule=schedule, budget=Budget(steps=6))
    records, _ = said(running)
    looks = running.now.progress.looks
    assert [(look.at, look.widths) for look in looks] == [(0, {"0": 1}), (5, {"0": 1})]
    n, p, width, outputs = 500, 11, 1, 1
    each = n * (10 * width + width * outputs) + n * p * width + n * width**2
    assert records[-1].trigger_flops == 2 * (each + (4 * width**3 // 3) / 2)


def test_losses_are_read_where_a_sample_has_many_targets(tmp_path):
    """Next characters: outputs are (samples, characters, context), nothing to count."""
    (tmp_path / "text.txt").write_text("the cat sat on the mat, " * 60)
    task = CharLM(path=str(tmp_path / "text.txt"), context=4, target_widths=(2, 2))
    schedule = Schedule(when="plateau[of=validation,delta=-100]", growths=1, **STEPS)
    records, events = said(
        trial("random_growth", task, schedule=schedule, budget=Budget(steps=12))
    )
    assert [event.step for event in events] == [5, 5]
    assert records[-1].trigger_flops > 0


@pytest.mark.parametrize("when", ["plateau", "plateau[of=validation]", "north", "significant"])
def test_triggers_never_see_test_data(when):
    schedule = Schedule(when=when, neurons=2, **STEPS)
    running = trial("tiny", kind="free", schedule=schedule, budget=Budget(steps=20))
    test = watched(running.data.test, WatchedTest)
    validation = watched(running.data.validation, WatchedValidation)
    running.data = replace(running.data, test=test, validation=validation)
    running.growing.data = running.data
    READERS.clear()
    said(running)
    reads = "validation" in when
    own = {reader for kind, reader in READERS if kind == "WatchedTest"}
    assert own == {measurement.__file__}
    others = {reader for _, reader in READERS} - {measurement.__file__}
    assert bool(others) == reads


def test_north_asks_for_neurons_by_site_in_free_growth():
    schedule = Schedule(when="north[gamma=0.5]", neurons=7, unit="steps", every=5)
    settings = {"kind": "free", "schedule": schedule, "budget": Budget(steps=22)}
    records, events = said(trial("random_growth[zero_fan_out=true]", **settings))
    assert [event.asked for event in events] == [1, 1, 2, 3]
    assert records[-1].widths == (8,)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["north", "every"])
def test_orthogonal_neurons_stop_at_the_dimension_of_the_data_whatever_the_trigger(when):
    """Three independent inputs and the bias: four neurons."""
    schedule = Schedule(when=when, neurons=3, unit="steps", every=10)
    settings = {"kind": "free", "schedule": schedule, "budget": Budget(steps=100)}
    task = plugins.task("effective_dimension[dimension=3,samples=500,seed_widths=[2]]")
    records, _ = said(trial("north_preactivation", task, **settings))
    assert records[-1].widths == (4,)


@dataclass(frozen=True)
class Impatient(Trigger):
    """Never looks later."""

    name: ClassVar[str] = "impatient"
    summary: ClassVar[str] = "one line"

    def time(self, done, first, every):
        return 1.0

    def due(self, progress):
        return False


@dataclass(frozen=True)
class Strange(Trigger):
    """Decides, measures and looks as it is told."""

    name: ClassVar[str] = "strange"
    summary: ClassVar[str] = "one line"

    decided: Any = False
    kept: Any = 1.0

    def needs(self, site):
        return Need.SAMPLES

    def measured(self, statistics):
        return self.kept

    def time(self, done, first, every):
        return min(super().time(done, first, every), 20)

    def due(self, progress):
        return self.decided


@pytest.mark.parametrize(
    ("trigger", "sentence"),
    [
        (Strange(None), "decided None, expected True, False or neurons by site"),
        (Strange(3.5), "decided 3.5, expected True, False or neurons by site"),
        (Strange({"2": 1}), "names site '2', expected 0"),
        (Strange({"0": -3}), "asks for -3 neurons at site 0, expected a whole number from 0"),
        (Strange({"0": 2.5}), "asks for 2.5 neurons at site 0, expected a whole number from 0"),
        (Strange({"0": 10**9}), "asks for 1000000000 neurons at site 0, expected a whole"),
        (Strange(kept=None), "measured None at site 0, expected a finite number"),
        (Strange(kept=math.nan), "measured nan at site 0, expected a finite number"),
        (Strange(), "looks at 20 steps, then at 20, expected later"),
    ],
)
def test_what_no_trigger_may_say_ends_its_trial_with_one_sentence(trigger, sentence):
    schedule = Schedule(when=NEVER, **STEPS)
    running = trial("random_growth", kind="free", schedule=schedule, budget=Budget(steps=30))
    running.agenda = running.growing.agenda = replace(running.agenda, trigger=trigger)
    with pytest.raises(ValueError, match=re.escape(f"trigger strange {sentence}")):
        said(running)


def test_no_neurons_at_any_site_are_no_growth():
    found = progress([1.0])
    assert decision(Strange({"1": 0}), found) == {}
    assert decision(Strange({"1": 2}), found) == {"1": 2}


class TestPlans:
    def planned(self, task="digits", **schedule):
        return plan(load_protocol("smoke", [{"tasks": [task], "schedule": schedule}]))

    def test_hold_the_canonical_trigger(self):
        configs = self.planned(when="plateau[window=3, delta=0.5]")
        assert {config.schedule.when for config in configs} == {"plateau[delta=0.5]"}

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"when": "platau"}, "unknown trigger 'platau': did you mean plateau?"),
            ({"when": "plateau[window=0]"}, "window is 0, expected looks from 1"),
            ({"when": "plateau", "every": 0}, "looks come at 0, 0, 0, 0 steps"),
            ({"when": "north", "every": -1}, "expected a number of at least 0"),
            ({"when": ["north"]}, "expected text"),
            ({"reserve": 1}, "expected a number less than 1"),
        ],
    )
    def test_of_no_such_trigger_get_one_sentence(self, change, said):
        with pytest.raises(InputError, match=r"(?s).*") as error:
            self.planned(**{"every": 5, "unit": "steps", **change})
        assert said in str(error.value)
        assert "\n" not in str(error.value)

    def test_of_an_error_where_there_are_no_classes_are_refused(self):
        with pytest.raises(
            InputError, match="task diabetes is scored by its loss and has no error"
        ):
            self.planned("diabetes", when="plateau[metric=error]")


def test_the_contract_finds_a_trigger_that_looks_again_and_again():
    from nas_bench.contract import check_trigger

    found = {check.name: check.message for check in check_trigger(Impatient()) if not check.ok}
    assert found == {"looks later and later": "the look after the one at 1 is at 1, not later"}
