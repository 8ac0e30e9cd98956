"""Redis addresses with what a connection needs beside host and port: user, password, and whom to trust."""

from urllib.parse import quote, urlsplit, urlunsplit


def with_login(url: str, *, user: str | None = None, password: str | None = None, ca: str | None = None) -> str:
    """The address as one user's.

    Args:
        url: redis://…, rediss://… or unix://…
        user: Of Redis, in place of the address's own.
        password: In plain, in place of the address's own; left out, the address keeps its login.
        ca: Certificates in PEM form, against which a TLS server is checked; only used with rediss.
    """
    parts = urlsplit(url)
    if password is not None:
        name, place = parts.username or "" if user is None else user, parts.netloc.rpartition("@")[2]
        parts = parts._replace(netloc=f"{quote(name, safe='')}:{quote(password, safe='')}@{place}")
    if ca is not None and parts.scheme == "rediss":
        # In the address itself, so that one environment variable tells a pod all; redis-py checks the host's name too.
        query = "&".join(filter(None, [parts.query, f"ssl_ca_data={quote(ca, safe='')}"]))
        parts = parts._replace(query=query)
    return urlunsplit(parts)
