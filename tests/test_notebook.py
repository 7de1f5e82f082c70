"""The notebook runs from top to bottom, and shows what it says."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "own-method.ipynb"


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, resources=folder).execute()
    shown = [
        "".join(str(output.get("data", output)) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    _, plan, board, table, compared, figure = shown
    assert "trials" in plan
    assert "text/html" in board
    assert all("fitted" in text for text in (board, table, compared))
    assert "image/png" in figure
    assert (tmp_path / "notebook-results" / "report" / "report.html").is_file()


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
