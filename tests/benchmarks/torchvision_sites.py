"""Which layers of torchvision's networks can grow, as the table of docs/sites.md.

    python tests/benchmarks/torchvision_sites.py [--input 224]

Weights are random: only shapes matter. Bare parameters, such as the projections of attention, are
no layers.
"""

import argparse
from collections import Counter

import torch
from torchvision import models

from nas_bench.growth import Survey, survey

NETWORKS = (
    "alexnet", "vgg11", "vgg11_bn", "vgg16_bn", "resnet18", "resnet50", "wide_resnet50_2",
    "resnext50_32x4d", "densenet121", "squeezenet1_0", "mobilenet_v2", "mobilenet_v3_small",
    "efficientnet_b0", "regnet_y_400mf", "convnext_tiny", "vit_b_16", "swin_t",
)  # fmt: skip
REASONS = {
    "(residual)": "residual sum",
    "places": "read twice",
    "another tensor": "meets another tensor",
    "depthwise": "depthwise",
    "groups": "groups",
    "model's output": "output",
    "at 0, not 0": "gate not 0 at 0",
    "does not call": "not called",
    "couples": "norm couples",
    "not known": "unknown operation",
}
"""Part of a reason, and its name in the table."""


def surveyed(name: str, size: int) -> Survey:
    """The survey of a network with random weights."""
    with torch.random.fork_rng(devices=[]):
        model = getattr(models, name)(weights=None)
    return survey(model, torch.zeros(2, 3, size, size))


def counted(found: Survey) -> str:
    """How many layers are refused for which reason."""
    names = [
        next((name for part, name in REASONS.items() if part in r.reason), r.reason)
        for r in found.refusals
    ]
    return ", ".join(f"{count} {name}" for name, count in Counter(names).most_common())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=int, default=224, help="height and width of images")
    size = parser.parse_args().input
    print("| network | layers | grow | refused |\n|---|---|---|---|")
    for name in NETWORKS:
        found = surveyed(name, size)
        total = len(found.sites) + len(found.refusals)
        print(f"| `{name}` | {total} | {len(found.sites)} | {counted(found)} |", flush=True)


if __name__ == "__main__":
    main()
