"""A call of one of torch's operators: its arguments by name, and what came out."""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor
from torch._ops import OpOverload

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """Of an operator.

    Attributes:
        arguments: all of them, with defaults, by the names of the operator's schema.
        result: a tensor, or a tuple of them.
    """

    arguments: dict[str, Any]
    result: Any

    @classmethod
    def of(cls, operator: OpOverload, args: tuple[Any, ...], named: Any, result: Any) -> Self:
        """The call with these arguments."""
        schema = operator._schema.arguments
        defaults = {a.name: a.default_value for a in schema if a.has_default_value()}
        given = {a.name: value for a, value in zip(schema, args, strict=False)}
        return cls(defaults | given | (named or {}), result)

    @property
    def tensors(self) -> list[Tensor]:
        """Those among the arguments, in the order of the schema."""
        return [value for value in self.arguments.values() if isinstance(value, Tensor)]

    @property
    def shapes(self) -> list[Shape]:
        """Of `tensors`."""
        return [tuple(tensor.shape) for tensor in self.tensors]

    @property
    def output(self) -> Tensor:
        """The result, or the first of its tensors."""
        return self.result if isinstance(self.result, Tensor) else self.result[0]

    @property
    def complex(self) -> bool:
        """Whether it computes with complex numbers."""
        return any(tensor.is_complex() for tensor in self.tensors)
