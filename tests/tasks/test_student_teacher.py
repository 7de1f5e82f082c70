"""GradMax's student and teacher."""

from pathlib import Path

import pytest
import torch

from nas_bench.tasks.student_teacher import StudentTeacher
from nas_bench.training.data import prepare
from nas_bench.training.flops import parameters


def test_a_thousand_samples_are_left_for_training_and_a_batch_is_all_of_them():
    task = StudentTeacher()
    data = prepare(task, Path(), 0.1)
    assert len(data.train) == len(data.test) == task.recipe.batch_size == 1000
    assert len(data.validation) == 111


def test_inputs_are_gaussian_and_targets_are_what_a_teacher_of_the_target_size_says():
    """Least squares finds the teacher's second layer behind its first one exactly."""
    task = StudentTeacher()
    train, _ = task.load(Path())
    generator = torch.Generator().manual_seed(0)
    first = 2 * torch.rand(10, 10, generator=generator) - 1
    hidden = (train.inputs @ first).clamp(min=0)
    found = torch.linalg.lstsq(hidden, train.targets)
    second = found.solution
    assert torch.allclose(hidden @ second, train.targets, atol=1e-3)
    assert second.abs().max() <= 1 + 1e-4
    assert second.abs().max() > 0.9
    assert train.inputs.mean().abs() < 0.05
    assert train.inputs.std() == pytest.approx(1, abs=0.05)


def test_another_draw_is_another_teacher_and_the_same_draw_the_same():
    (one, _), (same, _), (other, _) = (
        StudentTeacher(draw=draw).load(Path()) for draw in (0, 0, 1)
    )
    assert torch.equal(one.targets, same.targets)
    assert not torch.allclose(one.targets, other.targets)


def test_the_student_has_no_biases_and_five_neurons_of_ten():
    task = StudentTeacher()
    assert parameters(task.network(task.seed_widths)) == 5 * 20
    assert parameters(task.network(task.target_widths)) == 10 * 20


def test_the_loss_is_the_mean_over_samples_and_outputs():
    outputs, targets = torch.zeros(4, 10), torch.full((4, 10), 3.0)
    assert float(StudentTeacher().loss(outputs, targets)) == 9.0


@pytest.mark.parametrize("options", [{"draw": -1}, {"samples": 9}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        StudentTeacher(**options)
