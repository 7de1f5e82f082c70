"""Streams that are closed, full, narrow or shared with plugins: documented exit codes alone."""

import io
import json
import os
import subprocess
import sys

import click
import pytest

from nas_bench import plugins, streams
from nas_bench.cli import status
from nas_bench.commands import parameters

SPEAK = """
import os, sys
from nas_bench.streams import clean_stdout

print("before")
with clean_stdout(quiet="-q" in sys.argv) as say:
    print("python")
    print("error", file=sys.stderr)
    os.system("echo child")
    say("a warning")
print("after")
"""
NOISY = """
import atexit, os
from dataclasses import dataclass
from typing import ClassVar
from nas_bench.tasks.sine import Sine

print("from Python")
os.system("echo from a child")
atexit.register(print, "at exit")

@dataclass(frozen=True)
class Noisy(Sine):
    name: ClassVar[str] = "noisy"
    summary: ClassVar[str] = "prints"
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_loaded", {})
    (tmp_path / "noisy.py").write_text(NOISY)


@pytest.mark.parametrize(
    ("flags", "errors"),
    [([], {"python", "error", "child", "a warning"}), (["-q"], {"a warning"})],
)
def test_inside_nothing_reaches_stdout(flags, errors):
    command = [sys.executable, "-c", SPEAK, *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "before\nafter\n"
    assert set(done.stderr.splitlines()) == errors


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        (">&-", 0),
        (">&- 2>&- <&-", 0),
        ("2>&-", 0),
        ("2>/dev/full", 0),
        ("| head -n 0", 0),
        ("2>&1 >/dev/null | head -n 0", 0),
        (">/dev/full", 4),
        ("--json >/dev/full", 4),
        (">/dev/full 2>&1", 4),
    ],
)
def test_streams_end_a_command_as_documented(redirection, code):
    command = f"set -o pipefail; {sys.executable} -m nas_bench ls protocols {redirection}"
    variables = os.environ | {"PYTHONUNBUFFERED": "1" if "--json" in redirection else ""}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=variables)
    assert done.returncode == code
    full = "Error: what was to be printed cannot be written: No space left on device\n"
    assert done.stderr == (full if code and "2>&1" not in redirection else "")


def test_a_gate_that_nobody_reads_still_fails(tmp_path):
    (tmp_path / "ledger" / "smoke" / "digits" / "tiny" / "0123abcd" / "s0").mkdir(parents=True)
    (tmp_path / "ledger/smoke/digits/tiny/0123abcd/s0/run.json").write_text("{")
    command = f"{sys.executable} -m nas_bench verify --results ledger | head -n 0"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True)
    assert (done.returncode, done.stderr) == (5, b"")


@pytest.mark.parametrize(
    "verb", ["ls tasks", "show noisy", "show tiny", "plan --methods fixed --tasks noisy"]
)
def test_with_json_a_plugin_that_prints_is_heard_on_stderr(verb, capfd):
    assert status([*verb.split(), "--json", "--plugin", "noisy.py"]) == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out)
    assert {"from Python", "from a child"} <= set(captured.err.splitlines())


@pytest.mark.slow
def test_what_a_plugin_prints_after_the_last_line_goes_to_stderr():
    command = [sys.executable, "-m", "nas_bench", "ls", "tasks", "--json", "--plugin", "noisy.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "noisy" in {row["name"] for row in json.loads(done.stdout)}
    assert done.stderr.splitlines() == ["from Python", "from a child", "at exit"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_replaced(encoding, monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding))
    streams.prepare()
    click.echo("1 → 32, é")
    accent = "?" if encoding == "ascii" else "é"
    assert shown.getvalue().decode(encoding) == f"1 ? 32, {accent}\n"


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_figures_are_drawn_to_files_whatever_the_environment_asks_for(backend, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", backend)
    assert status(["--version"]) == 0
    assert os.environ["MPLBACKEND"] == "agg"


def test_a_working_directory_that_is_gone_is_one_sentence(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert status(["ls", "protocols"]) == parameters.BROKEN
    assert capsys.readouterr().err.startswith("Error: the working directory is gone: change")
