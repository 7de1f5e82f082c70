"""Tables and figures made from a results folder."""

from nas_bench.report.writing import Report, UnwrittenError, write

__all__ = ["Report", "UnwrittenError", "write"]
