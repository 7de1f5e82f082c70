"""Which trials are meant: by the options of the command line, or by values of Python."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from nas_bench.api.places import load_plugins
from nas_bench.specs import InputError, shown, specs
from nas_bench.text import ranges

if TYPE_CHECKING:
    from nas_bench.execution.resume import Rerun
    from nas_bench.trials.protocol import Protocol

T = TypeVar("T", bound="Selection")
Named = str | type | object
"""A method or task: a spec, its class, or an instance, whose options count."""
_PROTOCOL = "smoke"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was asked for, in the words of the command line; None is the protocol's own.

    Attributes:
        protocol: its name or file; None: the study's, else smoke.
        methods, tasks: specs with commas between them.
        seeds, budget: such as `0-9` and `10 epochs`.
        config: file of a study.
        changes: to the protocol, of the form `a.b=JSON`.
        no_baselines: whether the protocol's fixed networks are left out.
        plugin_paths: files of plugins.
        results, data: folders.
        rerun: what runs again of what has ended.
    """

    protocol: str | None = None
    methods: str | None = None
    tasks: str | None = None
    seeds: str | None = None
    budget: str | None = None
    config: Path | None = None
    changes: tuple[str, ...] = ()
    no_baselines: bool = False
    plugin_paths: tuple[Path, ...] = ()
    results: Path | None = None
    data: Path | None = None
    rerun: "Rerun" = "none"

    def prepared(self: T) -> T:
        """The same with what its study says, and its plugins known in this process.

        Raises:
            InputError: if the study or a plugin cannot be used.
        """
        found = self._with_study()
        return replace(found, plugin_paths=load_plugins(found.plugin_paths))

    def _with_study(self: T) -> T:
        """What is said beside the study counts more than the study."""
        if self.config is None:
            return self
        from nas_bench.api.study import read_study

        study = read_study(self.config)
        return replace(
            self,
            config=None,
            protocol=self.protocol or study.protocol,
            changes=(*(f"{name}={json.dumps(v)}" for name, v in study.changes), *self.changes),
            plugin_paths=(*study.plugins, *self.plugin_paths),
            results=self.results or study.results,
            data=self.data or study.data,
        )

    def changed_protocol(self) -> "Protocol":
        """The protocol with every change applied, of a selection that is prepared.

        Raises:
            InputError: if something that was typed does not fit.
        """
        from nas_bench.trials.protocol import load_protocol

        return load_protocol(self.protocol or _PROTOCOL, _changes(self))

    def command(self, verb: Literal["run", "plan"] = "run") -> list[str]:
        """The command line that selects these trials."""
        given = {
            "protocol": self.protocol, "methods": self.methods, "tasks": self.tasks,
            "seeds": self.seeds, "budget": self.budget, "config": self.config,
        }  # fmt: skip
        repeated = {"set": self.changes, "plugin": self.plugin_paths}
        places = {"results": self.results, "data": self.data}
        named = [(name, value) for name, value in given.items() if value is not None]
        named += [(name, value) for name, values in repeated.items() for value in values]
        named += [(name, value) for name, value in places.items() if value is not None]
        words = [word for name, value in named for word in (f"--{name}", _word(value))]
        return ["nas-bench", verb, *words, *["--no-baselines"] * self.no_baselines]


def _word(value: str | Path) -> str:
    """A value as it is typed, paths from the working directory where they lie in it."""
    if isinstance(value, Path) and value.is_relative_to(Path.cwd()):
        return str(value.relative_to(Path.cwd()))
    return str(value)


def _changes(selection: Selection) -> Iterator[dict[str, Any]]:
    """What changes the protocol, the strongest last."""
    from nas_bench.trials.inputs import setting

    yield from map(setting, selection.changes)
    lists = {"methods": selection.methods, "tasks": selection.tasks}
    yield {name: specs(text) for name, text in lists.items() if text is not None}
    texts = {"seeds": selection.seeds, "budget": selection.budget}
    yield {name: text for name, text in texts.items() if text is not None}


def listed(named: Named | Iterable[Named] | None, kind: Literal["method", "task"]) -> str | None:
    """Specs with commas between them; classes become known in this process.

    Raises:
        InputError: if there is none, or something is neither a spec nor a plugin of this kind.
    """
    if named is None or isinstance(named, str):
        return named
    from nas_bench.api.objects import spec_of

    several = isinstance(named, list | tuple | set | frozenset | Iterator)
    given = list(named) if several else [named]  # pyright: ignore[reportArgumentType]
    if not given:
        raise InputError(f"no {kind} is given: leave {kind}s out for those of the protocol")
    return ",".join(spec_of(each, kind) for each in given)


def seeds_text(seeds: str | Iterable[int] | None) -> str | None:
    """Seeds as the command line has them.

    Raises:
        InputError: if they are no whole numbers, or one number alone, which may be a count.
    """
    if seeds is None or isinstance(seeds, str):
        return seeds
    from nas_bench.trials.inputs import SEEDS

    found = list(islice(seeds, SEEDS + 1)) if isinstance(seeds, Iterable) else []
    if len(found) > SEEDS:
        raise InputError(f"seeds {shown(seeds)} are more than {SEEDS}: ask for fewer")
    if not found or not all(isinstance(seed, Integral) and seed >= 0 for seed in found):
        raise InputError(
            f"seeds is {shown(seeds)}: give range(n) for n seeds, a list of them, or '0-9'"
        )
    return ranges(set(map(int, found)))


def settings_texts(changes: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Changes to a protocol, such as `{"schedule": {"growths": 4}}`, as `--set` takes them.

    Raises:
        InputError: if they are no mapping, or a value has no JSON form.
    """
    if not isinstance(changes or {}, Mapping):
        example = {"schedule": {"growths": 4}}
        raise InputError(f"changes is {shown(changes)}: give settings by name, as {example}")
    try:
        return tuple(f"{name}={json.dumps(value)}" for name, value in (changes or {}).items())
    except TypeError as error:
        raise InputError(f"changes {shown(changes)} have no JSON form: {error}") from None


def paths(given: str | Path | Iterable[str | Path] | None) -> tuple[Path, ...]:
    """One path, several or none.

    Raises:
        InputError: if something is no path.
    """
    several = () if given is None else given
    if isinstance(several, str | Path) or not isinstance(several, Iterable):
        several = [several]
    several = list(several)
    if "" in several:
        raise InputError("'' is no path: give one, or leave it out")
    try:
        return tuple(map(Path, several))
    except TypeError:
        raise InputError(f"{shown(given)} is no path: give text or a pathlib.Path") from None
