"""Tables and figures made from a results folder; called, it is `nas_bench.report` of the API."""

import sys
from types import ModuleType
from typing import Any

from nas_bench.report.writing import NothingToReportError, Report, UnwrittenError, write

__all__ = ["NothingToReportError", "Report", "UnwrittenError", "write"]


class _Callable(ModuleType):
    """Python sets `nas_bench.report` to this module when anything imports it."""

    def __call__(
        self, ledgers: Any = (), *, figures: Any = None, into: Any = None, plugins: Any = ()
    ) -> Any:
        """See `nas_bench.api.verbs.report`."""
        from nas_bench.api.verbs import report

        return report(ledgers, figures=figures, into=into, plugins=plugins)


sys.modules[__name__].__class__ = _Callable
