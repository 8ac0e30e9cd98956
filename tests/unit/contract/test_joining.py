"""The join string: it comes back as it was, and what isn't one is told from what was cut."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import parse_url

from pfpnas_api.bus.address import with_login
from pfpnas_api.joining import Join, JoinError, _checksum
from support.certificates import a_certificate

LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
PASSWORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=64)
FIELDS = {"url": "rediss://redis.example.org:6379/0", "user": "agent-lab", "password": "p" * 32, "pool": "bench"}


def join(**changes: str | None) -> Join:
    return Join.model_validate({**FIELDS, "name": "lab", **changes})


def string(document: object) -> str:
    content = json.dumps(document).encode()
    return f"pfpnas1.{base64.urlsafe_b64encode(content).decode().rstrip('=')}.{_checksum(content)}"


@given(name=LABEL, pool=LABEL, password=PASSWORD, ca=st.sampled_from([None, a_certificate()]))
def test_a_join_comes_back_as_it_was(name: str, pool: str, password: str, ca: str | None) -> None:
    made = join(name=name, pool=pool, password=password, ca=ca)
    text = made.encode()
    assert text.startswith("pfpnas1.")
    assert text.isascii()
    assert not set(text) & set(" \"'`$\\&|;<>()\n")
    assert Join.decode(text) == made


@given(st.data())
def test_a_string_that_was_cut_anywhere_is_noticed(data: st.DataObject) -> None:
    text = join().encode()
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(JoinError, match=r"is cut or changed|is no join string"):
        Join.decode(cut)


@given(st.data())
def test_a_string_with_another_character_is_noticed(data: st.DataObject) -> None:
    text = join().encode()
    at = data.draw(st.integers(len("pfpnas1."), len(text) - 1))
    other = data.draw(st.sampled_from("abcXYZ019-_"))
    if other != text[at]:
        with pytest.raises(JoinError):
            Join.decode(text[:at] + other + text[at + 1 :])


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(JoinError):
        Join.decode(text)


def test_a_mail_may_break_it_into_lines() -> None:
    text = join(ca=a_certificate()).encode()
    broken = "\r\n ".join(text[at : at + 70] for at in range(0, len(text), 70))
    assert Join.decode(f"\n{broken}\n") == join(ca=a_certificate())


def test_a_newer_string_asks_for_a_newer_agent() -> None:
    with pytest.raises(JoinError, match="version 'pfpnas2', this agent knows 'pfpnas1': update it"):
        Join.decode(join().encode().replace("pfpnas1", "pfpnas2"))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": "http://redis.example.org"}, "url: .*must be redis://host:port/0"),
        ({"url": "redis://me:secret@host:6379/0"}, "url: .*must have no user, password or options"),
        ({"url": "redis://host:port/0"}, "url: "),
        ({"url": "redis://host/0?ssl_cert_reqs=none"}, "url: .*must have no user"),
        ({"ca": "nonsense"}, "ca: .*is no certificate in PEM form"),
        ({"ca": "-----BEGIN PRIVATE KEY-----"}, "ca: .*holds a private key"),
        ({"password": "short"}, "password: "),
        ({"name": "a.b"}, "name: "),
        ({"name": "a" * 41}, "name: "),
        ({"name": "*"}, "name: "),
        ({"pool": "a b"}, "pool: "),
        ({"surprise": "x"}, "surprise: "),
    ],
)
def test_what_a_string_says_is_checked_by_field(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(JoinError, match=problem) as caught:
        Join.decode(string({**FIELDS, "name": "lab", **changes}))
    assert "secret" not in str(caught.value)


def test_a_join_shows_no_password() -> None:
    assert "ppp" not in repr(join())


@given(password=PASSWORD)
def test_the_address_holds_user_password_and_certificates(password: str) -> None:
    parsed = parse_url(join(password=password, ca=a_certificate()).redis_url)
    assert (parsed["username"], parsed["password"], parsed["host"]) == ("agent-lab", password, "redis.example.org")
    assert parsed["ssl_ca_data"] == a_certificate()


def test_certificates_are_for_tls_only_and_options_stay() -> None:
    assert with_login("redis://old:pw@host:1/2?a=b", user="u", password="p w", ca="x") == "redis://u:p%20w@host:1/2?a=b"
    made = urlsplit(with_login("rediss://host/0?a=b", user="u", password="p", ca="x=y&z"))
    assert parse_qs(made.query) == {"a": ["b"], "ssl_ca_data": ["x=y&z"]}
    assert with_login("unix:///run/redis.sock?db=1", user="u", password="p") == "unix://u:p@/run/redis.sock?db=1"
