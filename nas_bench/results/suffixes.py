"""What tells rows of the same protocol, task and method apart: their settings."""

from collections.abc import Collection, Mapping, Sequence

from nas_bench.results.reading import Run
from nas_bench.results.staleness import settings_of
from nas_bench.trials.config import TrialConfig


def suffixes(settings: Mapping[str, Sequence[Run]], leave_out: Collection[str] = ()) -> list[str]:
    """What the settings differ in, such as ` {recipe.learning_rate=0.01}`; empty for one.

    What is not set, and so is the task's or the protocol's, is left out.

    Args:
        settings: trials by the identity of their settings.
        leave_out: settings, or groups of them such as `recipe`, that tell nothing apart.
    """
    known = {i: next((r.config for r in runs if r.config), None) for i, runs in settings.items()}
    configs = {i: _flat(config, leave_out) for i, config in known.items() if config}
    names = sorted({name for config in configs.values() for name in config})
    differ = [n for n in names if len({config.get(n) for config in configs.values()}) > 1]
    found = {
        i: [f"{n}={config[n]}" for n in differ if n in config] for i, config in configs.items()
    }
    if len(settings) > 1:
        found |= {identity: [identity] for identity in settings if identity not in configs}
    return [f" {{{', '.join(items)}}}" if (items := found.get(i)) else "" for i in settings]


def _flat(config: TrialConfig, leave_out: Collection[str]) -> dict[str, str]:
    values = settings_of(config, config.recipe)
    return {
        name: str(value)
        for name, value in values.items()
        if value is not None and name not in ("seed", "twin.of")
        if name.partition(".")[0] not in leave_out
    }
