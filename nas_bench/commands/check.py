"""`nas-bench check`: does a plugin keep its contract?"""

from pathlib import Path

import click

from nas_bench.commands.parameters import (
    GATE,
    OK,
    data_option,
    examples,
    json_option,
    load_plugins,
    plugin_option,
    print_json,
    verbose_option,
)

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
    """Run the contract test on the method or task NAME (a spec, with options or without)."""
    load_plugins(plugin_paths)
    from nas_bench.contract import check_plugin
    from nas_bench.training.data import data_folder

    checks = check_plugin(name, data_folder(data))
    if as_json:
        print_json([vars(found) for found in checks])
    else:
        for found in checks:
            remark = f": {found.message}" if found.message else ""
            click.echo(f"{'ok    ' if found.ok else 'FAILED'} {found.name}{remark}")
    return OK if all(found.ok for found in checks) else GATE
