"""Tokens: derived, bound to their scope, and worth nothing under another key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfpnas_operator.store.tokens import OPERATOR, BadKey, Key

KEY = Key(b"k" * 32)
UID = "0c3f1c1e-9a39-4b3a-8d40-2f6d2f0f6f10"


@pytest.mark.parametrize("scope", [UID, OPERATOR, "tiny-net-uid", "a"])
def test_a_token_gives_its_scope_back(scope: str) -> None:
    token = KEY.token(scope)
    assert token.startswith(f"{scope}.")
    assert KEY.scope_of(token) == scope
    assert Key(b"k" * 32).token(scope) == token


def test_another_keys_token_is_worth_nothing() -> None:
    assert Key(b"j" * 32).scope_of(KEY.token(UID)) is None


def test_a_token_is_worth_nothing_for_another_scope() -> None:
    signature = KEY.token(UID).partition(".")[2]
    assert KEY.scope_of(f"{OPERATOR}.{signature}") is None


@given(st.text(max_size=200))
def test_no_text_passes_for_a_token(text: str) -> None:
    assert KEY.scope_of(text) is None
    assert KEY.scope_of(f"{UID}.{text}") is None


@pytest.mark.parametrize("scope", ["", "owner", "A", "a.b", "a/b", "-a", "a-", "a\n", "x" * 65])
def test_what_is_no_scope_gets_no_token(scope: str) -> None:
    with pytest.raises(ValueError, match="is no scope"):
        KEY.token(scope)


def test_passwords_differ_by_user_and_from_tokens() -> None:
    passwords = {KEY.password(user) for user in ("operator", "agent-a", "owner-1")}
    assert len(passwords) == 3
    assert KEY.password(UID) not in KEY.token(UID)


def test_a_key_is_read_from_its_file_whatever_its_last_line_ends_with(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"k" * 32 + b"\n")
    assert Key.read(tmp_path / "key").token(UID) == KEY.token(UID)


def test_a_short_key_is_refused_with_its_file_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short\n")
    with pytest.raises(BadKey, match=r"key: a key of 5 bytes is too short.*openssl rand -hex 32"):
        Key.read(tmp_path / "key")


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match=f"{tmp_path}/key: No such file"):
        Key.read(tmp_path / "key")


def test_a_key_says_nothing_of_itself() -> None:
    assert "kkkk" not in repr(KEY)
