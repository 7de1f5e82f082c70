"""`nas-bench new`: a file to begin a method, a task or a trigger with."""

import keyword
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import click

from nas_bench.commands.parameters import OK, PathGiven, examples, verbose_option
from nas_bench.specs import InputError

_EPILOG = examples(
    "nas-bench new method mine",
    "nas-bench new task rings --folder plugins",
    "nas-bench check mine --plugin mine.py",
)


@click.command(epilog=_EPILOG)
@click.argument("kind", type=click.Choice(["method", "task", "trigger"]))
@click.argument("name")
@click.option(
    "--folder",
    type=PathGiven(path_type=Path, file_okay=False),
    default=Path(),
    help="Where the file is written  [default: the working directory]",
)
@verbose_option()
def new(kind: str, name: str, folder: Path) -> int:
    """Write one file with a small working method, task or trigger called NAME."""
    _check_word(name)
    path = folder / f"{name}.py"
    if not path.exists():
        _check_free(kind, name)
    from nas_bench.templates import TEMPLATES

    text = TEMPLATES[kind].replace("{name}", name).replace("{Name}", _class_name(name))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{path} is there already: choose another name or delete it") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    click.echo(path)
    click.echo(f"Try it: nas-bench check {name} --plugin {path}", err=True)
    return OK


def _check_word(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise InputError(
            f"{name!r} cannot be a module: use lower-case letters, digits and _, "
            "beginning with a letter, and no keyword of Python"
        )


def _check_free(kind: str, name: str) -> None:
    """Refuse the names of modules and of plugins of any kind."""
    advice = f"choose another name, such as {name}_{kind}"
    if name in sys.stdlib_module_names or PathFinder.find_spec(name):
        raise InputError(
            f"a file {name}.py would hide the module {name} from whoever stands in its folder: "
            f"{advice}"
        )
    from nas_bench import plugins

    if found := plugins.everything().get(name):
        raise InputError(f"there is a {found.kind} {name} in {found.origin}: {advice}")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
