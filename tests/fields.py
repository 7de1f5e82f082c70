"""Slow, explicit definitions of the statistics of sites between fields (§3), in float64.

Nothing here reads the engine. A site is two layers of an `nn.Sequential`, by name, and its path
the modules between them. Every map is (n, channels, H, W): tokens (n, T, f) are (n, f, T, 1),
plain features (n, f, 1, 1), and a linear layer is a 1 × 1 convolution. What a tap reads is looked
up position by position, with an explicit check of the bounds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import oracles
import torch
from torch import Tensor, nn
from torch.nn import functional

Sized = tuple[int, int]
Read = list[list[Sized | None]]
Stand = Callable[[nn.Module, Tensor], Tensor]

POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
IDENTITIES = (nn.Dropout, nn.Dropout2d, nn.Identity, nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class FieldRows:
    """What a site between fields reads and wants.

    Attributes:
        inputs: ū(q, o), what tap o of the next layer reads at its output position q of a new
            channel, for each feature of the fan-in, (n, Q, taps, p).
        patches: u(r) at the grown layer's own output positions, (n, R, p).
        hidden: b₁ with its constant 1, unfolded at q, (n, Q, m).
        pre_activity: a, (n, Q, d).
        goal: v = −∂ℓ/∂a of each sample's own loss, (n, Q, d).
    """

    inputs: Tensor
    patches: Tensor
    hidden: Tensor
    pre_activity: Tensor
    goal: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def taps(self) -> int:
        """How often the next layer reads a channel at one output position."""
        return self.inputs.shape[2]


def pair(value: int | tuple[int, ...]) -> Sized:
    """A number for both axes, or one for each."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def reads(size: Sequence[int], layer: nn.Module) -> Read:
    """What each tap (row-major) reads at each output position (row-major); None is outside."""
    if isinstance(layer, nn.Linear):
        return [[(i, j)] for i in range(size[0]) for j in range(size[1])]
    kernel, stride, dilation = (pair(getattr(layer, k)) for k in ("kernel_size", "stride",
                                                                  "dilation"))  # fmt: skip
    axes = [
        _axis(size[k], kernel[k], stride[k], _padding(layer, k), dilation[k]) for k in range(2)
    ]
    return [
        [None if i is None or j is None else (i, j) for i in row for j in column]
        for row in axes[0]
        for column in axes[1]
    ]


def _padding(layer: nn.Module, axis: int) -> Sized:
    """Before and after the map, along one axis."""
    if layer.padding == "same":
        total = pair(layer.dilation)[axis] * (pair(layer.kernel_size)[axis] - 1)
        return total // 2, total - total // 2
    if layer.padding == "valid":
        return 0, 0
    return (pair(layer.padding)[axis],) * 2


def _axis(
    length: int, kernel: int, stride: int, padding: Sized, dilation: int
) -> list[list[int | None]]:
    count = (length + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1
    places = [[s * stride + t * dilation - padding[0] for t in range(kernel)] for s in
              range(count)]  # fmt: skip
    return [[i if 0 <= i < length else None for i in row] for row in places]


def output_size(size: Sequence[int], layer: nn.Module) -> Sized:
    """Of a convolution."""
    if isinstance(layer, nn.Linear):
        return size[0], size[1]
    kernel, stride, dilation = (pair(getattr(layer, k)) for k in ("kernel_size", "stride",
                                                                  "dilation"))  # fmt: skip
    axes = [
        _axis(size[k], kernel[k], stride[k], _padding(layer, k), dilation[k]) for k in range(2)
    ]
    return len(axes[0]), len(axes[1])


def read(field: Tensor, read_by: Read) -> Tensor:
    """A map (n, c, H, W) as its taps, zero outside: (n, positions, taps, c)."""
    nothing = field.new_zeros(field.shape[:2])
    return torch.stack(
        [
            torch.stack([nothing if at is None else field[:, :, at[0], at[1]] for at in taps], 1)
            for taps in read_by
        ],
        1,
    )


def unfolded(field: Tensor, layer: nn.Module) -> Tensor:
    """What a layer reads, channel-major and tap-minor, with its constant: (n, R, features)."""
    taps = read(field, reads(field.shape[2:], layer))
    return oracles.with_constant(taps.transpose(2, 3).flatten(2), layer)


def as_map(x: Tensor) -> Tensor:
    """Images as they are, tokens (n, T, f) as (n, f, T, 1), features as (n, f, 1, 1)."""
    if x.dim() == 4:
        return x
    return x.transpose(1, 2)[..., None] if x.dim() == 3 else x[..., None, None]


def stand_in(module: nn.Module, field: Tensor) -> Tensor:
    """A module of the path as it acts, linearly, on new channels (n, k, H, W), by loops."""
    if isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
        return _averaged(field, *_adaptive_windows(field.shape[2:], module))
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return _averaged(field, *_pool_windows(field.shape[2:], module))
    if isinstance(module, nn.Conv2d):
        rows, columns = pair(module.kernel_size)
        centre = (rows - 1) // 2 * columns + (columns - 1) // 2
        taps = read(field, reads(field.shape[2:], module))[:, :, centre]
        return taps.transpose(1, 2).unflatten(2, output_size(field.shape[2:], module))
    return field


def _averaged(field: Tensor, size: Sized, windows: list[tuple[list[Sized], float]]) -> Tensor:
    """Each window's sum over its divisor."""
    sums = [sum(field[:, :, i, j] for i, j in cells) / divisor for cells, divisor in windows]
    return torch.stack(sums, -1).unflatten(-1, size)


def _adaptive_windows(
    size: Sized, module: nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d
) -> tuple[Sized, list[tuple[list[Sized], float]]]:
    wanted = pair(module.output_size)
    axes = [
        [range(o * n // m, -(-(o + 1) * n // m)) for o in range(m)]
        for n, m in zip(size, wanted, strict=True)
    ]
    cells = [[(i, j) for i in rows for j in columns] for rows in axes[0] for columns in axes[1]]
    return wanted, [(inside, len(inside)) for inside in cells]


def _pool_windows(
    size: Sized, module: nn.MaxPool2d | nn.AvgPool2d
) -> tuple[Sized, list[tuple[list[Sized], float]]]:
    """Cells inside the map and the divisor of every window, ceil mode included."""
    axes = [_pool_axis(size[k], module, k) for k in range(2)]
    counted = isinstance(module, nn.AvgPool2d) and module.count_include_pad
    windows = []
    for rows, height in axes[0]:
        for columns, width in axes[1]:
            cells = [(i, j) for i in rows for j in columns]
            windows.append((cells, height * width if counted else len(cells)))
    return (len(axes[0]), len(axes[1])), windows


def _pool_axis(
    length: int, module: nn.MaxPool2d | nn.AvgPool2d, axis: int
) -> list[tuple[list[int], int]]:
    """Along one axis: the cells inside the map, and the cells that padding would count."""
    kernel, stride, padding = (pair(getattr(module, k))[axis] for k in ("kernel_size", "stride",
                                                                        "padding"))  # fmt: skip
    dilation = pair(getattr(module, "dilation", 1))[axis]
    room = length + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if module.ceil_mode else room // stride) + 1
    if module.ceil_mode and (count - 1) * stride >= length + padding:
        count -= 1
    windows = []
    for o in range(count):
        places = [o * stride - padding + t * dilation for t in range(kernel)]
        inside = [i for i in places if 0 <= i < length]
        windows.append((inside, sum(i < length + padding for i in places)))
    return windows


def real(module: nn.Module, field: Tensor) -> Tensor:
    """A module of the path as it acts on new channels (n, k, …) in eval mode, by torch.

    Batch norm is the identity, a depthwise convolution the kernel that is 1 at (k − 1)//2.
    """
    if isinstance(module, IDENTITIES):
        return field
    if isinstance(module, nn.PReLU):
        return functional.prelu(field, module.weight.mean()[None])
    if isinstance(module, nn.Conv2d):
        rows, columns = pair(module.kernel_size)
        kernel = field.new_zeros(field.shape[1], 1, rows, columns)
        kernel[:, :, (rows - 1) // 2, (columns - 1) // 2] = 1
        return functional.conv2d(
            field, kernel, None, module.stride, module.padding, module.dilation, len(kernel)
        )
    return module(field)


def linear(module: nn.Module, field: Tensor) -> Tensor:
    """`stand_in` by torch's own operations: activations the identity, max pooling the mean."""
    if isinstance(module, nn.MaxPool2d):
        kernel, stride, padding = module.kernel_size, module.stride, module.padding
        return functional.avg_pool2d(
            field, kernel, stride, padding, module.ceil_mode, count_include_pad=False
        )
    if isinstance(module, nn.AdaptiveMaxPool2d):
        return functional.adaptive_avg_pool2d(field, module.output_size)
    keeps = isinstance(module, (*POOLS, nn.Conv2d, nn.Flatten))
    return real(module, field) if keeps else field


def path_of(model: nn.Sequential, site: tuple[str, str]) -> list[nn.Module]:
    """The modules between the grown layer and the next one."""
    names = [name for name, _ in model.named_children()]
    first, last = (names.index(name) for name in site)
    return list(model.children())[first + 1 : last]


def field_rows(
    model: nn.Sequential, site: tuple[str, str], x: Tensor, y: Tensor, loss: oracles.Loss
) -> FieldRows:
    """The rows of a site; goals come from each sample alone (§1), in eval mode."""
    model = copy.deepcopy(model).eval()
    grown, following = (model.get_submodule(name) for name in site)
    samples = [_one_sample(model, site, x[i : i + 1], y[i : i + 1], loss) for i in range(len(x))]
    maps = tuple(torch.cat(parts) for parts in zip(*samples, strict=True))
    return between(grown, path_of(model, site), following, *maps)


def between(
    grown: nn.Module, path: list[nn.Module], following: nn.Module, inputs: Tensor, hidden: Tensor,
    pre_activity: Tensor, goal: Tensor,
) -> FieldRows:  # fmt: skip
    """The rows of a site, from what both layers read, a and v as they are in the network."""
    inputs = as_map(inputs)
    patches = unfolded(inputs, grown)
    new = carried(patches, output_size(inputs.shape[2:], grown), path)
    return FieldRows(
        inputs=read(new, taps_of(new, hidden, following)),
        patches=patches,
        hidden=unfolded(as_map(hidden), following),
        pre_activity=as_map(pre_activity).flatten(2).transpose(1, 2),
        goal=as_map(goal).flatten(2).transpose(1, 2),
    )


def carried(patches: Tensor, size: Sized, path: list[nn.Module]) -> Tensor:
    """Patches (n, R, p) as a map of this size, behind the linear operations of the path."""
    new = patches.transpose(1, 2).unflatten(2, size)
    for module in path:
        new = stand_in(module, new)
    return new


def taps_of(new: Tensor, hidden: Tensor, following: nn.Module) -> Read:
    """What each tap of the next layer reads of a map; every position of it behind a flatten."""
    if new[0, 0].numel() > 1 and isinstance(following, nn.Linear) and hidden.dim() == 2:
        return [[(i, j) for i in range(new.shape[2]) for j in range(new.shape[3])]]
    return reads(new.shape[2:], following)


def _one_sample(
    model: nn.Sequential, site: tuple[str, str], x: Tensor, y: Tensor, loss: oracles.Loss
) -> Iterator[Tensor]:
    """What the grown layer and the next one read, a and v, of a single sample."""
    seen: list[Tensor] = []
    field = x
    for name, module in model.named_children():
        if name in site:
            seen.append(field)
        field = module(field.clone())
        if name == site[1]:
            seen.append(field)
    seen.append(-torch.autograd.grad(loss(field, y), seen[-1])[0])
    return (tensor.detach().double() for tensor in seen)


def covariance(rows: FieldRows) -> Tensor:
    """S = E Σ_{q,o} ū ūᵀ, (p, p)."""
    return torch.einsum("nqop,nqor->pr", rows.inputs, rows.inputs) / len(rows)


def cross_covariance(rows: FieldRows, goal: Tensor) -> Tensor:
    """E Σ_q ū(q, o) goal(q)ᵀ for each tap, (p, taps·d)."""
    return (torch.einsum("nqop,nqd->pod", rows.inputs, goal) / len(rows)).flatten(1)


def residual_goal(rows: FieldRows) -> Tensor:
    """v_p: what of v the existing weights cannot do, (n, Q, d)."""
    return oracles.residual_goal(_pair_rows(rows))


def weight_update(rows: FieldRows) -> Tensor:
    """δW* by least squares on the equilibrated rows, (d, m)."""
    if not rows.hidden.any():
        return rows.hidden.new_zeros(rows.goal.shape[-1], rows.hidden.shape[-1])
    return oracles.weight_update(_pair_rows(rows))


def updated(rows: FieldRows, update: Tensor) -> Tensor:
    """What a change (d, m) of the existing weights adds to the pre-activity."""
    return oracles.update_contribution(_pair_rows(rows), update)


def _pair_rows(rows: FieldRows) -> oracles.Rows:
    return oracles.Rows(rows.inputs.flatten(1, 2), rows.hidden, rows.pre_activity, rows.goal)


def gains(rows: FieldRows, goal: Tensor) -> Tensor:
    """λ: singular values of S^{-1/2} N, with S^{-1/2} from an SVD in sample space."""
    Q = oracles.basis(rows.inputs.flatten(1, 2)).reshape(*rows.inputs.shape[:3], -1)
    whitened = torch.einsum("nqor,nqd->rod", Q, goal).flatten(1)
    return torch.linalg.svdvals(whitened) / len(rows) ** 0.5


def contribution(rows: FieldRows, fan_in: Tensor, fan_out: Tensor) -> Tensor:
    """v_new(q) = Σ_k Σ_o ω_{k,o} α_kᵀ ū(q, o), one neuron at a time; (n, Q, d)."""
    total = torch.zeros_like(rows.goal)
    for alpha, omega in zip(fan_in.double(), fan_out.double(), strict=True):
        total += (rows.inputs @ alpha) @ omega
    return total


def rescaling(rows: FieldRows, goal: Tensor, fan_in: Tensor, fan_out: Tensor) -> float:
    """t* = ⟨g, v_new⟩/‖v_new‖²."""
    added = contribution(rows, fan_in, fan_out)
    return float((goal * added).sum() / added.square().sum())


class BranchedField(nn.Module):
    """A network with new channels in parallel: next layer's output += next_new(path(grown_new)).

    Nothing is concatenated and nothing unfolded: real convolutions with the new weights.

    Attributes:
        stand: how a module of the path acts on new channels: `real`, `linear` or another.
    """

    def __init__(
        self,
        model: nn.Sequential,
        site: tuple[str, str],
        fan_in: Tensor,
        fan_out: Tensor,
        update: Tensor | None = None,
        stand: Stand = real,
    ) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()
        self.site, self.update, self.stand = site, update, stand
        self.fan_in = nn.Parameter(fan_in.detach().clone())
        self.fan_out = nn.Parameter(fan_out.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        grown, following = (self.model.get_submodule(name) for name in self.site)
        new: Tensor | None = None
        for module in self.model.children():
            if module is grown:
                new = transformed(grown, self.fan_in, x)
            elif module is following and new is not None:
                x = following(x) + self.change(x, new)
                new = None
                continue
            elif new is not None:
                new = self.stand(module, new.clone())
            x = module(x)
        return x

    def change(self, x: Tensor, new: Tensor) -> Tensor:
        """What is added to the next layer that reads x beside the new channels."""
        following = self.model.get_submodule(self.site[1])
        weight = self.fan_out.permute(2, 0, 1).flatten(1)
        added = transformed(following, weight, new, constant=False)
        return added if self.update is None else added + transformed(following, self.update, x)


def transformed(layer: nn.Module, weight: Tensor, x: Tensor, constant: bool = True) -> Tensor:
    """What the layer would compute with other rows, (rows, features), the bias last."""
    bias = None
    if constant and layer.bias is not None:
        weight, bias = weight[:, :-1], weight[:, -1]
    if isinstance(layer, nn.Linear):
        return functional.linear(x, weight, bias)
    shape = -1, *pair(layer.kernel_size)
    weight = weight.unflatten(1, shape)
    return functional.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation)


def change(branched: BranchedField, x: Tensor) -> Tensor:
    """What the branch adds to the next layer's output, (n, Q, d)."""
    kept: list[Tensor] = []
    hidden_change = branched.change

    def keep(x: Tensor, new: Tensor) -> Tensor:
        kept.append(hidden_change(x, new))
        return kept[-1]

    branched.change = keep
    with torch.no_grad():
        branched(x)
    branched.change = hidden_change
    return as_map(kept[0]).flatten(2).transpose(1, 2)


def measured_drop(loss_after: Callable[[float], float], epsilon: float = 1e-5) -> float:
    """−dL/dε at 0 where L is a series in √ε: two steps of Richardson."""
    start = loss_after(0.0)
    slopes = [(start - loss_after(epsilon / 4**j)) / (epsilon / 4**j) for j in range(3)]
    first = [2 * b - a for a, b in pairwise(slopes)]
    return (4 * first[1] - first[0]) / 3
