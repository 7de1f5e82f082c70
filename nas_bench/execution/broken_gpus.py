"""Nodes of a cluster whose GPUs their torch cannot use: no trial shall get there."""

from dataclasses import dataclass
from typing import Any

_PATIENCE = 60.0
"""Seconds for nodes to answer, imports included; who does not is left to the trials."""


@dataclass(frozen=True)
class Broken:
    """A node whose GPUs are occupied as long as this lives.

    Attributes:
        host: its name.
        gpus: that it says it has.
        holder: what occupies them.
    """

    host: str
    gpus: float
    holder: Any


def broken_nodes() -> tuple[Broken, ...]:
    """Ask every node that says it has GPUs, and occupy those of nodes whose torch finds none."""
    import ray

    @ray.remote(num_cpus=0, max_retries=0)
    def finds_gpu() -> bool:
        import torch

        return torch.cuda.is_available()

    @ray.remote(num_cpus=0)
    class Holder:
        pass

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    looks = [finds_gpu.options(scheduling_strategy=_only(node)).remote() for node in nodes]
    answered, _ = ray.wait(looks, num_returns=len(looks), timeout=_PATIENCE) if looks else ([], [])
    return tuple(
        Broken(node["NodeManagerHostname"], gpus, _occupied(Holder, node, gpus))
        for node, look in zip(nodes, looks, strict=True)
        if look in answered and not _answer(look)
        for gpus in [node["Resources"]["GPU"]]
    )


def _only(node: dict[str, Any]) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)


def _answer(look: Any) -> bool:
    """What a node found; a node that cannot even look is left to the trials, which say why."""
    import ray

    try:
        return ray.get(look)
    except Exception:
        return True


def _occupied(holder: Any, node: dict[str, Any], gpus: float) -> Any:
    """An actor that has all GPUs of a node, once it is there."""
    import ray

    actor = holder.options(num_gpus=gpus, scheduling_strategy=_only(node)).remote()
    ray.wait([actor.__ray_ready__.remote()], timeout=_PATIENCE)
    return actor
