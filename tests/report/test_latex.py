import shutil
import subprocess
from pathlib import Path

import pytest

from nas_bench.report.footnotes import Remark
from nas_bench.report.latex import document, environment, escaped
from nas_bench.report.table import NOTE, Column, Table

HOSTILE = "\\end{table} %$#_&^~<>|\"'`*[x] {y} \\input{/etc/passwd} δW* … 文字\nx" + "y" * 200
COMPILES = pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")


def tables() -> list[Table]:
    columns = (
        Column("rank", ("1", "1", "3")),
        Column("method", ("tiny", HOSTILE, "fixed"), left=True),
        Column("test accuracy (%)", ("97.31 ± 0.12", "97.20 ± 1.00 †", "−1.00 ± 0.10")),
        Column("grown − scratch, equal steps", ("+0.31 ± 0.12 *", "", "")),
    )
    remarks = Remark("Without a result:", (HOSTILE,)), Remark("< 1 %")
    return [Table(HOSTILE, columns, (True, True, False), (False,) * 3, remarks)] * 2


def compiled(folder: Path, text: str) -> str:
    """What pdflatex says; it must not stop."""
    (folder / "main.tex").write_text(text)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "main.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@COMPILES
def test_the_file_compiles_by_itself(tmp_path: Path) -> None:
    assert "Output written" in compiled(tmp_path, document(tables(), [NOTE, HOSTILE]))


@COMPILES
def test_the_file_can_be_read_into_a_paper(tmp_path: Path) -> None:
    (tmp_path / "leaderboard.tex").write_text(document(tables(), [NOTE]))
    paper = (
        "\\documentclass[twocolumn]{article}\\usepackage{booktabs}"
        "\\begin{document}before \\input{leaderboard} after\\end{document}"
    )
    assert "Output written" in compiled(tmp_path, paper)


def test_rows_that_lead_are_bold_in_name_and_score() -> None:
    rows = [line for line in environment(tables()[0]).splitlines() if line.endswith(r" \\")]
    assert rows[1].startswith(r"1 & \textbf{tiny} & \textbf{97.31 \(\pm\) 0.12} & +0.31")
    assert rows[3] == r"3 & fixed & \(-\)1.00 \(\pm\) 0.10 &  \\"


def test_marks_take_no_room() -> None:
    assert r"97.20 \(\pm\) 1.00\rlap{\,\(^{\dagger}\)}" in environment(tables()[0])


def test_every_special_character_is_escaped() -> None:
    assert escaped("a_b & 5 % of $x^2$ #1 {~}") == (
        r"a\_b \& 5 \% of \$x\textasciicircum{}2\$ \#1 \{\textasciitilde{}\}"
    )
    assert escaped("\\end{table}") == r"\textbackslash{}end\{table\}"
    assert escaped("文\n字") == "? ?"
