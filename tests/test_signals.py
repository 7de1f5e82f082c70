import os
import signal
import sys
import time

import pytest

from nas_bench.cli import status
from nas_bench.signals import Terminated, terminable


def send_twice(number):
    try:
        os.kill(os.getpid(), number)
    finally:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_is_raised_once_and_only_inside(number):
    before = signal.getsignal(number)
    with pytest.raises(Terminated, match=number.name), terminable():
        send_twice(number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_what_compiled_code_makes_of_a_signal_is_still_the_signal(number, error):
    def transform():
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            raise TypeError("transform(): incompatible function arguments") from None

    with pytest.raises(error), terminable():
        transform()


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_where_nothing_can_be_raised_is_raised_soon_after(number, error, capsys):
    class Dying:
        def __del__(self):
            os.kill(os.getpid(), number)

    def go_on():
        Dying()
        for _ in range(300):
            time.sleep(0.1)

    before = sys.unraisablehook
    with pytest.raises(error), terminable():
        go_on()
    assert capsys.readouterr().err == ""
    assert sys.unraisablehook is before


def test_a_type_error_without_a_signal_is_one():
    with pytest.raises(TypeError), terminable():
        raise TypeError


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("SIGTERM", 75, "Ended by SIGTERM; the same command goes on from here.\n"),
        ("SIGHUP", 75, "Ended by SIGHUP; the same command goes on from here.\n"),
        ("SIGINT", 130, "Interrupted; the same command goes on from here.\n"),
    ],
)
def test_signals_end_every_verb_as_documented(name, code, said, tmp_path, capsys):
    plugin = tmp_path / "signalled.py"
    plugin.write_text(f"import os, signal\nos.kill(os.getpid(), signal.{name})")
    assert status(["report", str(tmp_path), "--plugin", str(plugin)]) == code
    assert capsys.readouterr().err.lstrip("\n") == said


def test_what_nohup_has_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)
