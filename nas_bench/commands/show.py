"""`nas-bench show`: everything about one method, task or protocol."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.commands.ls import aligned
from nas_bench.commands.parameters import (
    OK,
    data_option,
    examples,
    json_option,
    load_plugins,
    plugin_option,
    print_json,
    verbose_option,
)
from nas_bench.specs import InputError, parse, unknown

if TYPE_CHECKING:
    from nas_bench.training.task import Task

_EPILOG = examples(
    "nas-bench show tiny",
    "nas-bench show 'mnist[target_widths=[20,10]]'",
    "nas-bench show smoke --json",
)


@click.command(epilog=_EPILOG)
@click.argument("name")
@plugin_option()
@data_option()
@json_option()
@verbose_option()
def show(name: str, plugin_paths: tuple[Path, ...], data: Path | None, as_json: bool) -> int:
    """Show the method, task or protocol NAME."""
    load_plugins(plugin_paths)
    found = _found(name, data)
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(_lines(found)))
    return OK


def _found(name: str, data: Path | None) -> dict[str, Any]:
    from nas_bench import plugins
    from nas_bench.trials.protocol import protocol_names

    if name in protocol_names() or name.endswith((".yaml", ".yml")):
        return _protocol(name)
    methods, tasks, word = plugins.methods(), plugins.tasks(), parse(name).name
    if word in methods:
        return _method(name)
    if word in tasks:
        return _task(name, data)
    known = {*methods, *tasks, *protocol_names()}
    raise InputError(unknown("method, task or protocol", word, known))


def _protocol(name: str) -> dict[str, Any]:
    from nas_bench.trials.protocol import load_protocol

    return {"what": "protocol", **load_protocol(name).model_dump(mode="json", exclude_none=True)}


def _method(spec: str) -> dict[str, Any]:
    from nas_bench import plugins

    method = plugins.method(spec)
    return {
        "what": "method",
        "name": plugins.canonical(spec, "method"),
        "summary": method.summary,
        "reference": method.reference,
        "starts_from": method.starts_from,
        "searches_amplitude": method.searches_amplitude,
        "preserves_function": method.preserves_function,
        "options": _options(method),
    }


def _task(spec: str, data: Path | None) -> dict[str, Any]:
    from nas_bench import plugins

    task = plugins.task(spec)
    return {
        "what": "task",
        "name": plugins.canonical(spec, "task"),
        "summary": task.summary,
        "metric": task.metric,
        "seed_widths": list(task.seed_widths),
        "target_widths": list(task.target_widths),
        "recipe": asdict(task.recipe),
        "options": _options(task),
        **_survey(task, data),
    }


def _options(instance: Any) -> dict[str, str]:
    from nas_bench.options import options_of
    from nas_bench.specs import spelled

    return {
        name: f"{spelled(getattr(instance, name))} ({_type(hint)})"
        for name, (hint, _) in options_of(type(instance)).items()
    }


def _type(hint: Any) -> str:
    return (
        hint.__name__
        if isinstance(hint, type) and not hasattr(hint, "__args__")
        else str(hint).replace("typing.", "")
    )


def _survey(task: "Task", data: Path | None) -> dict[str, Any]:
    """The sites of the seed network and why other layers cannot grow."""
    from nas_bench.contract import is_present
    from nas_bench.growth import survey
    from nas_bench.training.data import data_folder

    folder = data_folder(data)
    if not is_present(task, folder):
        return {"sites": f"unknown before the data is in {folder}"}
    train, _ = task.load(folder)
    found = survey(task.network(task.seed_widths), train.inputs[:2])
    kept = {site.grown: "the task keeps its width" for site in found.sites}
    return {
        "sites": {
            site.grown: f"grows, read by {site.next}"
            for site in found.sites
            if task.grows(site.grown)
        },
        "not growable": {
            **{layer: reason for layer, reason in kept.items() if not task.grows(layer)},
            **{refusal.layer: refusal.reason for refusal in found.refusals},
        },
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    simple = {key: value for key, value in found.items() if not isinstance(value, dict)}
    yield from aligned((key, _cell(value)) for key, value in simple.items() if value != "")
    for title, values in found.items():
        if isinstance(values, dict):
            yield f"{title}:" if values else f"{title}: none"
            yield from (f"  {line}" for line in aligned_pairs(values))


def aligned_pairs(values: dict[str, Any]) -> list[str]:
    """Lines of names with their values."""
    return aligned((key, _cell(value)) for key, value in values.items()) if values else []


def _cell(value: Any) -> str:
    from nas_bench.specs import spelled

    return value if isinstance(value, str) else spelled(value)
