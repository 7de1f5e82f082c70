"""Slow, explicit definitions of the quantities of growth, in float64 and in sample space.

Nothing here reads the engine. Laws are numbered as in the table of oracles: 1 sample-space gains,
2 bottleneck, 3 inner product, 4 first-order drop, 5 projection, 6 orthogonality, 10 GradMax,
11 NORTH, 12 function kept, 14 merging, 15 null hypothesis.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]
Path = Callable[[Tensor], Tensor]

CUT = 1e-5
"""Relative cut on the singular values of equilibrated samples: 1e-10 on those of the Gram."""


@dataclass(frozen=True)
class Rows:
    """What one site reads and wants, sample by sample and position by position.

    Attributes:
        inputs: b₂ with its constant 1, shape (n, T, p).
        hidden: b₁ with its constant 1, shape (n, T, m).
        pre_activity: a, shape (n, T, d).
        goal: v = −∂ℓ/∂a of each sample's own loss, shape (n, T, d).
    """

    inputs: Tensor
    hidden: Tensor
    pre_activity: Tensor
    goal: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


def site_rows(
    model: nn.Module, grown: str, next_layer: str, x: Tensor, y: Tensor, loss: Loss
) -> Rows:
    """The rows of a site: the network is run on each sample alone (§1), in eval mode."""
    model = copy.deepcopy(model).eval()
    samples = [
        _one_sample(model, grown, next_layer, x[i : i + 1], y[i : i + 1], loss)
        for i in range(len(x))
    ]
    return Rows(*(torch.stack(parts) for parts in zip(*samples, strict=True)))


def _one_sample(
    model: nn.Module, grown: str, next_layer: str, x: Tensor, y: Tensor, loss: Loss
) -> tuple[Tensor, ...]:
    """b₂, b₁, a and v of a single sample, each of shape (T, ·)."""
    first, second = model.get_submodule(grown), model.get_submodule(next_layer)
    seen: dict[str, Tensor] = {}
    handles = [
        first.register_forward_pre_hook(lambda _m, args: seen.update(inputs=args[0])),
        second.register_forward_pre_hook(lambda _m, args: seen.update(hidden=args[0])),
        second.register_forward_hook(lambda _m, _args, out: seen.update(out=out)),
    ]
    value = loss(model(x), y)
    goal = -torch.autograd.grad(value, seen["out"])[0]
    for handle in handles:
        handle.remove()
    return (
        with_constant(_positions(seen["inputs"]), first),
        with_constant(_positions(seen["hidden"]), second),
        _positions(seen["out"]),
        _positions(goal),
    )


def _positions(field: Tensor) -> Tensor:
    """A field of one sample as (T, features)."""
    return field.detach().reshape(-1, field.shape[-1]).double()


def with_constant(rows: Tensor, layer: nn.Module) -> Tensor:
    """Rows with a last column of ones where the layer has a bias."""
    if getattr(layer, "bias", None) is None:
        return rows
    return torch.cat([rows, torch.ones_like(rows[..., :1])], dim=-1)


def moment(left: Tensor, right: Tensor) -> Tensor:
    """E[left rightᵀ]: the sum over positions, the mean over samples (§1), by loops."""
    total = torch.zeros(left.shape[-1], right.shape[-1], dtype=torch.float64)
    for i in range(len(left)):
        for t in range(left.shape[1]):
            total += torch.outer(left[i, t], right[i, t])
    return total / len(left)


def norm2(field: Tensor) -> float:
    """E‖field‖²: the sum over positions, the mean over samples."""
    return float(field.square().sum() / len(field))


def flat(field: Tensor) -> Tensor:
    """Samples and positions as rows."""
    return field.reshape(-1, field.shape[-1])


def equilibrated(field: Tensor) -> tuple[Tensor, Tensor]:
    """The rows with each feature at unit mean square, zero features dropped, and the scales."""
    rows = flat(field)
    scales = rows.square().sum(0).div(len(field)).sqrt()
    keep = scales > 0
    return rows[:, keep] / scales[keep], keep


def basis(field: Tensor, cut: float = CUT) -> Tensor:
    """Q: an orthonormal basis of what the features span over the samples (law 1)."""
    rows, _ = equilibrated(field)
    if rows.shape[1] == 0:
        return rows
    left, values, _ = torch.linalg.svd(rows, full_matrices=False)
    return left[:, values > cut * values.max()]


def rank(field: Tensor) -> int:
    """How many independent directions the features span over the samples."""
    return basis(field).shape[1]


def ridge_rows(field: Tensor, ridge: float, *, constant: bool = True) -> Tensor:
    """Samples that ask for weights of 0: below the real ones they make S into S + ρ s̄ I (§1).

    One for each living feature but the constant 1, √(n ρ s̄) of that feature, where s̄ is the
    living features' mean power. Shape (p or fewer, p).
    """
    power = flat(field).square().sum(0) / len(field)
    living = [i for i in range(len(power) - constant) if power[i] > 1e-24 * power.max()]
    mean = sum(float(power[i]) for i in living) / max(len(living), 1)
    rows = torch.zeros(len(living), field.shape[-1], dtype=torch.float64)
    for row, i in enumerate(living):
        rows[row, i] = (len(field) * ridge * mean) ** 0.5
    return rows


def residual_goal(rows: Rows, ridge: float = 0.0, *, constant: bool = True) -> Tensor:
    """v_p: what of v the existing weights cannot do, shape (n, T, d) (Prop. 3.1)."""
    if ridge:
        return rows.goal - rows.hidden @ weight_update(rows, ridge, constant=constant).T
    Q, V = basis(rows.hidden), flat(rows.goal)
    return (V - Q @ (Q.T @ V)).reshape(rows.goal.shape)


def weight_update(rows: Rows, ridge: float = 0.0, *, constant: bool = True) -> Tensor:
    """δW* by least squares on the equilibrated rows, shape (d, m) (Prop. 3.1).

    Args:
        rows: of the site.
        ridge: ρ.
        constant: whether the last feature is the constant 1, which has no ridge.
    """
    silent = ridge_rows(rows.hidden, ridge, constant=constant)
    hidden, goal = torch.cat([flat(rows.hidden), silent]), flat(rows.goal)
    goal = torch.cat([goal, goal.new_zeros(len(silent), goal.shape[1])])
    scales = hidden.square().sum(0).div(len(rows)).sqrt()
    keep = scales > 0
    left, values, right = torch.linalg.svd(hidden[:, keep] / scales[keep], full_matrices=False)
    kept = values > CUT * values.max()
    solution = right[kept].T @ ((left[:, kept].T @ goal) / values[kept, None])
    update = torch.zeros(rows.hidden.shape[-1], rows.goal.shape[-1], dtype=torch.float64)
    update[keep] = solution / scales[keep, None]
    return update.T


def bottleneck(rows: Rows) -> float:
    """Ψ = E‖v_p‖²."""
    return norm2(residual_goal(rows))


def gains(rows: Rows, goal: Tensor | None = None) -> Tensor:
    """λ = svdvals(Qᵀ V_p)/√n, largest first (law 1); another goal can stand for v_p."""
    goal = residual_goal(rows) if goal is None else goal
    return torch.linalg.svdvals(basis(rows.inputs).T @ flat(goal)) / len(rows) ** 0.5


def ridged_basis(field: Tensor, silent: Tensor) -> Tensor:
    """Q of the features with the samples of `ridge_rows` below, of which the real ones are kept.

    Singular values of QᵀV_p/√n are then those of (S + ρ s̄ I)^{-1/2} N.
    """
    rows = torch.cat([flat(field), silent])
    norms = rows.norm(dim=0)
    left, values, _ = torch.linalg.svd(rows[:, norms > 0] / norms[norms > 0], full_matrices=False)
    return left[: len(flat(field)), values > CUT * values.max()]


def contribution(rows: Rows, fan_in: Tensor, fan_out: Tensor) -> Tensor:
    """v_new = Σ_k ω_k α_kᵀ b₂, one neuron at a time; fan_out of shape (k, d)."""
    total = torch.zeros_like(rows.goal)
    for alpha, omega in zip(fan_in.double(), fan_out.double(), strict=True):
        total += (rows.inputs @ alpha)[..., None] * omega
    return total


def update_contribution(rows: Rows, update: Tensor | None) -> Tensor:
    """What a change (d, m) of the existing weights adds to the pre-activity."""
    if update is None:
        return torch.zeros_like(rows.goal)
    return rows.hidden @ update.double().T


def step_scale(rows: Rows, fan_in: Tensor, fan_out: Tensor, update: Tensor | None) -> float:
    """γ = ‖a‖/‖v_new + δW* b₁‖ (Alg. 2); 1 where a is 0."""
    step = contribution(rows, fan_in, fan_out) + update_contribution(rows, update)
    size = float(rows.pre_activity.norm())
    return size / float(step.norm()) if size else 1.0


def predicted_drop(rows: Rows, fan_in: Tensor, fan_out: Tensor, update: Tensor | None) -> float:
    """σ′(0)=1: ⟨v, v_new + δW* b₁⟩/n, the fall of the mean loss per unit of amplitude (law 4)."""
    step = contribution(rows, fan_in, fan_out) + update_contribution(rows, update)
    return float((rows.goal * step).sum() / len(rows))


def channel_moments(rows: Rows, fan_in: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of αᵀb₂ over samples and positions, for batch norm (§3)."""
    values = flat(rows.inputs) @ fan_in.double().T
    return values.mean(0), values.var(0, unbiased=False)


class Branched(nn.Module):
    """A network with explicit new neurons in parallel: next layer's output += ω path(αᵀb₂).

    Nothing is concatenated, so it shares no idea with widening. The path is the activation that
    new neurons go through; batch norm is the identity on new channels.
    """

    def __init__(
        self,
        model: nn.Module,
        site: tuple[str, str],
        fan_in: Tensor,
        fan_out: Tensor,
        path: Path,
        update: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()
        self.site, self.path = site, path
        self.fan_in = nn.Parameter(fan_in.detach().clone())
        self.fan_out = nn.Parameter(fan_out.detach().clone())
        self.update = update

    def forward(self, x: Tensor) -> Tensor:
        first, second = (self.model.get_submodule(name) for name in self.site)
        seen: list[Tensor] = []

        def remember(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen.append(with_constant(args[0], first))

        def add(_module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
            out = out + self.path(seen[-1] @ self.fan_in.T) @ self.fan_out
            if self.update is None:
                return out
            return out + with_constant(args[0], second) @ self.update.T.to(out)

        handles = [first.register_forward_pre_hook(remember), second.register_forward_hook(add)]
        try:
            return self.model(x)
        finally:
            for handle in handles:
                handle.remove()


def stepped(
    model: nn.Module,
    site: tuple[str, str],
    neurons: tuple[Tensor, Tensor],
    path: Path,
    amplitude: float,
    update: Tensor | None = None,
) -> Branched:
    """The network after a step: α, ω × √ε and δW* × ε (Alg. 2)."""
    root = amplitude**0.5
    scaled = None if update is None else amplitude * update
    return Branched(model, site, root * neurons[0], root * neurons[1], path, scaled)


def loss_value(model: nn.Module, x: Tensor, y: Tensor, loss: Loss) -> float:
    """The loss of a batch, without gradients."""
    with torch.no_grad():
        return float(loss(model(x), y))


AMPLITUDES = [0.0] + [2.0**j for j in range(-20, 5)]
AMPLITUDES_TO_ONE = AMPLITUDES[:-4]
"""Alg. 2 as read: {0} ∪ {2^j, j = 4 … −20}, rising, so that the first least is the smaller."""


def line_search(losses: Callable[[float], float], *, largest: float = 1.0) -> tuple[float, float]:
    """The amplitude of least loss up to the largest, ties to the smaller, and that loss."""
    candidates = [e for e in AMPLITUDES if e <= largest]
    return min(((e, losses(e)) for e in candidates), key=lambda pair: (pair[1], pair[0]))


def bracketed(
    losses: Callable[[float], float], slope: float, *, largest: float = 1.0
) -> tuple[float, float, int]:
    """The same from few losses, and how many: from 1/2 to where a parabola leads, again and again,
    then to the neighbours of the best, while they are ten at most.
    """
    known, top = {0.0: losses(0.0)}, 2.0 ** math.floor(math.log2(largest))
    allowed = [e for e in AMPLITUDES[1:] if e <= top]
    epsilon: float | None = min(0.5, top)
    while epsilon and len(known) <= 10:
        known[epsilon] = losses(epsilon)
        epsilon = _following(known, allowed, slope)
    best = min(known, key=lambda e: (known[e], e))
    return best, known[best], len(known) - 1


def _following(known: dict[float, float], allowed: list[float], slope: float) -> float | None:
    tried = sorted(known.keys() - {0.0}, key=lambda e: (known[e], e))
    drop, best, places = known[0.0] - known[tried[0]], tried[0], sorted(tried)
    i = places.index(best)
    lower = places[i - 1] if i else 0.0
    upper = places[i + 1] if i + 1 < len(places) else math.inf
    if slope > 0 and math.isfinite(drop):
        less = best * slope - drop  # than the slope promises: c ε²
        bottom = 0.5 * slope * best**2 / less if less > 0 else math.inf
        near = min(allowed, key=lambda e: abs(math.log(min(bottom, allowed[-1]) / e)))
        if lower < near < upper and near != best:
            return near
    if drop <= 0:
        around = [places[0] / 16]
    else:
        halves = [math.log2(upper / best) // 2, math.log2(best / lower) // 2 if lower else 1]
        up = 2 * best if upper == math.inf else best * 2.0 ** halves[0]
        around = [up, best / 2.0 ** halves[1]]
    return next((e for e in around if e in allowed and e not in known), None)


def best_sign(rows: Rows, alpha: Tensor, omega: Tensor, path: Path) -> tuple[int, float]:
    """s maximising ⟨v, s·ω·path(s·αᵀb₂)⟩, tried both ways (§2), and the relative margin."""
    scores = {}
    for sign in (1, -1):
        added = path(sign * (rows.inputs @ alpha))[..., None] * (sign * omega)
        scores[sign] = float((rows.goal * added).sum())
    margin = abs(scores[1] - scores[-1]) / max(abs(scores[1]), abs(scores[-1]), 1e-300)
    if margin <= 1e-9:
        return (1 if omega[omega.abs().argmax()] > 0 else -1), margin
    return max(scores, key=lambda sign: scores[sign]), margin


def centred(field: Tensor) -> Tensor:
    """A field less its mean over samples and positions."""
    return field - flat(field).mean(0)


def gradmax_gradients(
    model: nn.Module, site: tuple[str, str], x: Tensor, y: Tensor, loss: Loss, fan_out: Tensor
) -> Tensor:
    """∂Σℓ/∂α_k at α = 0 with slope 1, by autograd on the explicit network, (k, p) (law 10)."""
    first = model.get_submodule(site[0])
    width = first.in_features + (first.bias is not None)
    fan_in = torch.zeros(len(fan_out), width, dtype=fan_out.dtype)
    network = Branched(model, site, fan_in, fan_out, lambda z: z)
    value = sum(loss(network(x[i : i + 1]), y[i : i + 1]) for i in range(len(x)))
    return torch.autograd.grad(value, network.fan_in)[0]


def north_directions(rows: Rows, weights: Tensor, generator: torch.Generator, k: int) -> Tensor:
    """New pre-activities B₂S⁺B₂ᵀz, z Gaussian in the kernel of the present ones (App. B.2).

    Weights are the grown layer's, bias last, (h, p). Returns (n·T, k), in sample space.
    """
    Q = basis(rows.inputs)
    present = Q.T @ (flat(rows.inputs) @ weights.double().T)
    left, values, _ = torch.linalg.svd(present)
    taken = left[:, : int((values > CUT * values.max()).sum())]
    z = torch.randn(Q.shape[1], k, generator=generator, dtype=torch.float64)
    return Q @ (z - taken @ (taken.T @ z))


def null_gain(rows: Rows, generator: torch.Generator, projected: bool) -> float:
    """The largest λ of one direct simulation of H₀: Gaussian goals independent of b₂ (D.3).

    Projected: noise with the covariance that makes E v_p v_pᵀ right, projected like v.
    Unprojected: noise with v's own covariance and inputs, all centred.
    """
    n, hidden = len(rows), basis(rows.hidden)
    noise = torch.randn(n, rows.goal.shape[-1], generator=generator, dtype=torch.float64)
    if projected:
        V = flat(residual_goal(rows))
        noise = noise @ _root(V.T @ V / (n - hidden.shape[1]))
        noise = noise - hidden @ (hidden.T @ noise)
        return float(torch.linalg.svdvals(basis(rows.inputs).T @ noise)[0]) / n**0.5
    V = flat(centred(rows.goal))
    noise = noise @ _root(V.T @ V / n)
    noise = noise - noise.mean(0)
    return float(torch.linalg.svdvals(_centred_basis(rows).T @ noise)[0]) / n**0.5


def centred_gains(rows: Rows) -> Tensor:
    """Singular values of T_cᵀ E[(b₂−b̄₂)(v−v̄)ᵀ]: what the unprojected threshold is held to."""
    values = _centred_basis(rows).T @ flat(centred(rows.goal))
    return torch.linalg.svdvals(values) / len(rows) ** 0.5


def _centred_basis(rows: Rows) -> Tensor:
    B = centred(rows.inputs)
    moving = flat(B).abs().amax(0) > 1e-12 * flat(rows.inputs).abs().amax(0)
    return basis(B[..., moving])


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
