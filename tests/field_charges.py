"""What growth events at sites with a map cost, by hand: multiply-adds by part.

As `growth_charges` for sites between linear layers, whose prices of decompositions hold here too.
Sums over the data carry a constant 1 whether or not a layer has a bias; solutions do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from field_events import SAMPLED, Event, Scene
from growth_charges import Charge, eigh, eigvalsh, norm, root, svd, svdvals, triangular
from torch import Tensor, nn

RANKED_ROWS, BLOCK = 20_000, 64
OTHERS, FEW_FEATURES = 18, 4
"""Null draws that are made together, behind the first."""


@dataclass(frozen=True)
class Sizes:
    """Of an event.

    Attributes:
        n: samples of the statistics.
        s: samples of the line search.
        f: inputs of the grown layer, without the constant.
        e: inputs of the next layer, without the constant.
        p: inputs of the grown layer, with the constant if it has a bias.
        m: inputs of the next layer, likewise.
        d: outputs of the next layer.
        h: channels before.
        k: neurons proposed.
        left: of them after the line search.
        moved: whether the update's own line search left it an amplitude above 0.
        draws: of the null distribution.
        tried: amplitudes of the channels; update_tried: of the update alone.
        found: directions that are not rounding.
        taps: of the next layer.
        u: positions of the grown layer.
        r: positions of the map that the next layer reads.
        q: positions of the next layer.
        before: multiply-adds of a sample in all layers before the next one.
        after: in all layers behind it.
        pooled: numbers averaged at the end, whose gradients are free.
    """

    n: int
    s: int
    f: int
    e: int
    p: int
    m: int
    d: int
    h: int
    k: int
    left: int
    moved: bool
    draws: int
    tried: int
    update_tried: int
    found: int
    taps: int
    u: int
    r: int
    q: int
    before: int
    after: int
    pooled: int

    @classmethod
    def of(cls, scene: Scene, proposed: Event, event: Event) -> Sizes:
        """Those of an event, as proposed and as it became."""
        rows, layers = scene.statistics.rows, multiply_adds(scene.model, scene.batch[0][:1])
        names = list(layers)
        place = names.index(scene.site[1])
        return cls(
            n=len(rows),
            s=len(scene.search.rows),
            f=scene.layers[0].weight[0].numel(),
            e=scene.layers[1].weight[0].numel(),
            p=scene.grown.shape[1],
            m=scene.next.shape[1],
            d=len(scene.next),
            h=len(scene.grown),
            k=len(proposed.fan_in),
            left=len(event.fan_in),
            moved=bool(event.update_amplitude),
            draws=proposed.draws or 0,
            tried=event.tried,
            update_tried=event.update_tried,
            found=proposed.found,
            taps=rows.taps,
            u=rows.patches.shape[1],
            r=scene.positions,
            q=rows.goal.shape[1],
            before=sum(layers[name] for name in names[:place]),
            after=sum(layers[name] for name in names[place + 1 :]),
            pooled=pooled(scene.model, scene.batch[0][:1]),
        )

    @property
    def wide(self) -> int:
        """Columns of N."""
        return self.taps * self.d

    @property
    def fitted(self) -> int:
        """The next layer, or an update of it, on a sample."""
        return self.q * self.e * self.d

    @property
    def rest(self) -> int:
        """The network from the next layer on, on a sample."""
        return self.fitted + self.after + self.pooled

    @property
    def forward(self) -> int:
        """The network on a sample."""
        return self.before + self.rest

    def new(self, k: int) -> int:
        """Pre-activities of so many new channels on a sample."""
        return self.u * self.f * k

    def out(self, k: int) -> int:
        """What the next layer makes of so many new channels on a sample."""
        return self.q * self.wide * k

    @property
    def rescaling(self) -> int:
        """t*: what the channels proposed add, linearly, on all samples."""
        return self.n * (self.new(self.k) + self.out(self.k))

    @property
    def cross(self) -> int:
        """N of a sample: at all positions of the next layer every tap, or one behind a flatten."""
        return (1 if self.flat else self.q) * (self.f + 1) * self.wide

    @property
    def flat(self) -> bool:
        """Whether every tap reads a position of its own."""
        return self.q == 1 and self.taps == self.r

    @property
    def goals(self) -> int:
        """A pass with goals (which ends at a), E vvᵀ, and Σ v at every tap from one product."""
        passes = self.n * (self.forward + self.after)
        constant = 0 if self.flat else self.q * self.wide
        return passes + self.n * self.q * self.d**2 + constant

    @property
    def hidden_goal(self) -> int:
        """M of a sample."""
        return self.q * (self.e + 1) * self.d

    @property
    def best_update(self) -> float:
        """δW* from M and S₁."""
        return root(self.m) + 2 * triangular(self.m, self.d)

    @property
    def whitened(self) -> float:
        """TᵀN."""
        return triangular(self.p, self.wide)

    @property
    def judged(self) -> float:
        """The gain of a null draw."""
        return self.whitened + norm(self.p, self.wide)

    @property
    def signed(self) -> int:
        """N of a sample by itself, at all positions of the hidden map; then with the signs of all
        draws but the first.
        """
        entries = (self.f + 1) * self.wide
        return OTHERS * entries if self.flat else (self.r + OTHERS) * entries

    @property
    def signed_hidden(self) -> int:
        """M of a sample, likewise."""
        entries = (self.e + 1) * self.d
        return OTHERS * entries if self.q == 1 else (self.q + OTHERS) * entries

    @property
    def sampled(self) -> int:
        """Samples of the null distribution."""
        return min(self.n, max(SAMPLED, 4 * self.m // self.q))


def multiply_adds(model: nn.Module, x: Tensor) -> dict[str, int]:
    """Of one sample in every layer, in the order of the calls; a batch norm costs 2 a number."""
    counts: dict[str, int] = {}

    def counter(name: str) -> Callable[..., None]:
        def count(layer: Any, _args: tuple[Tensor, ...], out: Tensor) -> None:
            normed = isinstance(layer, nn.BatchNorm2d)
            counts[name] = (2 if normed else layer.weight[0].numel()) * out[0].numel()

        return count

    handles = [
        module.register_forward_hook(counter(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return counts


def pooled(model: nn.Module, x: Tensor) -> int:
    """Numbers of one sample that adaptive pooling averages."""
    counts: list[int] = []
    layers = [module for module in model.modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
    handles = [
        layer.register_forward_pre_hook(lambda _layer, args: counts.append(args[0][0].numel()))
        for layer in layers
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return sum(counts)


def gram(p: int, rows: int) -> int:
    """xᵀx of (rows, p) by blocks of one triangle, a quarter of p wide or 64."""
    size = max(p // 4, BLOCK)
    return sum(min(size, p - i) * (p - i) for i in range(0, p, size)) * rows


def leading(rows: int, columns: int, found: int) -> float:
    """Singular vectors by the eigenvectors of the smaller Gram matrix."""
    large, small = max(rows, columns), min(rows, columns)
    return large * small**2 + eigh(small) + large * small * found


def searched(charge: Charge, *, update_amplitude: str | None) -> Charge:
    """As `growth_charges.searched`."""

    def all_parts(s: Sizes) -> dict[str, float]:
        return charge(s) | {"line_search": _line_search(s, update_amplitude)}

    return all_parts


def _line_search(s: Sizes, update_amplitude: str | None) -> float:
    """Goals from one pass; then what is searched, one after the other, in passes of which only the
    first runs what comes before the next layer.
    """
    channels, update = _one_search(s, s.k, 0, s.tried), _one_search(s, 0, 1, s.update_tried)
    if update_amplitude == "search":  # between them the updated network's goals from a pass
        cost = update + (s.rest + s.after if s.moved and s.k else 0) + channels
    elif update_amplitude == "one":  # the update's step, and the loss with both
        cost = channels + s.fitted + s.out(s.left) + s.rest
    else:
        cost = _one_search(s, s.k, int(update_amplitude == "shared"), s.tried)
    return s.s * (s.forward + s.after + (s.before if cost else 0) + cost)


def _one_search(s: Sizes, k: int, update: int, tried: int) -> float:
    """Of a sample: what is linear; γ; signs (forward and backward through ω); the losses; and the
    predicted drop.
    """
    if not k and not update:
        return 0
    linear, w = s.new(k) + update * s.fitted, s.out(k)
    return linear + w + 2 * w + tried * (w + s.rest) + w


def tiny(s: Sizes, *, tested: bool = True) -> dict[str, float]:
    """All sums; δW*, N, its SVD, t*, and draws projected again."""
    sums = gram(s.f + 1, s.n * s.r) + gram(s.e + 1, s.n * s.q) + s.n * s.hidden_goal
    few = s.sampled
    fit = gram(s.e + 1, few * s.q) + root(s.m)
    solved = 2 * triangular(s.m, s.d)
    one = few * (2 * s.fitted + s.cross) + solved + s.judged
    others = OTHERS * (solved + s.m**2 * s.d + s.judged) + few * (s.signed + s.signed_hidden)
    if s.m <= FEW_FEATURES * s.d:  # what the inputs have in common with the hidden features
        others += few * s.cross * (s.m / s.d) + OTHERS * s.p * s.m * s.wide
    else:
        others += OTHERS * few * (s.fitted + s.cross)
    draws = bool(s.draws) * one + (s.draws > 1) * others
    N = s.best_update + s.n * (s.fitted + s.cross) + root(s.p) + s.whitened
    neurons = triangular(s.p, s.k) + s.rescaling
    return {
        "statistics": s.goals + sums,
        "decomposition": N + leading(s.p, s.wide, s.found) + tested * (fit + draws) + neurons,
    }


def tiny_unprojected(s: Sizes) -> dict[str, float]:
    """S and goals; Ñ, its SVD and another of what is centred, t*, and draws."""
    one = s.sampled * s.cross + s.judged
    others = OTHERS * s.judged + s.sampled * s.signed
    draws = bool(s.draws) * one + (s.draws > 1) * others
    tested = s.n * s.cross + s.whitened + svdvals(s.p, s.wide) + draws
    neurons = triangular(s.p, s.k) + s.rescaling
    N = root(s.p) + s.n * s.cross + s.whitened + leading(s.p, s.wide, s.found)
    return {
        "statistics": s.goals + gram(s.f + 1, s.n * s.r),
        "decomposition": N + tested + neurons,
    }


def random_growth(s: Sizes) -> dict[str, float]:
    """Nothing is measured."""
    return {"statistics": 0, "decomposition": 0}


def with_update(s: Sizes) -> dict[str, float]:
    """δW* and its sums (and Ñ, which comes with every goal), whatever the channels."""
    sums = s.goals + gram(s.e + 1, s.n * s.q) + s.n * (s.hidden_goal + s.cross)
    return {"statistics": sums, "decomposition": s.best_update}


def gradmax(s: Sizes) -> dict[str, float]:
    """The goals and Ñ; singular vectors of Ñ without its bias row."""
    decomposition = leading(s.f, s.wide, s.found)
    return {"statistics": s.goals + s.n * s.cross, "decomposition": decomposition}


def north(s: Sizes, candidates: int) -> dict[str, float]:
    """The Gram of all patches; the kernel; a tenth of the candidates and their effective ranks."""
    p, h, count, rows = s.p, s.h, candidates // 10, s.u * min(s.n, max(2, RANKED_ROWS // s.u))
    kernel = root(p) + p * p * h + triangular(p, h) + svd(p, h)
    read = s.f**2 if p > s.f else 0
    drawn = triangular(p, count) + count * (
        2 * p * h + read + rows * p + rows * h + eigvalsh(h + 1)
    )
    present = rows * p * h + rows * h**2
    statistics = s.n * s.forward + gram(s.f + 1, s.n * s.u)
    return {"statistics": statistics, "decomposition": kernel + drawn + present}


def net2net(s: Sizes) -> dict[str, float]:
    """Copying is free."""
    return {"statistics": 0, "decomposition": 0}


def widening(s: Sizes, *, normed: bool) -> int:
    """Moments of the new channels behind a batch norm, by another pass."""
    return normed * s.n * (s.forward + s.new(s.left))
