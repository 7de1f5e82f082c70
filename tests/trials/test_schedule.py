"""When trials grow and towards which widths."""

import pytest

from nas_bench.methods.fixed import Fixed
from nas_bench.tasks.digits import Digits
from nas_bench.trials.config import Budget, Schedule
from nas_bench.trials.schedule import first_widths, growth_time, milestones, start_widths
from nas_bench.trials.spending import Spent


def test_widths_rise_evenly_to_the_target():
    schedule = Schedule(growths=4)
    assert milestones(schedule, (1, 2), (9, 2)) == [(3, 2), (5, 2), (7, 2), (9, 2)]


def test_widths_are_whole_and_end_at_the_target():
    steps = milestones(Schedule(growths=6), (1, 1), (110, 51))
    assert steps[-1] == (110, 51)
    assert steps == sorted(steps)


def test_the_widths_of_the_paper_can_be_named():
    widths = ((2, 4), (6, 11), (17, 21), (38, 31), (69, 41), (110, 51))
    assert milestones(Schedule(widths=widths), (1, 1), (110, 51)) == list(widths)


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        (((2, 2), (1, 3)), "shrink"),
        (((2, 2, 2),), "expected 2 widths"),
        (((2, 2), (9, 8)), "make them equal"),
    ],
)
def test_widths_that_shrink_or_do_not_match_are_refused(widths, said):
    with pytest.raises(ValueError, match=said):
        milestones(Schedule(widths=widths), (1, 1), (9, 9))


def test_sites_that_grow_in_turn_take_one_step_after_the_other():
    steps = milestones(Schedule(growths=4, where="turn"), (1, 2), (5, 4))
    assert steps == [(3, 2), (3, 3), (5, 3), (5, 4)]


def test_sites_that_would_not_grow_equally_often_are_refused():
    with pytest.raises(ValueError, match="take a multiple of 2"):
        milestones(Schedule(growths=3, where="turn"), (1, 2), (5, 4))


def test_methods_begin_with_widths_of_the_task_or_their_own():
    task = Digits()
    assert first_widths(task, Fixed()) == (32, 16)
    assert first_widths(task, Fixed(size="seed")) == (1, 1)
    assert first_widths(task, Fixed(widths=(7, 9))) == (7, 9)
    with pytest.raises(ValueError, match=r"fixed has the widths \[7\], expected 2 whole numbers"):
        first_widths(task, Fixed(widths=(7,)))


def test_a_quarter_of_the_target_widths_stands_for_the_seed_widths():
    task = Digits(target_widths=(33, 2))
    assert start_widths(task, "seed") == (1, 1)
    assert start_widths(task, "quarter") == first_widths(task, Fixed(size="seed"), "quarter")
    assert start_widths(task, "quarter") == (8, 1)
    assert first_widths(task, Fixed(), "quarter") == (33, 2)
    assert first_widths(task, Fixed(widths=(7, 9)), "quarter") == (7, 9)


def test_a_target_below_the_seed_is_refused():
    with pytest.raises(ValueError, match="are below the seed widths"):
        milestones(Schedule(growths=2), (1, 5), (9, 4))


def test_the_first_growth_is_after_one_interval_unless_said_otherwise():
    assert [growth_time(Schedule(every=0.5), done) for done in range(3)] == [0.5, 1.0, 1.5]
    assert growth_time(Schedule(every=0.5, first=0), 0) == 0


def test_a_step_that_would_exceed_a_budget_of_flops_is_not_started():
    spent = Spent(train_flops=60, growth_flops=30)
    assert not spent.exhausts(Budget(flops=100), 0.0, next_step=10)
    assert spent.exhausts(Budget(flops=100), 0.0, next_step=11)
    assert spent.fraction(Budget(flops=100), 0.0) == 0.9


def test_a_budget_of_seconds_counts_training_and_growth_but_no_evaluation():
    spent = Spent(seconds={"train": 2.0, "line_search": 1.0, "evaluation": 50.0})
    assert spent.fraction(Budget(seconds=6), 0.0) == 0.5
    assert not spent.exhausts(Budget(seconds=3.1), 0.0, 1)
    assert spent.exhausts(Budget(seconds=3), 0.0, 1)


def test_budgets_of_epochs_and_steps_end_exactly():
    assert Spent(step=5).exhausts(Budget(steps=5), 0.0, 1)
    assert not Spent(step=4).exhausts(Budget(steps=5), 0.0, 1)
    assert Spent().exhausts(Budget(epochs=0.3), 0.1 + 0.2, 1)
