"""Gives commands in drawn environments and counts how they end.

    python tests/benchmarks/environments.py --commands 200 --seed 1

A measurement, not a test; `tests/test_environments.py` is its short form. Locale, encoding, folder
for temporary files, home, umask, backend of figures, import path and streams are drawn each time.
The exit code is 1 if a command ends with a traceback, a fatal error or an undocumented code, or
not at all.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RUN = (
    "run --methods fixed --tasks sine --seeds 0 --no-baselines --set schedule.growths=1 "
    "--budget 4epochs"
)
VERBS = (
    "--version", "ls", "ls protocols --json", "ls tasks --plugin {plugin} --json", "show smoke",
    "show digits", "status", "status --json", "report --figures png", "report --json", "verify",
    "plan --methods tiny --tasks sine --seeds 0", "export", "pack", "unpack", "compare a b",
    "new method mine", "doctor --json", f"{RUN} --executor inline", "merge {results}", "rnu",
    f"{RUN} --executor inline --json --rerun all", f"{RUN} -q --seeds 1",
)  # fmt: skip
CODES = {0, 2, 3, 4, 5}  # none of these trials fails
PATIENCE, HANGS = 300.0, 124  # seconds, and what takes longer ends with
STREAMS = (
    "", "", "", ">&-", "2>&-", "<&-", ">&- 2>&- <&-", ">/dev/full", "2>/dev/full",
    ">/dev/full 2>&1", "| head -n 0", "2>&1 >/dev/null | head -n 0",
)  # fmt: skip
LACKS = ("Traceback", "FATAL", "Fatal", "Exception ignored", "Segmentation")
PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar
from nas_bench.tasks.sine import Sine

print("imported")

@dataclass(frozen=True)
class Printing(Sine):
    name: ClassVar[str] = "printing"
    summary: ClassVar[str] = "prints"
"""


@dataclass(frozen=True)
class Surroundings:
    """What a command is given beside its arguments.

    Attributes:
        variables: of the environment; None takes one away.
        umask: of the files it makes.
        redirection: of its streams, as a shell writes it.
    """

    variables: Mapping[str, str | None]
    umask: int
    redirection: str


def drawn(chance: random.Random, folder: Path) -> Surroundings:
    """Surroundings of which each part is drawn by itself."""
    long = folder / ("long" * 20)
    long.mkdir(exist_ok=True)
    (folder / "file").touch()
    (folder / "here").mkdir(exist_ok=True)
    places = (str(long), str(folder / "nowhere"), str(folder / "file"), "", "relative", None)
    choices: dict[str, tuple[str | None, ...]] = {
        "LC_ALL": ("C", "POSIX", "C.UTF-8", "de_DE.ISO-8859-1", "xx_XX.nonsense", "", None),
        "PYTHONIOENCODING": ("ascii", "latin-1", "cp1252:strict", "utf-16", None, None, None),
        "PYTHONUTF8": ("0", "1", None),
        "PYTHONCOERCECLOCALE": ("0", None),
        "PYTHONUNBUFFERED": ("1", None),
        "TMPDIR": places,
        "HOME": ("/dev/null", str(folder / "nowhere"), "", "/root", None),
        "MPLBACKEND": ("module://matplotlib_inline.backend_inline", "nonsense", "tkagg", "", None),
        "PYTHONPATH": (str(folder / "nowhere"), str(folder / "here"), None),
        "COLUMNS": ("0", "1", "-5", "10000", "x", None),
        "TERM": ("dumb", "", "xterm", None),
        "NO_COLOR": ("1", None),
        "CUDA_VISIBLE_DEVICES": ("", "7", None),
    }
    variables = {name: chance.choice(values) for name, values in choices.items()}
    return Surroundings(variables, chance.choice((0o022, 0o077, 0)), chance.choice(STREAMS))


def given(verb: str, where: Surroundings, folder: Path) -> tuple[int, str]:
    """Give a command; its exit code, HANGS if it had to be ended, and all that it said."""
    arguments = verb.format(plugin=folder / "plugin.py", results=folder / "other")
    command = f"set -o pipefail; umask {where.umask:o}; "
    command += f"{sys.executable} -m nas_bench {arguments} {where.redirection}"
    variables = os.environ | {"NAS_BENCH_RESULTS": str(folder / "results")}
    for name, value in where.variables.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    with subprocess.Popen(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=variables, cwd=folder, start_new_session=True,
    ) as running:  # fmt: skip
        try:
            said, _ = running.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGTERM)
            said, _ = running.communicate()
            return HANGS, said.decode("utf-8", "replace")
    return running.returncode, said.decode("utf-8", "replace")


def wrong(code: int, said: str) -> bool:
    """Whether a command may not end like this."""
    return code not in CODES or any(word in said for word in LACKS)


def main() -> None:
    """Print what went wrong, and how often each code came."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, codes, faults = random.Random(options.seed), Counter[int](), 0
    with tempfile.TemporaryDirectory(prefix="environments-") as name:
        folder = Path(name)
        (folder / "plugin.py").write_text(PLUGIN)
        for number in range(options.commands):
            verb, where = VERBS[number % len(VERBS)], drawn(chance, folder)
            code, said = given(verb, where, folder)
            codes[code] += 1
            if wrong(code, said):
                faults += 1
                print(f"{verb}\n{where}\n{code}: {said[-1500:]}\n", flush=True)
    print(f"{codes.total()} commands, codes {dict(sorted(codes.items()))}, {faults} wrong")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
