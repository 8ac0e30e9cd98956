"""A TCP proxy that keeps every byte a client writes through it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Recorder:
    """Forwards to a port on this machine, both ways."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._written: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def written(self) -> bytes:
        """What clients wrote so far."""
        return b"".join(self._written)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._pump, args=(client, server, self._written), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, None), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, kept: list[bytes] | None) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                if kept is not None:
                    kept.append(block)
                sink.sendall(block)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def recorder(target: int) -> Iterator[Recorder]:
    made = Recorder(target)
    try:
        yield made
    finally:
        made.close()
