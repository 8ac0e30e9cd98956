"""Redis addresses with what a connection needs beside host and port: user, password, and whom to trust."""

from urllib.parse import quote, urlsplit, urlunsplit


def with_login(url: str, *, user: str, password: str, ca: str | None = None) -> str:
    """The address as one user's; in place of a user and password that it already has.

    Args:
        url: redis://…, rediss://… or unix://…
        user: Of Redis.
        password: In plain.
        ca: Certificates in PEM form, against which a TLS server is checked; only used with rediss.
    """
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    query = parts.query
    if ca is not None and parts.scheme == "rediss":
        # In the address itself, so that one environment variable tells a pod all; redis-py checks the host's name too.
        query = "&".join(filter(None, [query, f"ssl_ca_data={quote(ca, safe='')}"]))
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{place}", query=query))
