"""The options that say which trials are meant, for every verb that plans trials."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nas_bench.commands.parameters import PathGiven, data_option, plugin_option, results_option

RERUNS = ("none", "failed", "stale", "all")


def selection_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Every option that selects trials, in the order of the help."""
    for option in reversed(_options()):
        verb = option(verb)
    return verb


def _options() -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    return [
        click.option(
            "--protocol", help="Its name, or a YAML file.  [default: the study's, else smoke]"
        ),
        click.option("--methods", help="Such as tiny,gradmax or 'tiny[update=false]' or all."),
        click.option("--tasks", help="Such as mnist,fashion_mnist."),
        click.option("--seeds", help="Such as 0-9 or 0,2,5."),
        click.option(
            "--budget", help="Such as '10 epochs', '2000 steps', '1e12 flops' or '30 seconds'."
        ),
        click.option(
            "--config",
            type=PathGiven(path_type=Path),
            help="YAML file of a study: protocol, methods, plugins, tasks, data, seeds, results, "
            "changes to the protocol.",
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
