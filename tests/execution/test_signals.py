import os
import signal

import pytest

from nas_bench.execution.signals import Terminated, terminable


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


def test_what_nohup_has_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)
