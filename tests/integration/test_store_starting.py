"""What stops the artifact store's server from starting."""

import socket
import subprocess
import sys
from pathlib import Path


def start_badly(tmp_path: Path, *options: str) -> tuple[int, str]:
    (tmp_path / "key").write_text("k" * 64)
    given = {
        "--root": str(tmp_path / "store"),
        "--key-file": str(tmp_path / "key"),
        "--host": "127.0.0.1",
        "--port": "0",
    }
    given |= dict(zip(options[::2], options[1::2], strict=True))
    arguments = [part for pair in given.items() for part in pair]
    command = [sys.executable, "-m", "pfpnas_operator.store", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stderr


def test_what_stops_it_from_starting_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short")
    (tmp_path / "file").write_text("")
    other = socket.create_server(("127.0.0.1", 0))
    cases = [
        (("--key-file", str(tmp_path / "short")), "is too short"),
        (("--key-file", str(tmp_path / "none")), "can't read the key file"),
        (("--root", str(tmp_path / "file" / "store")), "Not a directory"),
        (("--port", str(other.getsockname()[1])), "address already in use"),
    ]
    with other:
        for options, expected in cases:
            code, text = start_badly(tmp_path, *options)
            assert code == 2
            assert expected in text
            assert len(text.splitlines()) == 1, text
