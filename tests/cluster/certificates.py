"""Certificates of the cluster, made by the openssl program: one authority, one pair per component."""

from dataclasses import dataclass
from pathlib import Path

from cluster.settings import ADDRESS, NODE
from cluster.shell import run

DAYS = "30"
"""Each start of a cluster makes new ones."""


@dataclass(frozen=True)
class Identity:
    """Who a certificate speaks for: Kubernetes takes the common name for the user, the organisation for a group."""

    user: str
    group: str = ""
    names: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """As openssl writes it."""
        return (f"/O={self.group}" if self.group else "") + f"/CN={self.user}"


SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")

IDENTITIES = {
    "apiserver": Identity(
        "kube-apiserver",
        names=(
            *(f"DNS:{name}" for name in (*SERVICE_NAMES, "localhost")),
            "IP:127.0.0.1",
            "IP:10.96.0.1",
            f"IP:{ADDRESS}",
        ),
    ),
    "kubelet-server": Identity("kubelet", names=(f"DNS:{NODE}", f"IP:{ADDRESS}")),
    "apiserver-to-kubelet": Identity("kube-apiserver", "system:masters"),
    "admin": Identity("admin", "system:masters"),
    "kubelet": Identity(f"system:node:{NODE}", "system:nodes"),
    "controller-manager": Identity("system:kube-controller-manager"),
    "scheduler": Identity("system:kube-scheduler"),
    "proxy": Identity("system:kube-proxy"),
    "coredns": Identity("system:coredns"),
}


def make_certificates(folder: Path) -> None:
    """Write `ca.crt`, a pair `NAME.crt`, `NAME.key` per identity, and the key of service accounts' tokens."""
    folder.mkdir(parents=True, mode=0o700)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    authority = ("-x509", "-days", DAYS, "-subj", "/CN=pfpnas-e2e", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("openssl", "req", *key, *authority, "-keyout", "ca.key", "-out", "ca.crt", cwd=folder)
    for name, identity in IDENTITIES.items():
        run(
            "openssl",
            "req",
            *key,
            "-subj",
            identity.subject,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            cwd=folder,
        )
        (folder / f"{name}.ext").write_text(extensions(identity))
        signer = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", DAYS, "-extfile", f"{name}.ext")
        run("openssl", "x509", "-req", "-in", f"{name}.csr", *signer, "-out", f"{name}.crt", cwd=folder)
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "service-accounts.key", cwd=folder)
    run("openssl", "ec", "-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub", cwd=folder)


def extensions(identity: Identity) -> str:
    """The extension file: a server's certificate carries its names, a client's only says that it is one."""
    usage = "serverAuth" if identity.names else "clientAuth"
    lines = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", f"extendedKeyUsage={usage}"]
    return "\n".join(lines + ([f"subjectAltName={','.join(identity.names)}"] if identity.names else [])) + "\n"


def kubeconfig(certificates: Path, identity: str, *, server: str, context: str) -> dict[str, object]:
    """A kubeconfig that names the identity's files."""
    user = {"client-certificate": f"{certificates}/{identity}.crt", "client-key": f"{certificates}/{identity}.key"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": context, "cluster": {"server": server, "certificate-authority": f"{certificates}/ca.crt"}}
        ],
        "users": [{"name": identity, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": identity}}],
        "current-context": context,
    }
