"""An S3 server as a process of its own: moto's, in memory, on a free port."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_SECONDS = 60.0
BUCKET = "models"


@contextmanager
def s3_server(log: Path, *, host: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """The environment in which its clients find it, for the length of the block; it has the bucket `BUCKET`.

    Args:
        log: Where it writes to.
        host: The address of this machine that it listens on.
    """
    arguments = [sys.executable, "-m", "moto.server", "-H", host, "-p", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, stdout=output, stderr=output, env=os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        )
    try:
        address = _address(process, log)
        # A PUT of a bucket needs no signature here.
        urllib.request.urlopen(urllib.request.Request(f"{address}/{BUCKET}", method="PUT"), timeout=30).close()
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.kill()
        process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        found = re.search(r"Running on (http://[\d.]+:\d+)", log.read_text())
        if found:
            return found[1]
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
