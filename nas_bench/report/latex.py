r"""Tables as LaTeX: to be compiled by itself, or read into a paper by `\input`."""

from collections.abc import Sequence

from nas_bench import text
from nas_bench.report.footnotes import Remark
from nas_bench.report.table import Table

_OPENING = r"""% Compile by itself with pdflatex, or \input it into a document that loads booktabs.
\makeatletter
\ifx\@nodocument\relax\else
\documentclass{article}
\usepackage[landscape,margin=15mm]{geometry}
\usepackage{booktabs}
\begin{document}
\def\endofleaderboard{\end{document}}
\fi
\makeatother
"""
_CLOSING = "\\csname endofleaderboard\\endcsname\n"
_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "'": "{'}", "`": r"\textasciigrave{}", "-": "{-}", "*": r"\(^{*}\)",
    "−": r"\(-\)", "–": r"\textendash{}", "±": r"\(\pm\)", "×": r"\(\times\)", "·": r"\(\cdot\)",
    "†": r"\(^{\dagger}\)", "‡": r"\(^{\ddagger}\)", "δ": r"\(\delta\)", "λ": r"\(\lambda\)",
    "…": r"\dots{}", "[": "{[}", "]": "{]}",
}  # fmt: skip
_MARKS = (" *", " †", " ‡")


def document(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """All tables, and notes on all of them."""
    parts = [_OPENING, *map(environment, tables)]
    parts += [f"\\par\\footnotesize\\noindent {escaped(note)}\\par\n" for note in notes]
    return "\n".join([*parts, _CLOSING])


def environment(table: Table) -> str:
    """A table with rules, its title as caption, those that lead in bold, remarks below."""
    letters = "".join("l" if column.left else "r" for column in table.columns)
    header = " & ".join(_header(column.title) for column in table.columns)
    rows = [
        " & ".join(_cells(table, row, best))
        for row, best in zip(table.rows, table.best, strict=True)
    ]
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escaped(table.title)}}}",
        rf"\begin{{tabular}}{{@{{}}{letters}@{{}}}}",
        r"\toprule",
        rf"{header} \\",
        r"\midrule",
        *(rf"{row} \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *map(_remark, table.remarks),
        r"\end{table}",
    ]
    return "\n".join([*lines, ""])


def escaped(value: str) -> str:
    """LaTeX that prints this text, whatever is in it; `?` for what its fonts lack."""
    return "".join(_character(c) for c in text.one_line(value))


def _character(c: str) -> str:
    return _ESCAPES.get(c) or (c if c.isascii() else "?")


def _cells(table: Table, row: Sequence[str], best: bool) -> list[str]:
    """The cells, name and score of a leading row in bold."""
    name = next(index for index, column in enumerate(table.columns) if column.left)
    cells = [_cell(text.shortened(cell, 60)) for cell in row]
    return [
        rf"\textbf{{{cell}}}" if best and index in (name, name + 1) else cell
        for index, cell in enumerate(cells)
    ]


def _cell(value: str) -> str:
    """The cell; a mark after its number takes no room, so that numbers stay below each other."""
    number, mark = (value[:-2], value[-1]) if value[-2:] in _MARKS else (value, "")
    return escaped(number) + (rf"\rlap{{\,{escaped(mark)}}}" if mark else "")


def _header(title: str) -> str:
    """A title on two lines where it has two parts."""
    first, _, second = title.replace(" (", "\n(").replace(", ", "\n").partition("\n")
    if not second:
        return escaped(first)
    return rf"\shortstack[r]{{{escaped(first)}\\{escaped(second)}}}"


def _remark(remark: Remark) -> str:
    lines = [escaped(remark.sentence), *(rf"\quad {escaped(item)}" for item in remark.items)]
    shown = "\\\\\n".join(lines)
    return rf"\par\smallskip\parbox{{\linewidth}}{{\raggedright\scriptsize {shown}}}"
