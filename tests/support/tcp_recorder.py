"""A TCP proxy that keeps every byte its clients write."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Recorder:
    """Forwards to a port on this machine, both ways, one thread a connection."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._written: list[bytearray] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def written(self) -> bytes:
        """What clients wrote so far, one connection after the other."""
        return b"".join(bytes(connection) for connection in self._written)

    def close(self) -> None:
        """Take no more connections, and wait for the end of those there are."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                kept = bytearray()
                self._written.append(kept)
                self._threads.append(threading.Thread(target=self._forward, args=(client, kept)))
                self._threads[-1].start()

    def _forward(self, client: socket.socket, kept: bytearray) -> None:
        with (
            client,
            socket.create_connection(("127.0.0.1", self._target)) as server,
            selectors.DefaultSelector() as both,
            suppress(OSError),
        ):
            both.register(client, selectors.EVENT_READ, server)
            both.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in both.select():
                    block = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not block:
                        return
                    if key.fileobj is client:
                        kept.extend(block)
                    key.data.sendall(block)


@contextmanager
def recorder(target: int) -> Iterator[Recorder]:
    made = Recorder(target)
    try:
        yield made
    finally:
        made.close()
