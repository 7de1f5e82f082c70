"""What a plan asks for and what it can show, said before anything runs."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_bench.trials.config import TrialConfig


def announced(configs: "Sequence[TrialConfig]", typed_seeds: str | None) -> Iterator[str]:
    """Lines about the trials of a plan.

    Args:
        configs: of the plan.
        typed_seeds: as they were typed, None if they are the protocol's.
    """
    from nas_bench.report.statistics import TESTABLE
    from nas_bench.specs import short_names
    from nas_bench.text import counted, ranges

    if not configs:
        return
    seeds = {config.seed for config in configs}
    tasks = ", ".join(short_names(dict.fromkeys(config.task for config in configs)).values())
    rows = Counter(task for task, _ in {(config.task, config.settings_id) for config in configs})
    yield (
        f"{configs[0].protocol} on {tasks}: {counted(max(rows.values()), 'row')}, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {ranges(seeds)}"
    )
    if typed_seeds and re.fullmatch(r"0*[1-9]\d*", typed_seeds.strip()):
        count = int(typed_seeds)
        yield f"That is seed {count} alone: --seeds 0-{count - 1} are {counted(count, 'seed')}"
    if methods := _misplaced(configs):
        yield (
            f"{', '.join(methods)} cannot grow sensibly from the seed network, of which there is "
            "too little to copy: --set start=quarter begins with a quarter of the target widths"
        )
    if len(seeds) < TESTABLE:
        yield (
            f"{counted(len(seeds), 'seed')} can show no difference to be real, and rank no rows: "
            f"that takes {TESTABLE}"
        )


def _misplaced(configs: "Sequence[TrialConfig]") -> list[str]:
    """Methods that do not declare the network from which they are to grow."""
    from nas_bench import plugins

    pairs = dict.fromkeys((config.method, config.start) for config in configs)
    return [m for m, start in pairs if start not in plugins.method(m).grows_from]
