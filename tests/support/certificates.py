"""Certificates for TLS on loopback, made by openssl: an authority, and a server's certificate signed by it."""

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Files in PEM form."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def authority_pem(self) -> str:
        return self.authority.read_text()


def make_certificates(folder: Path, *, name: str = "localhost", also: str = "") -> Certificates:
    """An authority of its own, and a server's certificate for that host name only; `also`: such as `,IP:10.0.0.1`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")
    authority_key, request = folder / "ca.key", folder / "request"
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _openssl(*new, "-x509", "-days", "2", "-subj", "/CN=tests", "-keyout", authority_key, "-out", made.authority)
    _openssl(*new, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName=DNS:{name}{also}")
    signing = ["-CA", made.authority, "-CAkey", authority_key, "-CAcreateserial", "-days", "2"]
    _openssl("x509", "-req", "-in", request, *signing, "-extfile", extensions, "-out", made.certificate)
    return made


@cache
def a_certificate() -> str:
    """Any certificate, in PEM form."""
    with tempfile.TemporaryDirectory() as folder:
        return make_certificates(Path(folder)).authority_pem


def _openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
