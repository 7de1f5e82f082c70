"""How a trial's network grows: what is measured, what fits, what is undone and what is charged."""

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, replace

import torch

from nas_bench.growth import GrowthEvent, Site, grow, statistics_batch
from nas_bench.growth.method import SEARCH_SAMPLES
from nas_bench.training.evaluation import chunks
from nas_bench.training.task import Samples
from nas_bench.trials.agenda import Agenda
from nas_bench.trials.messages import GrowthRecord
from nas_bench.trials.start import Start
from nas_bench.trials.state import State


class Growing:
    """Grows the network of a trial's state as its config, budget and agenda say."""

    def __init__(self, start: Start, agenda: Agenda, train: Samples) -> None:
        self.config, self.method, self.task = start.config, start.method, start.task
        self.budget, self.agenda, self.train = start.budget, agenda, train

    def attempts(self, state: State) -> Iterator[GrowthRecord]:
        """One growth of the schedule: an attempt at every site that it names."""
        names = [site.name for site in state.sites]
        asked = self.agenda.asked(state.growths, names, state.widths)
        state.growths += 1
        sites = [site for site in state.sites if asked[site.name] > 0]
        for group in [[site] for site in sites] if self.agenda.where == "each" else [sites]:
            if fitting := self._fitting(state, group, asked):
                yield from self._grown(state, fitting, asked)
        state.fit_to_size()

    def _grown(
        self, state: State, group: list[Site], asked: dict[str, int]
    ) -> Iterator[GrowthRecord]:
        """Grow sites; what would exceed a budget of FLOPs is undone, not charged, and said."""
        sizes = self._statistics_samples(state, group, asked)
        samples = {name: size for name, (size, _) in sizes.items()}
        before = deepcopy((state.model, state.optimizer)) if self.budget.flops else None
        made = dict(state.grams.made)
        widths = dict(zip((s.name for s in state.sites), state.widths, strict=True))
        events = self._attempted(state, group, asked, samples)
        cost = sum(sum(event.flops.values()) for event in events)
        if before is not None and state.spent.flops + cost > (self.budget.flops or math.inf):
            state.model, state.optimizer = before
            state.grams.made = made
            events = [_too_expensive(event) for event in events]
        for event in events:
            state.spent.book_growth(event.flops, event.seconds)
            widths[event.site] += event.added + event.filled
            yield GrowthRecord(
                step=state.spent.step,
                widths=tuple(widths.values()),
                statistics_samples=samples[event.site],
                statistics_clipped=sizes[event.site][1],
                **asdict(event),
            )

    def _attempted(
        self, state: State, group: list[Site], asked: dict[str, int], samples: dict[str, int]
    ) -> list[GrowthEvent]:
        if self.method is None:
            return []
        batches = chunks(self._drawn(state, max(samples.values())))
        search = self._drawn(state, SEARCH_SAMPLES)
        return grow(
            state.model,
            batches,
            state.loss,
            self.method,
            neurons={site.name: asked[site.name] for site in group},
            where=self.agenda.where,
            fill=self.agenda.milestones is not None,
            sites=group,
            optimizer=state.optimizer,
            policy=self.config.optimizer_policy,
            search_batch=(search.inputs, search.targets),
            samples=samples,
            grams=state.grams if self.method.regularised else None,
            calibrate_young=True,
            seed=int(torch.randint(2**31, (), generator=state.growth)),
        )

    def _fitting(self, state: State, group: list[Site], asked: dict[str, int]) -> list[Site]:
        """The sites that can grow within the schedule's limits, together if all of them grow."""
        schedule, limit = self.config.schedule, self._max_parameters(state)
        if limit is None and schedule.max_flops is None:
            return group
        fitting: list[Site] = []
        for site in group:
            growing = [*fitting, site] if schedule.where == "all" else [site]
            more = {s.name: asked[s.name] for s in growing}
            widths = tuple(s.width(state.model) + more.get(s.name, 0) for s in state.sites)
            costs = state.architectures.costs(widths)
            small = costs.parameters <= (limit or math.inf)
            if small and costs.flops <= (schedule.max_flops or math.inf):
                fitting.append(site)
        return fitting

    def _max_parameters(self, state: State) -> int | None:
        limit = self.config.schedule.max_parameters
        if limit == "target":
            return state.architectures.costs(self.task.target_widths).parameters
        return limit

    def _statistics_samples(
        self, state: State, sites: list[Site], asked: dict[str, int]
    ) -> dict[str, tuple[int, bool]]:
        """Samples of the statistics batch for each site, and whether there were too few."""
        factor, sizes = self.config.statistics_factor, {}
        for site in sites:
            if factor is not None:
                wanted = statistics_batch(site.inputs(state.model), site.positions, factor)
            elif self.method is not None:
                wanted = self.method.statistics_samples(site, state.model, asked[site.name])
            else:
                continue
            sizes[site.name] = min(wanted, len(self.train)), wanted > len(self.train)
        return sizes

    def _drawn(self, state: State, count: int) -> Samples:
        """Random training samples, without repetition."""
        chosen = torch.randperm(len(self.train), generator=state.growth)[:count]
        chosen = chosen.to(self.train.inputs.device)
        return Samples(self.train.inputs[chosen], self.train.targets[chosen])


def _too_expensive(event: GrowthEvent) -> GrowthEvent:
    """An attempt that was undone because it would have exceeded the budget."""
    return replace(
        event, status="too expensive", added=0, filled=0, amplitude=None, predicted=0.0,
        measured=0.0, flops={}, seconds={},
    )  # fmt: skip
