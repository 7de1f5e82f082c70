"""`nas-bench show`: everything about one method, task, protocol or trial."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_bench.api.places import load_plugins
from nas_bench.commands.ls import aligned
from nas_bench.commands.parameters import (
    OK,
    data_option,
    examples,
    json_option,
    plugin_option,
    print_json,
    results_folder,
    results_option,
    verbose_option,
)
from nas_bench.commands.printed_table import print_table
from nas_bench.commands.show_run import find_run, is_run, print_run, run_values
from nas_bench.specs import InputError, parse, unknown

if TYPE_CHECKING:
    from torch import nn

    from nas_bench.discovery import PluginKind
    from nas_bench.growth import Site
    from nas_bench.training.task import Task

_HEADER = ("grown layer", "next layer", "in between", "positions × taps", "width")
_KEPT = "the task keeps its width"
_EPILOG = examples(
    "nas-bench show tiny",
    "nas-bench show 'mnist[target_widths=[20,10]]'",
    "nas-bench show tiny --bibtex",
    "nas-bench show smoke --json",
    "nas-bench show 3f2a --results results/local",
)


@click.command(epilog=_EPILOG)
@click.argument("name")
@results_option()
@plugin_option()
@data_option()
@json_option()
@click.option("--bibtex", "as_bibtex", is_flag=True, help="Print the papers of NAME as BibTeX.")
@verbose_option()
def show(
    name: str,
    results: Path | None,
    plugin_paths: tuple[Path, ...],
    data: Path | None,
    as_json: bool,
    as_bibtex: bool,
) -> int:
    """Show the method, task, protocol or trial NAME.

    A trial is named by its folder or its place in the results folder, packed or not, or by the
    first digits of its id.
    """
    if as_bibtex:
        click.echo(_papers(name, plugin_paths))
        return OK
    if is_run(name) and (run := find_run(name, results_folder(results))):
        print_json(run_values(run)) if as_json else print_run(run)
        return OK
    if is_run(name) and name[0].isdigit():
        raise InputError(f"no trial's id begins with {name} in {results_folder(results)}")
    if is_run(name) and "/" in name:
        raise InputError(f"there is no trial at {name}, nor there in {results_folder(results)}")
    load_plugins(plugin_paths)
    found = _found(name, data)
    if as_json:
        print_json(found)
    else:
        _print(found)
    return OK


def _papers(name: str, plugin_paths: tuple[Path, ...]) -> str:
    from nas_bench import plugins
    from nas_bench.commands.bibtex import bibtex

    load_plugins(plugin_paths)
    known, word = plugins.everything(), parse(name).name
    if word not in known:
        raise InputError(unknown("method, task or trigger", word, known))
    made = {"method": plugins.method, "task": plugins.task, "trigger": plugins.trigger}
    return bibtex(type(made[known[word].kind](name)), word)


def _found(name: str, data: Path | None) -> dict[str, Any]:
    from nas_bench import plugins
    from nas_bench.trials.protocol import protocol_names

    if name in protocol_names() or name.endswith((".yaml", ".yml")):
        return _protocol(name)
    known, word = plugins.everything(), parse(name).name
    if word not in known:
        names = {*known, *protocol_names()}
        raise InputError(unknown("method, task, trigger or protocol", word, names))
    match known[word].kind:
        case "method":
            return _method(name)
        case "task":
            return _task(name, data)
    return _trigger(name)


def _protocol(name: str) -> dict[str, Any]:
    from nas_bench.trials.protocol import lineage, load_protocol

    protocol = load_protocol(name)
    _, *bases = lineage(name)
    return {
        "what": "protocol",
        **({"extends": ", which extends ".join(bases)} if bases else {}),
        **protocol.model_dump(mode="json", exclude_none=True),
        "reproducible": protocol.budget.seconds is None,
    }


def _method(spec: str) -> dict[str, Any]:
    from nas_bench import plugins

    method = plugins.method(spec)
    return {
        **_named(method, "method", spec),
        "reference": method.reference,
        "starts_from": method.starts_from,
        "grows_from": list(method.grows_from),
        "searches_amplitude": method.searches_amplitude,
        "preserves_function": method.preserves_function,
        "options": _options(method),
    }


def _task(spec: str, data: Path | None) -> dict[str, Any]:
    from nas_bench import plugins
    from nas_bench.training.data import data_folder

    task, folder = plugins.task(spec), data_folder(data)
    return {
        **_named(task, "task", spec),
        **_known("metric", lambda: {"metric": task.metric}),
        "gpu_share": task.gpu_share,
        "seed_widths": list(task.seed_widths),
        "quarter_widths": list(task.quarter_widths),
        "target_widths": list(task.target_widths),
        "recipe": asdict(task.recipe),
        "options": _options(task),
        **_known("sites", lambda: _survey(task, folder)),
    }


def _trigger(spec: str) -> dict[str, Any]:
    from nas_bench import plugins

    trigger = plugins.trigger(spec)
    return {
        **_named(trigger, "trigger", spec),
        "reference": trigger.reference,
        "reads": list(trigger.reads),
        "options": _options(trigger),
    }


def _named(plugin: Any, kind: "PluginKind", spec: str) -> dict[str, Any]:
    """What plugins of every kind have."""
    from nas_bench import plugins

    return {
        "what": kind,
        "name": plugins.canonical(spec, kind),
        "summary": plugin.summary,
        "version": plugin.version,
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


def _known(name: str, found: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a task says that may depend on its data, or why that is not known."""
    from nas_bench.specs import said
    from nas_bench.training.task import DataMissingError

    try:
        return found()
    except DataMissingError as error:
        return {name: f"shown once the data is there: {error}"}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # tasks of others may do anything
        return {name: f"not known: {said(error)}"}


def _survey(task: "Task", folder: Path) -> dict[str, Any]:
    """The sites of the seed network and why other layers cannot grow, once there is data."""
    from nas_bench.contract import is_present

    if is_present(task, folder):
        return _sites(task, folder)
    return {"sites": f"shown once the data is in {folder}"}


def _sites(task: "Task", folder: Path) -> dict[str, Any]:
    from nas_bench.growth import survey
    from nas_bench.training.soundness import loaded

    train, _ = loaded(task, folder)
    network = task.network(task.seed_widths)
    found = survey(network, train.first(2).inputs)
    growing = [site for site in found.sites if task.grows(site.grown)]
    targets = dict(zip((site.grown for site in growing), task.target_widths, strict=False))
    kept = {site.grown: _KEPT for site in found.sites if not task.grows(site.grown)}
    return {
        "sites": {s.grown: _site(network, s, targets.get(s.grown)) for s in growing},
        "not growable": kept | {refusal.layer: refusal.reason for refusal in found.refusals},
    }


def _site(network: "nn.Module", site: "Site", target: int | None) -> dict[str, Any]:
    """What is to be known of a site."""
    return {
        "next": site.next,
        "path": [step.label for step in site.path],
        "positions": site.positions,
        "taps": site.taps,
        "seed_width": site.width(network),
        "target_width": target,
    }


def _print(found: dict[str, Any]) -> None:
    """Everything as aligned lines, the sites of a task as a table."""
    sites, departures = found.get("sites"), found.pop("departures", [])
    if not isinstance(sites, dict):
        click.echo("\n".join(_lines(found)))
        if departures:
            _print_departures(departures)
        return
    refused = found["not growable"]
    rest = {k: v for k, v in found.items() if k not in ("sites", "not growable")}
    click.echo("\n".join(_lines(rest)))
    print_table("sites", _HEADER, [_cells(name, site) for name, site in sites.items()])
    print_table("not growable", ("layer", "reason"), list(refused.items()))


def _print_departures(departures: list[dict[str, str]]) -> None:
    """What a protocol has otherwise than its source, as a table."""
    rows = [(d["paper"], d["here"], d["why"]) for d in departures]
    print_table("departures", ("the source", "here", "why"), rows)


def _cells(name: str, site: dict[str, Any]) -> tuple[str, ...]:
    path = "\n".join(site["path"]) or "–"
    widths = f"{site['seed_width']} → {site['target_width']}"
    return name, site["next"], path, f"{site['positions']} × {site['taps']}", widths


def _lines(found: dict[str, Any]) -> Iterator[str]:
    simple = {key: value for key, value in found.items() if not isinstance(value, dict)}
    yield from aligned((key, _cell(value)) for key, value in simple.items() if value != "")
    for title, values in found.items():
        if isinstance(values, dict):
            yield f"{title}:" if values else f"{title}: none"
            yield from (f"  {line}" for line in _pairs(values))


def _pairs(values: dict[str, Any]) -> list[str]:
    """Lines of names with their values."""
    return aligned((key, _cell(value)) for key, value in values.items()) if values else []


def _cell(value: Any) -> str:
    from nas_bench.specs import spelled

    return value if isinstance(value, str) else spelled(value)
