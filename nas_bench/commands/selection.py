"""The options that say which trials are meant, for every verb that plans trials."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.commands.parameters import data_option, plugin_option, results_option
from nas_bench.specs import specs

if TYPE_CHECKING:
    from nas_bench.execution.resume import Rerun
    from nas_bench.trials.protocol import Protocol

RERUNS = ("none", "failed", "stale", "all")


@dataclass(frozen=True)
class Selection:
    """What was asked for on the command line; None is the protocol's own."""

    protocol: str
    methods: str | None
    tasks: str | None
    seeds: str | None
    budget: str | None
    config: Path | None
    changes: tuple[str, ...]
    no_baselines: bool
    plugin_paths: tuple[Path, ...]
    results: Path | None
    data: Path | None
    rerun: "Rerun"

    def changed_protocol(self) -> "Protocol":
        """The protocol with every change applied.

        Raises:
            InputError: if something that was typed does not fit.
        """
        from nas_bench.trials.protocol import load_protocol

        return load_protocol(self.protocol, _changes(self))


def selection_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Every option that selects trials, in the order of the help."""
    for option in reversed(_options()):
        verb = option(verb)
    return verb


def _options() -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    return [
        click.option(
            "--protocol", default="smoke", show_default=True, help="Its name, or a YAML file."
        ),
        click.option("--methods", help="Such as tiny,gradmax or 'tiny[update=false]' or all."),
        click.option("--tasks", help="Such as mnist,fashion_mnist."),
        click.option("--seeds", help="Such as 0-9 or 0,2,5."),
        click.option(
            "--budget", help="Such as '10 epochs', '2000 steps', '1e12 flops' or '30 seconds'."
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help="YAML file of changes to the protocol.",
        ),
        click.option(
            "--set", "changes", multiple=True, metavar="A.B=JSON", help="A change to the protocol."
        ),
        click.option(
            "--no-baselines", is_flag=True, help="Do not add the protocol's fixed networks."
        ),
        plugin_option(),
        results_option(),
        data_option(),
        click.option(
            "--rerun",
            type=click.Choice(RERUNS),
            default="none",
            show_default=True,
            help="What to run again of what has ended.",
        ),
    ]


def _changes(selection: Selection) -> Iterator[dict[str, Any]]:
    """What changes the protocol, the strongest last."""
    from nas_bench.trials.inputs import read_yaml, setting

    if selection.config:
        yield read_yaml(selection.config)
    yield from map(setting, selection.changes)
    lists = {"methods": selection.methods, "tasks": selection.tasks}
    yield {name: specs(text) for name, text in lists.items() if text is not None}
    texts = {"seeds": selection.seeds, "budget": selection.budget}
    yield {name: text for name, text in texts.items() if text is not None}
