"""`nas-bench ls`: what there is."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import click

from nas_bench.api.places import load_plugins
from nas_bench.commands.parameters import (
    OK,
    examples,
    json_option,
    plugin_option,
    print_json,
    verbose_option,
)

Kind = Literal["methods", "tasks", "triggers", "protocols"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_EPILOG = examples(
    "nas-bench ls",
    "nas-bench ls tasks --json",
    "nas-bench ls methods --plugin mine.py",
)


@click.command(epilog=_EPILOG)
@click.argument("kind", type=click.Choice(_KINDS), required=False)
@plugin_option()
@json_option()
@verbose_option()
def ls(kind: Kind | None, plugin_paths: tuple[Path, ...], as_json: bool) -> int:
    """List growth methods, tasks, triggers, protocols or all; broken plugins with the reason."""
    load_plugins(plugin_paths)
    kinds = (kind,) if kind else _KINDS
    found = {wanted: _rows(wanted) for wanted in kinds}
    if as_json:
        print_json(found[kind] if kind else found)
        return OK
    for title, rows in found.items():
        lines = aligned((row["name"], _version(row), _gpu(row), _remark(row)) for row in rows)
        click.echo("\n".join(lines if kind else [f"{title}:", *(f"  {line}" for line in lines)]))
    return OK


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with the cells of rows in columns."""
    cells = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _rows(kind: Kind) -> list[dict[str, Any]]:
    if kind == "protocols":
        return _protocols()
    from nas_bench import plugins

    found = {"methods": plugins.methods, "tasks": plugins.tasks, "triggers": plugins.triggers}
    return [
        {
            "name": name,
            "summary": getattr(plugin.cls, "summary", None),
            "version": getattr(plugin.cls, "version", None),
            **({"gpu_share": getattr(plugin.cls, "gpu_share", None)} if kind == "tasks" else {}),
            "origin": plugin.origin,
            "error": plugin.error,
        }
        for name, plugin in found[kind]().items()
    ]


def _protocols() -> list[dict[str, Any]]:
    from nas_bench.trials.protocol import load_protocol, protocol_names

    found = [load_protocol(name) for name in protocol_names()]
    return [{"name": p.name, "summary": p.summary, "version": p.version} for p in found]


def _version(row: dict[str, Any]) -> str:
    """The version whose change makes results incomparable, as tables say it."""
    return f"v{row['version']}" if row["version"] else ""


def _gpu(row: dict[str, Any]) -> str:
    """Whether a task trains on a GPU where there is one."""
    return "GPU" if row.get("gpu_share") else ""


def _remark(row: dict[str, Any]) -> str:
    error = row.get("error")
    return f"BROKEN ({row['origin']}): {error}" if error else row["summary"] or ""
