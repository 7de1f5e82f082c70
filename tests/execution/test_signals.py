import os
import signal
import subprocess
import sys

import pytest

from nas_bench.execution.signals import Terminated, terminable

SPEAK = """
import os, sys
from nas_bench.execution.signals import clean_stdout

print("before")
with clean_stdout(quiet="-q" in sys.argv) as say:
    print("python")
    print("error", file=sys.stderr)
    os.system("echo child")
    say("a warning")
print("after")
"""


@pytest.mark.parametrize(
    ("flags", "errors"),
    [([], {"python", "error", "child", "a warning"}), (["-q"], {"a warning"})],
)
def test_inside_nothing_reaches_stdout(flags, errors):
    command = [sys.executable, "-c", SPEAK, *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "before\nafter\n"
    assert set(done.stderr.splitlines()) == errors


def terminate_twice():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_is_raised_once_and_only_inside():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminable():
        terminate_twice()
    assert signal.getsignal(signal.SIGTERM) is before
