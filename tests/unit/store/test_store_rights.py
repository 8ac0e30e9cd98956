"""Who may do what in the store."""

import pytest

from pfpnas_operator.store.rights import Makers, may_list, may_use_ref

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("scope", "name", "allowed"),
    [
        ("u-1", "u-1-pretrain", True),
        ("u-1", "u-1-pretrain.checkpoint", True),
        ("u-1", "u-1", False),
        ("u-1", "u-10-pretrain", False),
        ("u-1", "owner-u-1", False),
        ("u-1", "other", False),
        ("operator", "owner-u-1", True),
        ("operator", "u-1-pretrain", True),
    ],
)
def test_an_owner_uses_its_own_references_and_the_operator_all(scope: str, name: str, allowed: bool) -> None:
    assert may_use_ref(scope, name) is allowed


def test_listings_are_the_operators() -> None:
    assert may_list("operator")
    assert not may_list("u-1")


def test_a_maker_may_delete_until_somebody_else_has_asked() -> None:
    makers = Makers()
    makers.made(A, "u-1")
    makers.asked(A, "u-1")
    assert makers.may_delete(A, "u-1")
    assert not makers.may_delete(A, "u-2")
    makers.asked(A, "u-2")
    assert not makers.may_delete(A, "u-1")
    assert not makers.may_delete(A, "u-2")


def test_what_nobody_is_known_to_have_made_is_the_operators_to_delete() -> None:
    makers = Makers()
    makers.asked(A, "u-1")
    assert not makers.may_delete(A, "u-1")
    assert makers.may_delete(A, "operator")


def test_the_oldest_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Makers, "MOST", 1)
    makers = Makers()
    makers.made(A, "u-1")
    makers.made(B, "u-1")
    assert not makers.may_delete(A, "u-1")
    assert makers.may_delete(B, "u-1")
