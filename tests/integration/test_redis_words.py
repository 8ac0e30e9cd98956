"""What the operator says of a Redis that is there, but not for it: real servers refuse, on the wire."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from redis.exceptions import AuthenticationError, BusyLoadingError, OutOfMemoryError, RedisError

from pfpnas_api.bus import connect
from pfpnas_operator.kube.redis_words import words_of
from support.certificates import make_certificates
from support.ports import free_port
from support.redis_server import redis_server


def said_of(url: str) -> str:
    with pytest.raises(RedisError) as caught:
        connect(url).ping()
    return words_of(caught.value)


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A server that wants a password, and has a user that may only say hello."""
    with redis_server() as server:
        admin = connect(server.url)
        admin.execute_command("ACL", "SETUSER", "guest", "on", ">guest", "+ping")
        admin.config_set("requirepass", "right")
        yield server.url
        admin.close()


@pytest.mark.parametrize("user", ["", ":wrong@", "operator:wrong@"])
def test_a_refused_password_is_no_outage(guarded: str, user: str) -> None:
    said = said_of(guarded.replace("//", f"//{user}", 1))
    assert said.startswith("Redis does not let the operator in (")
    assert "redis.passwordFile" in said
    assert "wrong" not in said.replace("wrong number", "")


def test_a_right_that_is_lacking_is_named(guarded: str) -> None:
    client = connect(guarded.replace("//", "//guest:guest@", 1))
    with pytest.raises(RedisError) as caught:
        client.xlen("stream")
    said = words_of(caught.value)
    assert said.startswith("the operator's user of Redis lacks a right (")
    assert "xlen" in said


@contextmanager
def tls_server(folder: Path, *, name: str) -> Iterator[int]:
    """Shakes hands with one caller after the other."""
    made, port = make_certificates(folder, name=name), free_port()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with socket.create_server(("127.0.0.1", port)) as listening:
        thread = Thread(target=_shake_hands, args=(listening, context), daemon=True)
        thread.start()
        yield port
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            caller, _ = listening.accept()
        except OSError:
            return
        with caller:
            try:
                context.wrap_socket(caller, server_side=True).close()
            except OSError:
                continue


def test_a_certificate_that_is_not_trusted_is_no_outage(tmp_path: Path) -> None:
    with tls_server(tmp_path, name="localhost") as port:
        said = said_of(f"rediss://localhost:{port}/0")
    assert said.startswith("the operator does not trust Redis' certificate (")
    assert "redis.caFile" in said


def test_a_certificate_of_another_host_is_named(tmp_path: Path) -> None:
    with tls_server(tmp_path, name="elsewhere") as port:
        said = said_of(f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path / 'ca.crt'}")
    assert "'localhost'" in said


def test_what_passes_is_an_outage_and_what_else_is_refused_says_how() -> None:
    assert said_of(f"redis://127.0.0.1:{free_port()}/0").startswith("Redis is away: ")
    assert words_of(BusyLoadingError("loading")).startswith("Redis is away: ")
    assert words_of(OutOfMemoryError("OOM")) == "Redis refuses what the search needs: OOM"
    assert "is away" not in words_of(AuthenticationError("WRONGPASS"))
