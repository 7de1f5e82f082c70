import math

import torch

from nas_bench.tasks.sine import Sine


def test_no_change_of_a_line_improves_all_four_points_of_the_paper():
    """A.4: (a, b) = (1, 0) at 0, π/2, π, 3π/2; every direction makes some point worse."""
    x = torch.tensor([0, 0.5, 1, 1.5], dtype=torch.float64) * math.pi
    goal = 2 * (2 * x.sin() + x - x)
    angles = torch.linspace(0, 2 * math.pi, 721, dtype=torch.float64)
    updates = torch.outer(angles.cos(), x) + angles.sin().unsqueeze(1)
    wanted = goal.abs() > 1e-9
    assert (
        not ((updates * goal)[:, wanted] > 0)
        .all(dim=1)
        .logical_and((updates[:, ~wanted].abs() < 1e-9).all(dim=1))
        .any()
    )


def test_one_neuron_beats_every_line(tmp_path):
    train, test = Sine().load(tmp_path)
    design = torch.cat([train.inputs, torch.ones_like(train.inputs)], dim=1)
    line = torch.linalg.lstsq(design, train.targets).solution
    worst = float((test.inputs * line[0] + line[1] - test.targets).square().mean())
    torch.manual_seed(0)
    network, loss = Sine().network((1,)), Sine().loss
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=200)

    def closure():
        optimizer.zero_grad()
        value = loss(network(train.inputs), train.targets)
        value.backward()
        return value

    optimizer.step(closure)
    assert loss(network(test.inputs), test.targets).item() < 0.9 * worst
