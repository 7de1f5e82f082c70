"""Tables and figures made from a results folder."""

from nas_bench.report.writing import NothingToReportError, Report, UnwrittenError, write

__all__ = ["NothingToReportError", "Report", "UnwrittenError", "write"]
