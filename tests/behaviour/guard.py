"""Whether numbers stand still where the behaviour versions say that they do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from behaviour.fingerprints import Fingerprint, Numbers, as_stored, moved

import nas_bench.behaviour
from nas_bench import plugins
from nas_bench.behaviour import Change, Described, changes, reaches
from nas_bench.growth import find_sites
from nas_bench.results.staleness import settings_of, shipped_versions
from nas_bench.specs import parse
from nas_bench.training.flops import inference_flops, parameters, training_flops
from nas_bench.training.randomness import isolated
from nas_bench.training.task import Recipe, Task

STORED = Path(nas_bench.behaviour.__file__).with_name("fingerprints.json")
CURE = (
    "the numbers moved, but no behaviour version did: raise that of the core "
    "(nas_bench/behaviour/core.yaml, with a scope if it can have one), or of the method or task, "
    "then run scripts/accept_fingerprints.py"
)


@cache
def stored() -> dict[str, Any]:
    """The accepted numbers, and the versions that they belong to."""
    return json.loads(STORED.read_text("utf-8"))


def described(fingerprint: Fingerprint) -> Described:
    """What the scope of a change asks of a micro-trial."""
    config = fingerprint.config
    task, method = plugins.task(config.task), plugins.method(config.method)
    sites = find_sites(task.network(task.seed_widths), task.load(Path())[0].inputs[:2])
    recipe = {**asdict(task.recipe), **config.recipe}
    return Described(
        method=method.name,
        options=asdict(method),
        sites={kind for site in sites if task.grows(site.name) for kind in site.kinds},
        settings=settings_of(config, recipe),
    )


def may_move(
    fingerprint: Fingerprint, stored: Mapping[str, Any], known: Sequence[Change] | None = None
) -> bool:
    """Whether a change since the numbers were accepted says that it reaches a micro-trial."""
    config, known = fingerprint.config, known or changes()
    for kind, spec in (("method", config.method), ("trigger", config.schedule.when)):
        then = stored.get(f"{kind}s", {}).get(name := spec.partition("[")[0])
        if then is not None and then != shipped_versions(kind)[name]:
            return True
    same = stored["core"] == known[-1].version
    return not same and reaches(described(fingerprint), stored["core"], known)


def unexpected(
    fingerprint: Fingerprint,
    numbers: Numbers,
    stored: Mapping[str, Any],
    known: Sequence[Change] | None = None,
) -> list[str]:
    """The numbers that moved without a version that says so, one line each."""
    then = stored["fingerprints"].get(fingerprint.name)
    if then is None or may_move(fingerprint, stored, known):
        return []
    return moved(then, as_stored(numbers), exact=fingerprint.exact)


def versions() -> dict[str, Any]:
    """Today's behaviour versions, as they are stored beside the numbers."""
    return {
        "core": changes()[-1].version,
        "methods": shipped_versions("method"),
        "tasks": shipped_versions("task"),
        "triggers": shipped_versions("trigger"),
    }


def task_numbers(spec: str) -> Numbers:
    """What the results of a task depend on, but for its data: recipe, networks, their cost."""
    task, example = plugins.task(spec), torch.zeros(2, *EXAMPLES[spec])
    return {
        "recipe": {k: v for k, v in asdict(task.recipe).items() if v != asdict(Recipe())[k]},
        "loss": repr(task.loss),
        "networks": {
            name: _network(task, widths, example)
            for name, widths in (("seed", task.seed_widths), ("target", task.target_widths))
        },
    }


def unexpected_of_task(spec: str, numbers: Numbers, stored: Mapping[str, Any]) -> list[str]:
    """What moved of a task whose version did not, one line each."""
    then, name = stored["networks"].get(spec), parse(spec).name
    if then is None or stored["tasks"].get(name) != shipped_versions("task")[name]:
        return []
    lines = moved(then, as_stored(numbers), exact=True, relative=1e-5)  # float32 draws
    return [f"task {spec}: {line}" for line in lines]


EXAMPLES = {
    "breast_cancer": (30,), "char_lm": (32,), "cifar10": (3, 32, 32), "cifar100": (3, 32, 32),
    "cifar100[architecture=convnet]": (3, 32, 32), "cifar100[architecture=resnet18]": (3, 32, 32),
    "cifar100[architecture=vit]": (3, 32, 32), "diabetes": (10,), "digits": (64,),
    "effective_dimension": (64,), "fashion_mnist": (784,),
    "fashion_mnist[architecture=convnet]": (1, 28, 28), "iris": (4,), "mnist": (784,),
    "mnist[architecture=convnet]": (1, 28, 28), "sine": (1,), "spirals": (2,),
    "student_teacher": (10,), "wine": (13,),
}  # fmt: skip
"""Built-in tasks, with each of their networks, whose size does not depend on data: the shape of a
sample."""


def _network(task: Task, widths: tuple[int, ...], example: torch.Tensor) -> Numbers:
    with isolated(0):
        network = task.network(widths)
    return {
        "widths": list(widths),
        "parameters": parameters(network),
        "flops": inference_flops(network, example),
        "training_flops": training_flops(network, example),
        "norm": float(torch.cat([p.detach().flatten() for p in network.parameters()]).norm()),
    }
