"""What neurons of a site do on the data, present or new, and what the loss would have of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from nas_bench.growth.fields import chunks
from nas_bench.growth.layers import SiteError
from nas_bench.growth.method import Need
from nas_bench.growth.paths import elementwise
from nas_bench.growth.sites import Site
from nas_bench.growth.statistics import SiteStatistics


@dataclass(frozen=True)
class Activity:
    """Neurons on the rows or maps that were kept, sample by sample.

    Activities have shape (rows, k), or (n, k, H, W) of maps, before pooling. E is the sum over
    positions and the mean over samples.

    Attributes:
        statistics: of the site, with what `needed` names.
    """

    statistics: SiteStatistics

    @staticmethod
    def needed(site: Site, method: str) -> Need:
        """What has to be kept of a site.

        Raises:
            SiteError: if an activation or a batch norm comes behind what moves or mixes positions.
        """
        behind = site.path[len(elementwise(site.path)) :]
        late = [step for step in behind if step.kind in ("activation", "batch norm")]
        if late:
            raise SiteError(
                f"{method} looks at neurons one position at a time, and at site {site.name} "
                f"{late[0].label} comes behind what mixes positions: put it before, or leave the "
                "site out by naming the others"
            )
        return Need.GOAL | (Need.SAMPLES if site.map is None else Need.MAPS)

    @cached_property
    def count(self) -> int:
        """n, samples."""
        kept = self.statistics.samples or self.statistics.maps
        return len(kept) if kept else 0

    @cached_property
    def inputs(self) -> Tensor:
        """b₂, shape (rows, p), or what the grown layer reads, shape (n, C, H, W)."""
        maps = self.statistics.maps
        return self.statistics.sampled_rows[0] if maps is None else maps.inputs

    @cached_property
    def goals(self) -> Tensor:
        """v, shape (rows, d) or (n, d, H″, W″)."""
        if self.statistics.maps is None:
            return self.statistics.sampled_rows[1]
        return self.statistics.goals

    def pre_activity(self, rows: Tensor) -> Tensor:
        """Z = αᵀ b₂ of neurons with these fan-ins (k, p)."""
        maps = self.statistics.maps
        if maps is None:
            return self.inputs @ rows.T
        return maps.field.grown.apply(maps.inputs, rows.to(maps.inputs))

    def wanted(self, h: Tensor) -> Tensor:
        """E h vᵀ of new neurons: what a fan-out is worth to first order, shape (k, taps, d)."""
        maps = self.statistics.maps
        if maps is None:
            return (h.T @ self.goals / self.count)[:, None]
        carried = self.statistics.carried(h, None)
        product = maps.field.next.weight_gradient(carried, self.goals)
        return product.permute(1, 2, 0).double() / self.count

    def added(self, h: Tensor, fan_out: Tensor, channels: Tensor | None) -> Tensor:
        """Root mean square of what each neuron adds to what the next layer reads, shape (k,).

        Args:
            h: activities of the neurons.
            fan_out: shape (k, taps, d).
            channels: whose batch norm each has, shape (k,); None: that of new neurons.
        """
        maps = self.statistics.maps
        if maps is None:
            return (self.mean(h.square()) * fan_out.double().square().sum((1, 2))).sqrt()
        carried = self.statistics.carried(h, channels)
        alone = (
            maps.field.next.apply(carried[:, i : i + 1], weight.T.to(carried))
            for i, weight in enumerate(fan_out)
        )
        return torch.stack([read.double().square().sum() / self.count for read in alone]).sqrt()

    @cached_property
    def present(self) -> Tensor:
        """Z of the existing neurons."""
        return self.pre_activity(self.statistics.grown_weight)

    @cached_property
    def at_rest(self) -> Tensor:
        """Activities h of the existing neurons."""
        return self.statistics.activation(self.present, self.statistics.channels)

    @cached_property
    def loss_slope(self) -> Tensor:
        """∂ℓ/∂h of the existing neurons' activities h, shape of `present`."""
        statistics, maps = self.statistics, self.statistics.maps
        weight = statistics.next_weight[:, : statistics.width * statistics.taps]
        if maps is None:
            return -self.goals @ weight
        with torch.enable_grad():
            h = self.at_rest.detach().requires_grad_()
            read = maps.field.next.apply(statistics.carried(h, statistics.channels), weight.to(h))
            (slope,) = torch.autograd.grad(read, h, -self.goals)
        return slope

    @cached_property
    def row_gradients(self) -> Tensor:
        """∂/∂θ of the mean loss for the existing fan-in rows, shape (width, p), float64."""
        statistics = self.statistics
        with torch.enable_grad():
            rows = statistics.grown_weight.detach().requires_grad_()
            h = statistics.activation(self.pre_activity(rows), statistics.channels)
            (gradient,) = torch.autograd.grad(h, rows, self.loss_slope)
        return gradient.double() / self.count

    def mean(self, x: Tensor) -> Tensor:
        """E of what neurons have at each row or position, shape (k,), float64."""
        return x.double().sum((0, 2, 3) if x.dim() == 4 else 0) / self.count

    def grams(self, weights: Tensor) -> Tensor:
        """E w_i u uᵀ for each neuron i, shape (k, p, p), with weights of an activity's shape."""
        p = self.statistics.grown_weight.shape[1]
        total = self.statistics.grown_weight.new_zeros(weights.shape[1], p, p)
        for X, w in self._blocks(weights):
            for i in range(len(w)):
                total[i] += (X * w[i]) @ X.T
        return total / self.count

    def products(self, weights: Tensor, vectors: Tensor) -> Tensor:
        """`grams` times a vector each, shape (k, p), without forming them."""
        parts = [((vectors @ X) * w) @ X.T for X, w in self._blocks(weights)]
        return sum(parts[1:], parts[0]) / self.count

    def powers(self, weights: Tensor) -> Tensor:
        """E |w_i| ‖u‖², which no eigenvalue of `grams` exceeds, shape (k,)."""
        parts = [w.abs() @ X.square().sum(0) for X, w in self._blocks(weights)]
        return sum(parts[1:], parts[0]) / self.count

    def _blocks(self, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """uᵀ, shape (p, rows), of some rows after the other, and their weights, (k, rows)."""
        maps = self.statistics.maps
        if maps is None:
            yield self.inputs.T, weights.T
            return
        kernel, features = maps.field.grown, self.statistics.grown_weight.shape[1]
        for part in chunks(kernel, maps.inputs):
            patches = kernel.patches(maps.inputs[part])[:features]
            yield patches.flatten(1).double(), weights[part].transpose(0, 1).flatten(1).double()
