"""A study in one YAML file: protocol, methods, plugins, tasks, data, seeds, results, changes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_bench.specs import InputError, absolute, shown

_OPTIONS = (
    "executor", "address", "device", "gpus_per_trial", "trials_per_gpu", "max_concurrent",
    "timeout", "retries", "storage", "rerun", "wandb",
)  # fmt: skip
"""How trials are run, which is said on the command line alone."""
_PLACES = ("protocol", "plugins", "data", "results")


@dataclass(frozen=True)
class Study:
    """What a file says.

    Attributes:
        protocol: its name, or the path of its file; None: not said.
        plugins: files of plugins.
        data, results: folders; None: not said.
        changes: settings of the protocol, methods, tasks and seeds among them, by name.
    """

    protocol: str | None
    plugins: tuple[Path, ...]
    data: Path | None
    results: Path | None
    changes: tuple[tuple[str, Any], ...]


def read_study(path: Path) -> Study:
    """The study in a YAML file; its paths are relative to the folder of the file.

    Raises:
        InputError: if it cannot be read, or something in it is not known.
    """
    from nas_bench.trials.inputs import read_yaml
    from nas_bench.trials.protocol import merged

    values = read_yaml(path)
    changes = {name: value for name, value in values.items() if name not in _PLACES}
    for name in (*_OPTIONS, "extends"):
        if name in changes:
            _refuse(path, name, changes[name])
    merged({}, changes)  # refuses what protocols do not have
    protocol, data, results = (_text(path, values, n) for n in ("protocol", "data", "results"))
    if protocol and protocol.endswith((".yaml", ".yml")):
        protocol = str(_beside(path, protocol))
    return Study(
        protocol=protocol,
        plugins=tuple(_beside(path, each) for each in _plugins(path, values.get("plugins"))),
        data=data and _beside(path, data),
        results=results and _beside(path, results),
        changes=tuple(changes.items()),
    )


def _refuse(path: Path, name: str, value: Any) -> None:
    cure = f"give --{name.replace('_', '-')} to the command"
    if name == "extends":
        cure = f"what it starts from is its protocol: write `protocol: {value}`"
    raise InputError(f"{path}: a study has no {name}; {cure}")


def _text(path: Path, values: dict[str, Any], name: str) -> Any:
    value = values.get(name)
    if value is not None and not (isinstance(value, str) and value):
        raise InputError(f"{path}: {name} is {shown(value)}, expected text")
    return value


def _plugins(path: Path, value: Any) -> list[str]:
    found = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise InputError(f"{path}: plugins is {shown(value)}, expected a path or a list of paths")
    return found


def _beside(path: Path, named: str) -> Path:
    """A path that a file names."""
    return absolute(Path(named)) if named.startswith("~") else path.parent / named
