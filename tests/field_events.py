"""Growth events at sites with a map by their definitions: slow, explicit, in float64.

As `growth_events` for sites between linear layers; nothing here reads the engine. What the next
layer's taps read is listed position by position (`fields`), and every sum is over these lists.
Random draws are made in the same order as in the package.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt

import fields
import oracles
import torch
from fields import FieldRows, Stand
from oracles import Loss
from torch import Generator, Tensor, nn

Batch = tuple[Tensor, Tensor]
Layer = nn.Linear | nn.Conv2d
FLOAT32 = 1e-6
"""Relative size below which a gain or an eigenvalue is rounding, for networks of float32."""
DRAWS, SAMPLED = 19, 500
"""Of a null distribution, and how many samples these have at least."""
RANKED_ROWS = 20_000
"""At most so many positions of samples tell the effective rank of a candidate."""


@dataclass(frozen=True)
class Seen:
    """A batch inside the network.

    Attributes:
        inputs: what the grown layer reads, (n, C, H, W).
        hidden: what the next layer reads, (n, h, H', W') or flat.
        outputs: a as a map, (n, d, H″, W″) or flat.
        rows: what taps read of new channels, and want.
    """

    inputs: Tensor
    hidden: Tensor
    outputs: Tensor
    rows: FieldRows


@dataclass(frozen=True)
class Scene:
    """What a growth sees.

    Attributes:
        model: before the growth, in float64 and eval mode.
        site: names of the grown and the next layer, which are children of one `nn.Sequential`.
        statistics: the statistics batch.
        search: the batch of the line search.
        batch: the same with its targets.
        loss: the mean over samples.
        keys: random numbers of the samples of the statistics batch; the least are sampled, in
            their order.
        generator: of the growth, with the seed of its measurement already drawn.
    """

    model: nn.Module
    site: tuple[str, str]
    statistics: Seen
    search: Seen
    batch: Batch
    loss: Loss
    keys: Tensor
    generator: Generator

    @property
    def layers(self) -> tuple[Layer, Layer]:
        """The grown and the next layer."""
        return layer(self.model, self.site[0]), layer(self.model, self.site[1])

    @property
    def path(self) -> list[nn.Module]:
        """The modules in between."""
        return path_of(self.model, self.site)

    @property
    def grown(self) -> Tensor:
        """Weights of the grown layer, bias last, (h, p)."""
        return matrix(self.model, self.site[0])

    @property
    def next(self) -> Tensor:
        """Weights of the next layer, bias last, (d, m)."""
        return matrix(self.model, self.site[1])

    @property
    def normed(self) -> bool:
        """Whether a batch norm is in the path."""
        return any(isinstance(module, nn.BatchNorm2d) for module in self.path)

    @property
    def positions(self) -> int:
        """Of the map that the next layer reads."""
        hidden = self.statistics.hidden
        return hidden[0].numel() // len(self.grown)

    @property
    def columns(self) -> Tensor:
        """What the next layer reads each channel by, (h, taps, d)."""
        return columns(self.next, len(self.grown), self.statistics.rows.taps)

    def weights(self, patches: Tensor) -> Tensor:
        """The entries of patches that are not the constant."""
        return patches if self.layers[0].bias is None else patches[..., :-1]


@dataclass(frozen=True)
class Event:
    """New neurons with their amplitude, and what was found on the way.

    Attributes:
        fan_in: (k, p), bias last.
        fan_out: (k, taps, d).
        gains: λ of the neurons proposed, largest first.
        found: how many directions there were that are not rounding.
        update: of the existing weights, (d, m), or None.
        threshold: of significance, None if not tested.
        scale: γ of the neurons, None if none was searched.
        amplitude: ε* of the neurons, likewise.
        update_scale: γ of the update, None if there is none.
        update_amplitude: ε* of the update, likewise.
        predicted: drop of the loss on the batch of the line search to first order.
        measured: that drop.
        copied: the channels that are copied, or None.
        draws: of the null distribution that were made, None if not tested.
        tried: amplitudes of the channels; update_tried: of the update alone.
    """

    fan_in: Tensor
    fan_out: Tensor
    gains: Tensor
    found: int = 0
    update: Tensor | None = None
    threshold: float | None = None
    scale: float | None = None
    amplitude: float | None = None
    update_scale: float | None = None
    update_amplitude: float | None = None
    predicted: float = 0.0
    measured: float = 0.0
    copied: Tensor | None = None
    draws: int | None = None
    tried: int = 0
    update_tried: int = 0


Proposal = Callable[[Scene, int], Event]


def tiny(
    *, projected: bool = True, update: bool = True, ridge: float = 1e-3, tested: bool = True
) -> Proposal:
    """Proposition 3.2 by the SVD of TᵀN, and t* = ⟨g, v_new⟩/‖v_new‖² (§3)."""

    def propose(scene: Scene, k: int) -> Event:
        rows = scene.statistics.rows
        best = weight_update(scene, rows, ridge)
        goal = rows.goal - _fitted(rows, best) if projected else rows.goal
        T = whitening(ridged(fields.covariance(rows), ridge, scene.layers[0]))
        U, gains, Vh = torch.linalg.svd(
            T.T @ fields.cross_covariance(rows, goal), full_matrices=False
        )
        found = int((gains > FLOAT32 * sqrt(oracles.norm2(rows.goal))).sum())
        kept, threshold, draws = min(k, found), None, None
        if tested:
            held = gains if projected else _gains(T, rows, rows.goal - rows.goal.mean(0))
            largest = _null_gains(scene, T, goal, ridge if projected else None)
            draws = next((i for i in range(1, DRAWS) if max(largest[:i]) >= held[0]), DRAWS)
            threshold = max(largest[:draws])
            kept = min(kept, int((held > threshold).sum()))
        roots = gains[:kept].sqrt()[:, None]
        fan_in = roots * (T @ U[:, :kept]).T
        fan_out = (roots * Vh[:kept]).unflatten(1, (rows.taps, -1))
        t = sqrt(fields.rescaling(rows, goal, fan_in, fan_out)) if kept else 1.0
        return Event(
            fan_in=t * fan_in,
            fan_out=t * fan_out,
            gains=gains[:kept],
            found=found,
            update=best if projected and update else None,
            threshold=threshold,
            draws=draws,
        )

    return propose


def _gains(T: Tensor, rows: FieldRows, goal: Tensor) -> Tensor:
    return torch.linalg.svdvals(T.T @ fields.cross_covariance(rows, goal))


def _null_gains(scene: Scene, T: Tensor, goal: Tensor, ridge: float | None) -> list[float]:
    """The largest gain of each draw in which each sample's goal has a random sign (§4).

    A few samples stand for all, with √(n′/n). Projected goals were projected once already: again
    projected, they get back the norm that they had before. Others lose their mean at every
    position before.

    Args:
        scene: of the event.
        T: whitening of the inputs.
        goal: v_p, or v.
        ridge: with which goals are projected, None if they are not.
    """
    rows, m = scene.statistics.rows, len(scene.next[0])
    n, positions = rows.goal.shape[:2]
    count = min(n, max(SAMPLED, 4 * m // positions))
    few = scene.keys.argsort()[:count]
    goal = (goal if ridge is not None else goal - goal.mean(0))[few]
    sample = replace(rows, inputs=rows.inputs[few], hidden=rows.hidden[few])
    signs = torch.randint(2, (DRAWS, count), generator=scene.generator) * 2 - 1
    largest = []
    for sign in signs:
        v = torch.stack([s * g for s, g in zip(sign, goal, strict=True)])
        if ridge is not None:
            own = replace(sample, goal=v)
            again = v - _fitted(own, weight_update(scene, own, ridge))
            v = again * v.norm() / again.norm()
        largest.append(float(_gains(T, sample, v)[0]) * sqrt(count / n))
    return largest


def update_only(*, ridge: float = 1e-3) -> Proposal:
    """No channels, and δW*."""

    def propose(scene: Scene, k: int) -> Event:
        fan_in, fan_out = scene.grown[:0], scene.columns[:0]
        update = weight_update(scene, scene.statistics.rows, ridge)
        return Event(fan_in, fan_out, fan_in.new_zeros(0), update=update)

    return propose


def random_growth(*, update: bool = False, ridge: float = 1e-3) -> Proposal:
    """Kaiming: N(0, 2/fan-in) of the grown layer, and of the next one after growth."""

    def propose(scene: Scene, k: int) -> Event:
        rows, features = scene.statistics.rows, scene.weights(scene.grown).shape[1]
        fan_in = torch.zeros(k, scene.grown.shape[1], dtype=torch.float64)
        fan_in[:, :features] = _gaussian(k, features, scene.generator) * sqrt(2 / features)
        wide = (len(scene.grown) + k) * rows.taps
        fan_out = _gaussian(k, rows.taps * len(scene.next), scene.generator) * sqrt(2 / wide)
        return Event(
            fan_in,
            fan_out.unflatten(1, (rows.taps, -1)),
            torch.zeros(k, dtype=torch.float64),
            update=weight_update(scene, rows, ridge) if update else None,
        )

    return propose


def gradmax(scene: Scene, k: int) -> Event:
    """Zero fan-in; fan-out along the right singular vectors of Ñ; centred behind batch norm."""
    rows = scene.statistics.rows
    largest = sqrt(oracles.norm2(rows.goal) * float(fields.covariance(rows).trace()))
    if scene.normed:
        patches = rows.patches - rows.patches.mean((0, 1))
        rows = replace(rows, inputs=_read(scene, scene.statistics, patches))
    N = fields.cross_covariance(rows, rows.goal)
    N = N if scene.layers[0].bias is None else N[:-1]
    _, gains, Vh = torch.linalg.svd(N, full_matrices=False)
    norms = torch.stack([block.norm() for block in scene.columns])
    return Event(
        torch.zeros(k, scene.grown.shape[1], dtype=torch.float64),
        0.5 * norms.mean() * Vh[:k].unflatten(1, (rows.taps, -1)),
        gains[:k],
        found=int((gains > FLOAT32 * largest).sum()),
    )


def _read(scene: Scene, seen: Seen, patches: Tensor) -> Tensor:
    """What taps read of patches (n, R, p) of the grown layer, (n, Q, taps, p)."""
    size = fields.output_size(seen.inputs.shape[2:], scene.layers[0])
    new = fields.carried(patches, size, scene.path)
    return fields.read(new, fields.taps_of(new, seen.hidden, scene.layers[1]))


def north(candidates: int, effective: float) -> Proposal:
    """Random pre-activities in the kernel of the present ones; best by effective rank alone."""

    def propose(scene: Scene, k: int) -> Event:
        patches, W, generator = scene.statistics.rows.patches, scene.grown, scene.generator
        S = torch.einsum("nrp,nrt->pt", patches, patches) / len(patches)
        T = _cholesky_root(S)
        present, _ = torch.linalg.qr(T.T @ S @ W.T)
        kernel = T @ (torch.eye(len(T), dtype=torch.float64) - present @ present.T)
        drawn = _gaussian(candidates // 10, T.shape[1], generator) @ kernel.T
        size = torch.stack([row.norm() for row in scene.weights(W)]).mean()
        drawn = size * drawn / scene.weights(drawn).norm(dim=1, keepdim=True)
        B = patches[scene.keys.argsort()[: max(2, RANKED_ROWS // patches.shape[1])]].flatten(0, 1)
        H = _activity(scene, B @ W.T, present=True)
        scores = [_effective_rank(H, _activity(scene, B @ alpha), effective) for alpha in drawn]
        best = sorted(range(len(drawn)), key=lambda i: scores[i], reverse=True)[:k]
        silent = torch.zeros(k, scene.statistics.rows.taps, len(scene.next), dtype=torch.float64)
        return Event(drawn[best], silent, torch.zeros(k, dtype=torch.float64))

    return propose


def _activity(scene: Scene, z: Tensor, *, present: bool = False) -> Tensor:
    """Rows of pre-activities behind the activation; batch norm is the identity on new ones."""
    for module in scene.path:
        if isinstance(module, nn.BatchNorm2d) and present:
            z = module(z[..., None, None])[..., 0, 0].detach()
        elif isinstance(module, nn.SELU | nn.ReLU):
            z = module(z)
    return z


def _cholesky_root(S: Tensor) -> Tensor:
    """T = D⁻¹ L⁻ᵀ with D⁻¹SD⁻¹ = LLᵀ: of all T with TTᵀ = S⁺ the one that draws are told by."""
    scale = torch.diag(1 / S.diagonal().sqrt())
    return scale @ torch.linalg.inv(torch.linalg.cholesky(scale @ S @ scale)).T


def _effective_rank(present: Tensor, new: Tensor, effective: float) -> tuple[int, float]:
    values = torch.linalg.svdvals(torch.cat([present, new[:, None]], 1)) / sqrt(len(new))
    return int((values > effective).sum()), float(values.sum())


def net2net(scene: Scene, k: int) -> Event:
    """Copies, with random shares of the fan-out among a channel and its copies."""
    h, generator, blocks = len(scene.grown), scene.generator, scene.columns
    orders = [torch.randperm(h, generator=generator) for _ in range(-(-k // h))]
    copied = torch.cat(orders)[:k]
    kept = torch.rand(h, generator=generator, dtype=torch.float64)
    given = torch.rand(k, generator=generator, dtype=torch.float64)
    update, fan_out = torch.zeros_like(scene.next), []
    taps = scene.statistics.rows.taps
    for j, share in zip(copied.tolist(), given, strict=True):
        total = kept[j] + given[copied == j].sum()
        fan_out.append(blocks[j] * share / total)
        update[:, j * taps : (j + 1) * taps] -= fan_out[-1].T
    zeros = torch.zeros(k, dtype=torch.float64)
    return Event(scene.grown[copied], torch.stack(fan_out), zeros, update=update, copied=copied)


def searched(
    scene: Scene, event: Event, *, update_amplitude: str = "search", largest: float = 1.0
) -> Event:
    """The event with the amplitudes of least loss, up to the largest.

    Args:
        scene: of the event.
        event: as proposed.
        update_amplitude: "search": first the update's, then the channels' in the updated network;
            "one": the channels' in the network as it is, and the update as it is beside them;
            "shared": one of both together.
        largest: ε that is tried.
    """
    if event.update is None or update_amplitude == "shared":
        return _line_searched(scene, event, largest)
    channels = replace(event, update=None)
    if update_amplitude == "one":
        own, fitted = (
            _line_searched(scene, channels, largest),
            _fitted(scene.search.rows, event.update),
        )
        both = change(scene, own.fan_in, own.fan_out) + fitted
        return replace(
            own,
            update=event.update,
            update_scale=1.0,
            update_amplitude=1.0,
            predicted=own.predicted + _first_order(scene, fitted),
            measured=loss_with(scene, torch.zeros_like(both)) - loss_with(scene, both),
        )
    alone = replace(event, fan_in=event.fan_in[:0], fan_out=event.fan_out[:0])
    first = _line_searched(scene, alone, largest)
    own = _line_searched(updated(scene, first.update), channels, largest)
    return replace(
        own,
        update=first.update,
        update_scale=first.update_scale,
        update_amplitude=first.update_amplitude,
        update_tried=first.tried,
        predicted=first.predicted + own.predicted,
        measured=first.measured + own.measured,
    )


def updated(scene: Scene, update: Tensor | None) -> Scene:
    """The scene in the network with an update (d, m) of the next layer's weights and bias."""
    if update is None:
        return scene
    model = copy.deepcopy(scene.model)
    following = layer(model, scene.site[1])
    features = following.weight[0].numel()
    with torch.no_grad():
        following.weight += update[:, :features].reshape(following.weight.shape)
        if following.bias is not None:
            following.bias += update[:, features]
    return replace(scene, model=model, search=_seen(model, scene.site, scene.batch, scene.loss))


def _line_searched(scene: Scene, event: Event, largest: float) -> Event:
    """Algorithm 2: α, ω × √γ, each with its better sign, and the ε with the lowest loss.

    γ makes the step as large as the activity, both on the batch of the search. Where no amplitude
    lowers the loss, nothing is left.
    """
    if not len(event.fan_in) and event.update is None:
        return event
    rows, goal = scene.search.rows, scene.search.rows.goal
    step = fields.contribution(rows, event.fan_in, event.fan_out) + _fitted(rows, event.update)
    gamma = float(rows.pre_activity.norm() / step.norm())
    fan_in, fan_out = sqrt(gamma) * event.fan_in, sqrt(gamma) * event.fan_out
    for i in range(len(fan_in)):
        both = {
            s: float((goal * change(scene, s * fan_in[i : i + 1], s * fan_out[i : i + 1])).sum())
            for s in (1, -1)
        }
        sign = max(both, key=lambda s: both[s])
        fan_in[i], fan_out[i] = sign * fan_in[i], sign * fan_out[i]
    update = None if event.update is None else gamma * event.update
    fitted = _fitted(rows, update)

    def loss_at(epsilon: float) -> float:
        root = sqrt(epsilon)
        return loss_with(scene, change(scene, root * fan_in, root * fan_out) + epsilon * fitted)

    promised = _first_order(scene, change(scene, fan_in, fan_out, one_sided) + fitted)
    epsilon, lowest, tried = oracles.bracketed(loss_at, promised, largest=largest)
    left, joint = len(fan_in) if epsilon else 0, update is not None
    return replace(
        event,
        fan_in=sqrt(epsilon) * fan_in[:left],
        fan_out=sqrt(epsilon) * fan_out[:left],
        update=epsilon * update if update is not None and epsilon else None,
        scale=gamma,
        amplitude=epsilon,
        update_scale=gamma if joint else None,
        update_amplitude=epsilon if joint else None,
        predicted=epsilon * promised,
        measured=loss_at(0.0) - lowest,
        tried=tried,
    )


def _first_order(scene: Scene, step: Tensor) -> float:
    """The drop of the mean loss that a step (n, Q, d) promises."""
    goal = scene.search.rows.goal
    return float((goal * step).sum()) / len(goal)


def change(scene: Scene, fan_in: Tensor, fan_out: Tensor, stand: Stand = fields.real) -> Tensor:
    """What new channels add to the next layer on the batch of the search, (n, Q, d)."""
    seen = scene.search
    if not len(fan_in):
        return torch.zeros_like(seen.rows.goal)
    size = fields.output_size(seen.inputs.shape[2:], scene.layers[0])
    new = (seen.rows.patches @ fan_in.T).transpose(1, 2).unflatten(2, size)
    for module in scene.path:
        new = new if isinstance(module, nn.Flatten) else stand(module, new)
    taps = fields.read(new, fields.taps_of(new, seen.hidden, scene.layers[1]))
    return torch.einsum("nqok,kod->nqd", taps, fan_out)


def loss_with(scene: Scene, added: Tensor) -> float:
    """The mean loss of the search's batch with something added to the next layer, (n, Q, d)."""
    added = added.transpose(1, 2).reshape(scene.search.outputs.shape)

    def add(_module: nn.Module, _args: tuple[Tensor, ...], out: Tensor) -> Tensor:
        return out + added

    handle = scene.layers[1].register_forward_hook(add)
    value = oracles.loss_value(scene.model, *scene.batch, scene.loss)
    handle.remove()
    return value


def one_sided(module: nn.Module, field: Tensor) -> Tensor:
    """A module of path′: activations have their slopes right and left of 0."""
    slopes = {nn.SELU: (1.0507009873554805, 1.7580993408473768), nn.ReLU: (1.0, 0.0)}
    if type(module) not in slopes:
        return fields.real(module, field)
    above, below = slopes[type(module)]
    return above * field.clamp(min=0) + below * field.clamp(max=0)


def weight_update(scene: Scene, rows: FieldRows, ridge: float) -> Tensor:
    """δW* = Mᵀ T₁ T₁ᵀ, (d, m), with S₁ + ρ s̄₁ I for S₁."""
    S = torch.einsum("nqm,nqt->mt", rows.hidden, rows.hidden) / len(rows.goal)
    T = whitening(ridged(S, ridge, scene.layers[1]))
    M = torch.einsum("nqm,nqd->md", rows.hidden, rows.goal) / len(rows.goal)
    return M.T @ T @ T.T


def ridged(S: Tensor, ridge: float, reader: Layer) -> Tensor:
    """S + ρ s̄ I, with s̄ the mean power of the living features, of which the 1 is none (§1)."""
    features = len(S) - (reader.bias is not None)
    living = [i for i in range(features) if S[i, i] > 1e-24 * S.diagonal().max()]
    mean = sum(float(S[i, i]) for i in living) / len(living)
    S = S.clone()
    for i in living:
        S[i, i] += ridge * mean
    return S


def _fitted(rows: FieldRows, update: Tensor | None) -> Tensor:
    """What an update of the existing weights adds, (n, Q, d)."""
    return torch.zeros_like(rows.goal) if update is None else rows.hidden @ update.T


def whitening(S: Tensor) -> Tensor:
    """T = D⁻¹ U e^{-1/2} with D⁻¹SD⁻¹ = U e Uᵀ, without what is rounding (§1)."""
    scale = S.diagonal().sqrt()
    inverse = torch.where(scale > 0, 1 / scale, 0.0)
    e, U = torch.linalg.eigh(inverse[:, None] * S * inverse)
    kept = e > FLOAT32 * e.max()
    return inverse[:, None] * U[:, kept] / e[kept].sqrt()


def columns(weights: Tensor, channels: int, taps: int) -> Tensor:
    """A next layer's weights (d, m) as a block (taps, d) for each channel, (channels, taps, d)."""
    return weights[:, : channels * taps].unflatten(1, (channels, taps)).permute(1, 2, 0)


def new_norm(scene: Scene, event: Event, norm: nn.BatchNorm2d) -> dict[str, Tensor]:
    """A batch norm's entries for new channels: the identity on them, or copies (§3)."""
    names = "running_mean", "running_var", "weight", "bias"
    if event.copied is not None:
        return {name: getattr(norm, name).detach()[event.copied] for name in names}
    z = (scene.statistics.rows.patches @ event.fan_in.T).flatten(0, 1)
    mean, variance = z.mean(0), z.var(0, unbiased=False)
    return dict(zip(names, (mean, variance, (variance + norm.eps).sqrt(), mean), strict=True))


def scene_of(
    model: nn.Module, site: tuple[str, str], statistics: list[Batch], search: Batch, loss: Loss,
    seed: int,
) -> Scene:  # fmt: skip
    """The scene of a growth with this seed, from the parts of its statistics batch."""
    model = copy.deepcopy(model).double().eval()
    generator = Generator().manual_seed(seed)
    measuring = Generator().manual_seed(int(torch.randint(2**31, (), generator=generator)))
    keys = [torch.rand(len(x), generator=measuring, dtype=torch.float64) for x, _ in statistics]
    x, y = (torch.cat(parts) for parts in zip(*statistics, strict=True))
    batch = search[0].double(), search[1]
    seen = _seen(model, site, (x.double(), y), loss), _seen(model, site, batch, loss)
    return Scene(model, site, *seen, batch, loss, torch.cat(keys), generator)


def _seen(model: nn.Module, site: tuple[str, str], batch: Batch, loss: Loss) -> Seen:
    """Goals are those of every sample's own loss (§1)."""
    grown, following = (layer(model, name) for name in site)
    kept: dict[str, Tensor] = {}

    def keep(_module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        kept.update(hidden=args[0], outputs=out)

    handles = [
        grown.register_forward_pre_hook(lambda _m, args: kept.update(inputs=args[0])),
        following.register_forward_hook(keep),
    ]
    outputs = model(batch[0])
    for handle in handles:
        handle.remove()
    losses = [loss(outputs[i : i + 1], batch[1][i : i + 1]) for i in range(len(outputs))]
    goal = -torch.autograd.grad(torch.stack(losses).sum(), kept["outputs"])[0]
    maps = {name: kept[name].detach() for name in ("inputs", "hidden", "outputs")}
    a, path = maps["outputs"], path_of(model, site)
    rows = fields.between(grown, path, following, maps["inputs"], maps["hidden"], a, goal)
    return Seen(**maps, rows=rows)


def path_of(model: nn.Module, site: tuple[str, str]) -> list[nn.Module]:
    """The modules between two children of one `nn.Sequential`, by their qualified names."""
    parent, _, first = site[0].rpartition(".")
    siblings = model.get_submodule(parent)
    assert isinstance(siblings, nn.Sequential)
    return fields.path_of(siblings, (first, site[1].rpartition(".")[2]))


def layer(model: nn.Module, name: str) -> Layer:
    """A layer with weights."""
    module = model.get_submodule(name)
    assert isinstance(module, nn.Linear | nn.Conv2d)
    return module


def matrix(model: nn.Module, name: str) -> Tensor:
    """Weights of a layer, features channel-major, bias last, as float64."""
    of = layer(model, name)
    weight = of.weight.flatten(1)
    rows = weight if of.bias is None else torch.cat([weight, of.bias[:, None]], 1)
    return rows.detach().double()


def _gaussian(rows: int, columns: int, generator: Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)
