"""Classes of `__main__` for other processes: by value, as dataclasses that stay such."""

import dataclasses
from collections import ChainMap
from io import BytesIO
from typing import Any, ClassVar


def pickled(value: Any) -> bytes:
    """What `pickle.loads` turns back into the value where Ray is installed."""
    from ray import cloudpickle

    base: Any = cloudpickle.Pickler  # pyright: ignore

    class Pickler(base):
        """Leaves dataclasses their MISSING, which they ask for by identity."""

        dispatch_table: ClassVar[Any] = ChainMap(
            {type(dataclasses.MISSING): lambda _: "MISSING"}, base.dispatch_table
        )

    written = BytesIO()
    Pickler(written).dump(value)
    return written.getvalue()
