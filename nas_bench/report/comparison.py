"""What is compared with what: trials of one task under one protocol and budget."""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from nas_bench.report.ledgers import elsewhere, mark, of_shared_seeds
from nas_bench.results.environment import device_class
from nas_bench.results.layout import path_part
from nas_bench.results.reading import Run
from nas_bench.results.staleness import outdated
from nas_bench.results.suffixes import suffixes
from nas_bench.specs import InputError, parse, short_names
from nas_bench.text import multiple
from nas_bench.trials.config import Budget, TrialConfig
from nas_bench.trials.messages import Record
from nas_bench.trials.planning import CONTROLS
from nas_bench.tuning.history import Tuning, is_search, search_of, tunings

Measure = Callable[[Record], float]
Key = tuple[str, int, str, str, Budget]
Split = Literal["train", "validation", "test"]
UPDATE_ONLY = "update_only"
"""The control whose neurons are the harness's, beside an update of the existing weights."""
Role = Literal["method", "control", "baseline", "twin"]
_KINDS = {"same_target": "same target", "free": "free growth"}


@dataclass(frozen=True)
class Estimate:
    """Mean and standard deviation over seeds; NaN where there are too few."""

    mean: float
    sd: float


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of at least one value and the sd of at least two, else NaN."""
    if not all(map(math.isfinite, values)):
        return Estimate(math.nan, math.nan)
    mean = statistics.fmean(values) if values else math.nan
    return Estimate(mean, statistics.stdev(values) if len(values) > 1 else math.nan)


@dataclass(frozen=True)
class Row:
    """All seeds of one method with the same settings.

    Attributes:
        name: what the table calls it.
        runs: by seed, with and without a result.
        asked: the seeds of all rows of the comparison.
        tuning: the search that its settings come from, None if they were not tuned.
        label: what figures call it, if not by its name.
    """

    name: str
    runs: tuple[Run, ...]
    asked: frozenset[int] = frozenset()
    tuning: Tuning | None = None
    label: str = ""

    @property
    def config(self) -> TrialConfig | None:
        """That of its first trial that has one; its seeds differ in nothing else.

        None where the files of all trials are damaged.
        """
        return next((run.config for run in self.runs if run.config), None)

    @property
    def method(self) -> str:
        """The spec of its method; of a tuned row, the one that the search began with."""
        if self.tuning:
            return self.tuning.method
        return self.config.method if self.config else self.name

    @property
    def role(self) -> Role:
        """What the row is there for: to be ranked, to explain, or to be compared with."""
        if self.config and self.config.twin:
            return "twin"
        if is_control(self.method):
            return "control"
        return "baseline" if _grows_never(self.method) else "method"

    @property
    def results(self) -> tuple[Record, ...]:
        """Records at the end of the budget, of the seeds that are ok."""
        return tuple(run.result for run in self.runs if run.status == "ok" and run.result)

    @property
    def complete(self) -> bool:
        """Whether every seed asked of any row has a result."""
        return len(self.results) == len(self.asked)

    @property
    def seeds(self) -> str:
        """Seeds with a result, of all asked."""
        return f"{len(self.results)}/{len(self.asked)}"

    @property
    def not_run(self) -> tuple[int, ...]:
        """The seeds that other rows have and this one lacks."""
        return tuple(sorted(self.asked - {run.seed for run in self.runs}))

    @property
    def refusal(self) -> str | None:
        """Why its method cannot grow the task's network; None if a trial of it could be tried."""
        reasons = [(run.error or {}).get("message", "") for run in self.runs]
        refused = [run.status == "not applicable" for run in self.runs]
        return reasons[0] if refused and all(refused) else None

    @property
    def mixed(self) -> bool:
        """Whether its results come from different behaviour, data, or defaults of options."""
        ended = [run for run in self.runs if run.status == "ok"]
        behaviours = [run.behaviour for run in ended if run.behaviour]
        data = [run.environment["data"] for run in ended if "data" in run.environment]
        moved = any(found != seen[0] for seen in (behaviours, data) for found in seen)
        return moved or any(_unlike(ended[0], run, "method") for run in ended[1:])

    @property
    def shared(self) -> bool:
        """Whether trials ran beside each other on one device, so that seconds mislead."""
        return any(run.environment.get("shared_device") for run in self.runs if run.result)

    @property
    def growth_share(self) -> float:
        """Growth as a fraction of training plus growth, of the means; NaN without a result."""
        spent = sum(map(training_flops, self.results))
        growth = sum(record.growth_flops for record in self.results)
        return growth / spent if spent else 0.0 if self.results else math.nan

    @property
    def own_neurons(self) -> float | None:
        """The method's own fraction of the neurons added, the rest being the harness's.

        None where none were added.
        """
        events = [event for run in self.runs if run.status == "ok" for event in run.growth]
        own, filled = (sum(getattr(e, name) for e in events) for name in ("added", "filled"))
        return own / (own + filled) if own + filled else None

    def estimate(self, measure: Measure) -> Estimate:
        """Mean and sd of a measure of the results."""
        return estimate([measure(record) for record in self.results])


def _unlike(one: Run, other: Run, *parts: str) -> bool:
    """Whether two trials resolved a setting of the recipe, or of these parts, differently."""
    for part in ("recipe", *parts):
        first, second = (run.resolved.get(part, {}) for run in (one, other))
        if any(first[name] != second[name] for name in first.keys() & second.keys()):
            return True
    return False


@dataclass(frozen=True)
class Comparison:
    """Methods that may share a table: same protocol, kind, task and budget.

    Attributes:
        metric: of the task; the loss for regression.
        rows: best first; what has no result counts as the worst.
        task_name: what people are shown for the task.
        refused: rows of methods that are not applicable here, which count nowhere.
        apart: trials of other ledgers that are not compared here, with the reason, one line each.
    """

    protocol: str
    version: int
    kind: str
    task: str
    budget: Budget
    metric: Literal["accuracy", "loss"]
    rows: tuple[Row, ...]
    task_name: str = ""
    refused: tuple[Row, ...] = ()
    apart: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """One line that tells this comparison from all others."""
        where = f"{self.protocol} v{self.version} · {kind_name(self.kind)}"
        return f"{self.task_name or self.task} · {where} · {self.budget_name}"

    @property
    def budget_name(self) -> str:
        """The budget as people read it: `400 G FLOPs`, `12 epochs`."""
        flops = self.budget.flops
        return str(self.budget) if flops is None else f"{multiple(flops)} FLOPs"

    @cached_property
    def differing(self) -> tuple[str, ...]:
        """What rows should share to be ranked and do not; recipes may differ where tuned."""
        untuned = [row.config for row in self.rows if row.config is not None and not row.tuning]
        recipes = {json.dumps(config.recipe, sort_keys=True) for config in untuned}
        rows = [row for row in self.rows if not row.tuning]
        ran = [run for row in rows for run in row.runs if run.status == "ok"]
        apart = len(recipes) > 1 or any(_unlike(ran[0], run) for run in ran[1:])
        return differing(self.rows) + ("recipe",) * apart

    @property
    def without_result(self) -> tuple[tuple[Row, Run], ...]:
        """The trials that failed or have not ended."""
        pairs = ((row, run) for row in self.rows for run in row.runs)
        return tuple(pair for pair in pairs if pair[1].status != "ok")

    @property
    def higher(self) -> bool:
        """Whether a higher score is better."""
        return self.metric == "accuracy"

    @cached_property
    def worst(self) -> float:
        """What a trial without a result counts as; NaN where none has one.

        The worst of all results and of all networks before their training, so that no trial is
        worth more for failing than for never having learnt anything.
        """
        found = [record for row in self.rows for record in row.results]
        if found:
            found += [run.curve[0] for row in self.rows for run in row.runs if run.curve]
        scores = [score for record in found if math.isfinite(score := self.score(record))]
        return (min if self.higher else max)(scores, default=math.nan)

    def score(self, record: Record, split: Split = "test") -> float:
        """The score on a split: accuracy in percent, or the loss; NaN where none was measured.

        Test scores are those of few records, the first and the last among them; those of the
        validation split, of all records, are for curves.
        """
        found: float | None = getattr(record, f"{split}_{self.metric}")
        if found is None:
            return math.nan
        return found if self.metric == "loss" else 100 * found

    def row_like(self, row: Row, method: str) -> Row | None:
        """The row of a method whose trials are otherwise configured as those of another row.

        What is said of growing is no part of the configuration of networks that never grow. Tuned
        rows are alike, each at the best settings of its own.
        """
        others = (other for other in self.rows if other.method == method and other.role != "twin")
        return next((other for other in others if _alike(row, other)), None)

    def scores(self, row: Row) -> dict[int, float]:
        """The score of every seed asked; those without a result count as the worst."""
        found = {run.seed: self.score(run.result) for run in row.runs if run.result}
        known = {seed: score for seed, score in found.items() if math.isfinite(score)}
        return {seed: known.get(seed, self.worst) for seed in sorted(row.asked)}


def differing(rows: Iterable[Row]) -> tuple[str, ...]:
    """What rows must share to be compared and do not: data, behaviour of core or task, device."""
    ended = [run for row in rows for run in row.runs if run.status == "ok"]
    known = [run for run in ended if run.behaviour]
    devices = [run.environment["device"] for run in ended if "device" in run.environment]
    found = {
        "data": {run.environment["data"] for run in ended if "data" in run.environment},
        "behaviour": {("core" in outdated(run), run.behaviour.get("task")) for run in known},
        "device": {device_class(device) for device in devices},
    }
    return tuple(name for name, values in found.items() if len(values) > 1)


def kind_name(kind: str) -> str:
    """The kind of experiment as titles say it."""
    return _KINDS.get(kind, kind)


def _grows_never(method: str) -> bool:
    return method.partition("[")[0] == "fixed"


def _alike(row: Row, other: Row) -> bool:
    if row.tuning or other.tuning or row.config is None or other.config is None:
        return bool(row.tuning) == bool(other.tuning)
    apart = {"method", "seed", "twin"}
    if _grows_never(row.method) or _grows_never(other.method):
        apart |= {"schedule", "optimizer_policy", "statistics_factor"}
    return row.config.model_dump(exclude=apart) == other.config.model_dump(exclude=apart)


def is_control(method: str) -> bool:
    """Whether each option makes a method a control, or it adds nothing of its own.

    What a damaged row says may be no spec.
    """
    try:
        spec = parse(method)
    except InputError:
        return False
    alone = (str(replace(spec, options={name: value})) for name, value in spec.options.items())
    by_options = bool(spec.options) and all(control in CONTROLS for control in alone)
    return by_options or spec.name == UPDATE_ONLY


def training_flops(record: Record) -> float:
    """Training plus growth."""
    return record.train_flops + record.growth_flops


def seconds(record: Record) -> float:
    """Training plus growth by the clock."""
    return record.seconds.charged


def comparisons(runs: Iterable[Run]) -> tuple[Comparison, ...]:
    """The runs, sorted into comparisons; trials of a search belong to none.

    Those whose `run.json` cannot be read are where their folders say that they belong.
    """
    groups: dict[Key, list[Run]] = defaultdict(list)
    runs = list(runs)
    searched = tunings(runs)
    for run in runs:
        config = run.config
        if config and not is_search(run):
            key = config.protocol, config.version, config.kind, config.task, config.budget
            groups[key].append(run)
    for key, run in _lost(runs, groups):
        groups[key].append(run)
    names = short_names(key[3] for key in groups)
    found = []
    for key, whole in sorted(groups.items(), key=lambda item: (*item[0][:4], str(item[0][4]))):
        group, apart = of_shared_seeds(whole)
        apart = (*apart, *elsewhere(key, groups))
        rows = tuple(_rows(group, searched))
        found.append(Comparison(*key, _metric(group), rows, names[key[3]], (), apart))
    return tuple(map(_comparison, found))


def _lost(runs: Iterable[Run], groups: Mapping[Key, Sequence[Run]]) -> Iterator[tuple[Key, Run]]:
    """Runs that say nothing but where they lie, without their curves, and whose they are.

    They belong to the comparison of their settings, else to the only one of their protocol and
    task.
    """
    labels = {path_part(run.label): run.label for group in groups.values() for run in group}
    for run in runs:
        if run.config is None and run.seed >= 0:
            keys = [
                k for k in groups if (path_part(k[0]), path_part(k[3])) == (run.protocol, run.task)
            ]
            own = [k for k in keys if any(run.settings_id == r.settings_id for r in groups[k])]
            if len(own or keys) == 1:
                label = labels.get(run.label, run.label)
                bare = replace(run, id=run.place, label=label, curve=(), growth=())
                yield (own or keys)[0], bare


def _comparison(found: Comparison) -> Comparison:
    """The same, best row first, without those that are not applicable."""
    tried = tuple(row for row in found.rows if row.refusal is None)
    refused = (row for row in found.rows if row.refusal is not None and row.role != "twin")
    found = replace(found, rows=tried, refused=tuple(refused))
    return replace(found, rows=tuple(sorted(found.rows, key=lambda row: _place(found, row))))


def _metric(runs: Sequence[Run]) -> Literal["accuracy", "loss"]:
    records = [run.curve[0] for run in runs if run.curve]
    return "loss" if records and all(r.train_accuracy is None for r in records) else "accuracy"


def _place(comparison: Comparison, row: Row) -> tuple[bool, float, str]:
    """Sorts by mean score, then by name; rows without any score come last."""
    mean = estimate(list(comparison.scores(row).values())).mean
    worth = -mean if comparison.higher else mean
    return math.isnan(mean), 0.0 if math.isnan(mean) else worth, row.name


def _rows(runs: Sequence[Run], searched: Mapping[str, Tuning]) -> list[Row]:
    """One row for each label and settings; the name tells settings apart.

    Rows that were tuned are called by the method that was asked for.
    """
    groups: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    origins: dict[str, Tuning | None] = {}
    labels: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: run.config is None):
        if run.settings_id not in labels:
            origin = search_of(run.config, searched) if run.config else None
            origins[run.settings_id] = origin
            labels[run.settings_id] = _label(run, origin)
        groups[labels[run.settings_id]][run.settings_id].append(run)
    asked = frozenset(run.seed for run in runs)
    return [
        Row(
            label + suffix + mark(group), tuple(sorted(group, key=_seed)), asked, origins[identity]
        )
        for label, settings in groups.items()
        for suffix, (identity, group) in zip(suffixes(settings), settings.items(), strict=True)
    ]


def _seed(run: Run) -> int:
    return run.seed


def _label(run: Run, origin: Tuning | None) -> str:
    if origin is None or run.config is None:
        return run.label
    return run.config.model_copy(update={"method": origin.method}).label
