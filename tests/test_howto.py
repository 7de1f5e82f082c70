"""The commands of the how-to pages are commands, and those that only look run."""

import re
import shlex
from pathlib import Path

import click
import pytest

from nas_bench.cli import cli, status

DOCS = Path(__file__).parents[1] / "docs"


def commands(page):
    text = (DOCS / page).read_text("utf-8").replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in re.findall(r"^\s*nas-bench .*$", text, re.MULTILINE)]


@pytest.mark.parametrize("page", ["howto-slurm.md", "howto-wandb.md"])
def test_every_command_of_a_page_is_understood(page):
    found = commands(page)
    assert len(found) >= 2
    for verb, *arguments in found:
        command = cli.get_command(click.Context(cli), verb)
        assert command is not None
        command.make_context(verb, [*arguments])


def test_the_batch_script_of_the_page_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (printing,) = [command for command in commands("howto-slurm.md") if command[-1] == "-"]
    assert status(printing) == 0
    assert capsys.readouterr().out.startswith("#!")
