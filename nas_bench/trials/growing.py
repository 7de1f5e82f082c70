"""How a trial's network grows: looks, what fits, what is undone and what is charged."""

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, replace

import torch
from torch import Generator

from nas_bench.growth import GrowthEvent, Need, Site, grow, measure, statistics_batch
from nas_bench.growth.costs import CostMeter
from nas_bench.growth.method import SEARCH_SAMPLES
from nas_bench.training.data import Data
from nas_bench.training.evaluation import CHUNK, score
from nas_bench.training.randomness import stream
from nas_bench.training.task import Split
from nas_bench.trials.agenda import Agenda
from nas_bench.trials.messages import GrowthRecord
from nas_bench.trials.start import Start
from nas_bench.trials.state import State
from nas_bench.trials.trigger import Growth, Look, Progress, measurement


class Growing:
    """Grows the network of a trial's state as its config, budget and agenda say."""

    def __init__(self, start: Start, agenda: Agenda, data: Data) -> None:
        self.config, self.method, self.task = start.config, start.method, start.task
        self.budget, self.agenda, self.data, self.train = start.budget, agenda, data, data.train

    def look(self, state: State) -> Iterator[GrowthRecord]:
        """One look of the trigger and, where it or the target asks for it, a growth."""
        looked = self._looked(state)
        if decided := self.agenda.decided(state, looked=looked):
            yield from self._attempts(state, decided)

    def _looked(self, state: State) -> bool:
        """Add a look to the trial's progress; whether the budget has allowed what it measures."""
        meter, progress = CostMeter(), state.progress
        with meter.charge("trigger"):
            readings, measured = self._readings(state), self._measured(state)
        flops = meter.flops["trigger"]
        allowed = state.spent.flops + flops <= (self.budget.flops or math.inf)
        if allowed:
            state.spent.book_look(flops, meter.seconds["trigger"])
        widths = dict(zip((site.name for site in state.sites), state.widths, strict=True))
        look = Look(self.agenda.now(state), readings, measured, widths)
        state.progress = Progress((*progress.looks, look), progress.growths)
        return allowed

    def _readings(self, state: State) -> dict[str, float]:
        """Losses and errors that the trigger reads, by name."""
        found: dict[str, float] = {}
        splits = {"train": self.data.train_sample, "validation": self.data.validation_sample}
        for split, samples in splits.items():
            if any(name.startswith(f"{split}_") for name in self.agenda.trigger.reads):
                classes = self.task.metric == "accuracy"
                seen = score(state.model, samples, state.loss, counted=classes)
                found[f"{split}_loss"] = seen.loss
                if seen.accuracy is not None:
                    found[f"{split}_error"] = 1 - seen.accuracy
        return {name: found[name] for name in self.agenda.trigger.reads}

    def _measured(self, state: State) -> dict[str, float]:
        """What the trigger makes of the statistics of sites, by name."""
        trigger, number = self.agenda.trigger, len(state.progress.looks)
        needs = {site.name: trigger.needs(site) for site in state.sites}
        sites = [site for site in state.sites if needs[site.name] != Need.NOTHING]
        if not sites:
            return {}
        generator = stream(self.config.seed, f"look {number}")
        drawn = self._drawn(trigger.samples, generator)
        statistics = measure(
            state.model, sites, drawn.batches(CHUNK), state.loss, needs, seed=number
        )
        return {
            site.name: measurement(trigger, site.name, statistics[site.name]) for site in sites
        }

    def _attempts(self, state: State, decided: bool | Mapping[str, int]) -> Iterator[GrowthRecord]:
        """One growth: an attempt at every site that is to grow."""
        before, added = state.widths, 0
        names = [site.name for site in state.sites]
        asked = self.agenda.asked(state, decided, names)
        sites = [site for site in state.sites if asked[site.name] > 0]
        for group in [[site] for site in sites] if self.agenda.where == "each" else [sites]:
            if fitting := self._fitting(state, group, asked):
                for event in self._grown(state, fitting, asked):
                    added += event.added
                    yield event
        growth = Growth(self.agenda.now(state), added)
        state.progress = replace(state.progress, growths=(*state.progress.growths, growth))
        state.fit_to_size()
        if state.widths != before:
            self._restarted(state)

    def _restarted(self, state: State) -> None:
        """What begins anew in training once the network has grown."""
        if state.new_rates:
            state.new_rates.grown(state.model, state.spent.step)
        if self.config.schedule.restart_decay:
            state.decay_start = state.spent.fraction(self.budget, state.epoch)

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
        batches = self._drawn(max(samples.values()), state.growth).batches(CHUNK)
        search = self._drawn(SEARCH_SAMPLES, state.growth).first(SEARCH_SAMPLES)
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

    def _drawn(self, count: int, generator: Generator) -> Split:
        """Random training samples, without repetition."""
        return self.train.at(torch.randperm(len(self.train), generator=generator)[:count])


def _too_expensive(event: GrowthEvent) -> GrowthEvent:
    """An attempt that was undone because it would have exceeded the budget."""
    return replace(
        event, status="too expensive", added=0, filled=0, amplitude=None, predicted=0.0,
        measured=0.0, flops={}, seconds={},
    )  # fmt: skip
