"""`nas-bench unpack`: packs as folders again."""

from typing import Any

import click

from nas_bench.commands.pack import change_packs, packing_options
from nas_bench.commands.parameters import examples

_EPILOG = examples(
    "nas-bench unpack",
    "nas-bench unpack results/published --protocol lite --task digits",
    "nas-bench unpack results/local --json",
)


@click.command(epilog=_EPILOG)
@packing_options
def unpack(**values: Any) -> int:
    """Turn the packs in FOLDER into the folders that nas-bench pack made them from.

    Every byte is as it was. What cannot be read is left out and named, its pack renamed to
    <task>.zip.damaged-<n>, and the exit code is 5; else the pack is removed.
    """
    from nas_bench.results.packing import unpack

    return change_packs(unpack, **values)
