"""Which searches a ledger holds, and what they have cost: read from the trials alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nas_bench.results.layout import path_part
from nas_bench.results.summary import Summary
from nas_bench.trials.config import Budget, TrialConfig

_SEARCH, _TUNED = "-search-", "-tuned"
FIRST_SEED = 1_000_000
"""Of searches, unless others are asked for."""


@dataclass(frozen=True)
class Tuning:
    """The search that settings come from.

    Attributes:
        method: whose search it was, as asked: without what was tuned.
        configurations: how many were tried.
        flops: training and growth of all its trials, failed ones too.
    """

    method: str
    configurations: int
    flops: float


def search_protocol(protocol: str, method: str) -> str:
    """What the protocol of the search trials of a method is called."""
    return f"{protocol}{_SEARCH}{path_part(method)}"


def tuned_protocol(protocol: str) -> str:
    """What the protocol of the final trials is called, the same for all methods."""
    return f"{protocol}{_TUNED}"


def is_search(run: Summary) -> bool:
    """Whether a trial is one of a search, as it says itself: by its method and what was typed.

    Where that was not kept its seed tells, which is none that others would take.
    The name of its protocol alone says nothing: anyone may call theirs `lr-search-small`.
    """
    _, found, method = run.protocol.rpartition(_SEARCH)
    typed = run.command[1] == "tune" if len(run.command) > 1 else run.seed >= FIRST_SEED
    name = run.method.partition("[")[0]
    return bool(found) and typed and method.startswith(path_part(name))


def is_tuned(protocol: str) -> bool:
    """Whether this may be the protocol of final trials."""
    return protocol.endswith(_TUNED)


def settings_key(config: TrialConfig) -> str:
    """What a search trial and the final trials with its settings have in common."""
    protocol = config.protocol.removesuffix(_TUNED)
    update = {"protocol": protocol, "seed": 0, "twin": None}
    return config.model_copy(update=update).id


def settings(config: TrialConfig) -> dict[str, object]:
    """The settings of a trial that tuning may have chosen; a learning rate only if changed."""
    schedule, grown = config.schedule, config.kind == "free"
    rate = config.recipe.get("learning_rate")
    return {
        "method": config.method,
        **({} if rate is None else {"learning_rate": rate}),
        "every": schedule.every,
        **({"neurons": schedule.neurons} if grown else {}),
        "optimizer_policy": config.optimizer_policy,
    }


def tunings(runs: Iterable[Summary]) -> dict[str, Tuning]:
    """The search of every setting that was tried, by its key.

    Where several searches tried the same settings, it is the one that cost most.
    """
    groups: dict[tuple[str, str, int, str, Budget], list[Summary]] = defaultdict(list)
    for run in runs:
        if (c := run.config) and is_search(run):
            groups[c.protocol, c.task, c.version, c.kind, c.budget].append(run)
    found: dict[str, Tuning] = {}
    for group in sorted(map(_tuning, groups.values()), key=lambda pair: pair[1].flops):
        keys, tuning = group
        found |= dict.fromkeys(keys, tuning)
    return found


def spent(runs: Iterable[Summary]) -> float:
    """Training and growth FLOPs of trials, as far as they came."""
    return sum(r.costs.get("train_flops", 0.0) + r.costs.get("growth_flops", 0.0) for r in runs)


def _tuning(runs: Sequence[Summary]) -> tuple[set[str], Tuning]:
    """The keys of a search and what it was; no keys if its trials do not say whose it was."""
    configs = [run.config for run in runs if run.config]
    ends = {c.method: f"{_SEARCH}{path_part(c.method)}" for c in configs}
    name = configs[0].protocol
    method = next((m for m, end in ends.items() if name.endswith(end)), "")
    base = name.removesuffix(ends.get(method, ""))
    keys = {settings_key(c.model_copy(update={"protocol": base})) for c in configs}
    return keys if method else set(), Tuning(method, len(keys), spent(runs))


def search_of(config: TrialConfig, known: Mapping[str, Tuning]) -> Tuning | None:
    """The search that gave a final trial its settings; None if it was not tuned."""
    return known.get(settings_key(config)) if is_tuned(config.protocol) else None
