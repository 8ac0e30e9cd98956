"""An agent that is told to stop while C code, which drops exceptions, runs in its main thread."""

import signal
import subprocess
import sys

import pytest

# The attribute is looked up by C (`PyObject_HasAttrString` drops every exception, SystemExit among them).
ASKS_FOR_ATTRIBUTES = """
import ctypes, time
from pfpnas_agent.stopping import stop_when_told

class Slow:
    def __getattr__(self, name):
        print("asked", flush=True)
        time.sleep(1)
        raise AttributeError(name)

stop_when_told()
slow = Slow()
while True:
    ctypes.pythonapi.PyObject_HasAttrString(ctypes.py_object(slow), b"shape")
"""

WAIT_SECONDS = 60.0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_though_the_exception_got_lost(number: signal.Signals, status: int) -> None:
    command = [sys.executable, "-c", ASKS_FOR_ATTRIBUTES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "asked\n"
            process.send_signal(number)
            assert process.wait(WAIT_SECONDS) == status
            # It asked on: the exception that it was sent had no effect.
            assert "asked" in process.stdout.read()
        finally:
            process.kill()
