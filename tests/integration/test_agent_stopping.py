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


# Nothing but the interpreter's end is left when it prints.
ENDS_SLOWLY = """
import sys, time
from pfpnas_agent import stopping

stopping.ORDERLY_SECONDS = 0.5

class Slow:
    def __del__(self):
        sys.stdout.write("ending\\n")
        sys.stdout.flush()
        time.sleep(2)

stopping.stop_when_told()
sys.modules["__main__"].slow = Slow()
print("asked", flush=True)
time.sleep(60)
"""


def test_the_end_in_order_keeps_its_status_though_it_takes_long() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDS_SLOWLY], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "asked\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(WAIT_SECONDS) == 130
            assert process.stdout.read() == "ending\n"
        finally:
            process.kill()
