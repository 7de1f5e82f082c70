"""`nas-bench check`: does a plugin keep its contract?"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas_bench.api.places import load_plugins
from nas_bench.commands.parameters import (
    GATE,
    OK,
    data_option,
    examples,
    json_option,
    plugin_option,
    print_json,
    verbose_option,
)

if TYPE_CHECKING:
    from nas_bench.contract import Check

_EPILOG = examples(
    "nas-bench check gradmax",
    "nas-bench check 'tiny[projection=false]'",
    "nas-bench check mine --plugin mine.py",
)


@click.command(epilog=_EPILOG)
@click.argument("name")
@plugin_option()
@data_option()
@json_option()
@verbose_option()
def check(name: str, plugin_paths: tuple[Path, ...], data: Path | None, as_json: bool) -> int:
    """Run the contract test on the method, task or trigger NAME (a spec, options or not)."""
    load_plugins(plugin_paths)
    from nas_bench.contract import check_plugin
    from nas_bench.training.data import data_folder

    checks = check_plugin(name, data_folder(data))
    if as_json:
        print_json([vars(found) for found in checks])
    else:
        click.echo("\n".join(_lines(checks)))
    return OK if all(found.ok for found in checks) else GATE


def _lines(checks: Sequence["Check"]) -> Iterator[str]:
    """A line for each check; what failed for one and the same reason shares its line."""
    alike = Counter(found.message for found in checks if not found.ok)
    for found in checks:
        remark = f": {found.message}" if found.message else ""
        if found.ok:
            yield f"ok     {found.name}{remark}"
        elif count := alike.pop(found.message, 0):
            more = f" (and {count - 1} more)" if count > 1 else ""
            yield f"FAILED {found.name}{more}{remark}"
