"""Running a network again without what comes before a layer and cannot have changed."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

Forward = Callable[..., Any]
Calls = list[tuple[nn.Module, Any]]
"""Modules with what their forward returned, in the order of the calls."""
COMPUTED = object()
"""In place of what was returned: the forward is run again."""


class Rerun:
    """Repeated passes of a network in eval mode that differ only from one layer on.

        rerun = Rerun(model, "layer3.0.conv2")
        for change in changes:
            with rerun:
                model(inputs)

    The first pass is recorded. In later ones every module that had returned before the layer was
    called returns the same values at once; of nested modules the outermost one does. Modules that
    wrote into what they read, or returned it, are run again.
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
        for module in self.model.modules():
            self._exchange(module, self._recording(module, module.forward))

    def _recording(self, module: nn.Module, forward: Forward) -> Forward:
        def record(*arguments: Any, **options: Any) -> Any:
            if module is self.layer and self.recorded is None:
                self.recorded = [call for calls in self.open for call in calls]
            self.open.append([])
            read = (arguments, options)
            before = _versions(read)
            try:
                output = forward(*arguments, **options)
            finally:
                inner = self.open.pop()
            kept = _versions(read) == before and not _memory(read) & _memory(output)
            if self.recorded is None and kept:
                self.open[-1].append((module, tree_map(_copied, output)))
            elif self.recorded is None:  # it wrote into what it read, or returned it
                self.open[-1] += [(module, COMPUTED), *inner]
            return output

        return record

    def _replay(self, calls: Calls) -> None:
        outputs: dict[nn.Module, list[Any]] = defaultdict(list)
        for module, output in calls:
            outputs[module].append(output)
        for module, returned in outputs.items():
            self._exchange(module, _replaying(returned, module.forward))

    def _exchange(self, module: nn.Module, forward: Forward) -> None:
        """Give a module another forward until the end of the pass."""
        own = module.__dict__.get("forward")
        module.forward = forward
        self.stack.callback(_restore, module, own)


def _replaying(outputs: list[Any], forward: Forward) -> Forward:
    """A forward that returns what was recorded, call by call, then computes again."""
    left = iter(outputs)

    def replay(*arguments: Any, **options: Any) -> Any:
        output = next(left, COMPUTED)
        return forward(*arguments, **options) if output is COMPUTED else tree_map(_copied, output)

    return replay


def _restore(module: nn.Module, own: Forward | None) -> None:
    if own is None:
        del module.forward
    else:
        module.forward = own


def _versions(values: Any) -> list[int]:
    """How often each tensor has been written into."""
    return [value._version for value in tree_leaves(values) if isinstance(value, Tensor)]


def _memory(values: Any) -> set[int]:
    """Where the tensors lie."""
    tensors = (value for value in tree_leaves(values) if isinstance(value, Tensor))
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}


def _copied(value: Any) -> Any:
    """Later operations may work in place; gradients end here, as nothing before can change."""
    return value.detach().clone() if isinstance(value, Tensor) else value
