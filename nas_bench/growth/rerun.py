"""Running a network again without what comes before a layer and cannot have changed."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

Calls = list[tuple[nn.Module, Any]]
"""Modules with what they returned, in the order of the calls."""


class Rerun:
    """Repeated passes of a network in eval mode that differ only from one layer on.

        rerun = Rerun(model, "layer3.0.conv2")
        for change in changes:
            with rerun:
                model(inputs)

    The first pass is recorded. In later ones every module that had returned before the layer was
    called returns the same values at once; of nested modules the outermost one does.
    """

    def __init__(self, model: nn.Module, layer: str) -> None:
        self.model, self.layer = model, model.get_submodule(layer)
        self.recorded: Calls | None = None
        self.open: list[Calls] = []
        self.stack = ExitStack()

    def __enter__(self) -> None:
        if self.recorded is None:
            self._record()
        else:
            self._replay(self.recorded)

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def _record(self) -> None:
        """Watch all modules until the layer is called."""
        self.open = [[]]

        def entered(module: nn.Module, _: Any) -> None:
            if module is self.layer and self.recorded is None:
                self.recorded = [call for calls in self.open for call in calls]
            self.open.append([])

        def left(module: nn.Module, _: Any, output: Any) -> None:
            self.open.pop()
            if self.recorded is None:
                self.open[-1].append((module, tree_map(_copied, output)))

        for module in self.model.modules():
            for handle in (
                module.register_forward_pre_hook(entered),
                module.register_forward_hook(left),
            ):
                self.stack.callback(handle.remove)

    def _replay(self, calls: Calls) -> None:
        outputs: dict[nn.Module, list[Any]] = defaultdict(list)
        for module, output in calls:
            outputs[module].append(output)
        for module, returned in outputs.items():
            own = module.__dict__.get("forward")
            module.forward = _replaying(returned, module.forward)
            self.stack.callback(_restore, module, own)


def _replaying(outputs: list[Any], forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward that returns what was recorded, call by call, then computes again."""
    left = iter(outputs)
    nothing = object()

    def replay(*arguments: Any, **options: Any) -> Any:
        output = next(left, nothing)
        return forward(*arguments, **options) if output is nothing else tree_map(_copied, output)

    return replay


def _restore(module: nn.Module, own: Callable[..., Any] | None) -> None:
    if own is None:
        del module.forward
    else:
        module.forward = own


def _copied(value: Any) -> Any:
    """Later operations may work in place."""
    return value.clone() if isinstance(value, Tensor) else value
