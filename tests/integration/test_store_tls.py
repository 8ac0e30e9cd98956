"""An artifact store behind TLS: known by the authority that SSL_CERT_FILE names, and by nothing else."""

import hashlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pfpnas_api.artifacts import ArtifactError, open_store
from support.certificates import Certificates, make_certificates

CONTENT = b"a candidate"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Gives the files below its folder."""

    def log_message(self, *_: object) -> None:
        """Nothing: a refused handshake is what the tests are about."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def port(tmp_path: Path, certificates: Certificates) -> Iterator[int]:
    """Of a TLS server for the name localhost, with the artifact."""
    (tmp_path / "sha256").mkdir()
    (tmp_path / "sha256" / DIGEST).write_bytes(CONTENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    server.daemon_threads = True
    # The handshake in the thread of its connection: one that fails must not end the server's loop.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_store_of_a_known_authority_is_read(
    port: int, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    assert open_store(f"https://localhost:{port}").get(DIGEST) == CONTENT


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_store_that_nobody_vouches_for_is_refused_at_once_with_the_remedy(
    port: int, host: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host != "localhost":  # its authority is known, but the certificate is for another name
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    store = open_store(f"https://{host}:{port}", patience_seconds=3600)
    with pytest.raises(ArtifactError, match=rf"https://{host}:{port} is not known to be who it says .*SSL_CERT_FILE"):
        store.get(DIGEST)
