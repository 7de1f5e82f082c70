"""What `nas-bench run --slurm` does: the same command as a batch job."""

from collections.abc import Iterator
from pathlib import Path

import click
from click.core import ParameterSource

from nas_bench.commands.parameters import OK, CannotRunError

_OWN = ("slurm", "submit", "sbatch", "results", "storage")


def batch(target: str, submit: bool, options: tuple[str, ...], results: Path, storage: str) -> int:
    """Write the running command as a batch script, and submit it if asked.

    Args:
        target: file of the script, - for stdout.
        submit: whether to hand it to sbatch.
        options: of sbatch.
        results: folder of the ledger, which all nodes share.
        storage: of checkpoints.

    Raises:
        CannotRunError: if the script cannot be written or submitted.
    """
    from nas_bench.execution import ExecutionError, batch_script

    context = click.get_current_context()
    _refuse(context)
    command = ["run", *_given(context), f"--results={results}", f"--storage={storage}"]
    try:
        text = batch_script.script(command, Path.cwd(), options)
    except ValueError as error:
        raise click.UsageError(f"--sbatch: {error}") from error
    try:
        if target == "-":
            click.echo(text, nl=False)
        else:
            batch_script.write(Path(target), text)
            click.echo(f"{target} is written", err=True)
        if submit:
            click.echo(batch_script.submit(text), err=True)
    except ExecutionError as error:
        raise CannotRunError(str(error)) from error
    return OK


def _refuse(context: click.Context) -> None:
    """Options that cannot go along with --slurm."""
    if context.params["address"]:
        raise click.UsageError("--slurm starts a Ray cluster of its own: leave --address out")
    if context.params["executor"] == "inline":
        raise click.UsageError("--slurm runs trials under Ray: leave --executor inline out")


def _given(context: click.Context) -> Iterator[str]:
    """The options that were typed, as arguments; some are added in full by the caller."""
    for parameter in context.command.params:
        name = parameter.name or ""
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in _OWN or not typed:
            continue
        option, value = max(parameter.opts, key=len), context.params[name]
        if value is True:
            yield option
        else:
            for each in value if parameter.multiple else [value]:
                yield f"{option}={each}"
