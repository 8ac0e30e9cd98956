"""Addresses with credentials in them, as redis-py reads them."""

from pfpnas_api.bus import connect, with_login


def test_user_and_password_go_into_the_address() -> None:
    url = with_login("redis://operator@redis:6379/2", user="owner-1", password="a/b@c")
    options = connect(url).connection_pool.connection_kwargs
    assert (options["username"], options["password"], options["host"], options["db"]) == (
        "owner-1",
        "a/b@c",
        "redis",
        2,
    )


def test_the_addresses_own_user_stays_when_no_other_is_named() -> None:
    options = connect(with_login("redis://operator@redis:6379", password="p")).connection_pool.connection_kwargs
    assert options["username"] == "operator"


def test_without_a_password_the_address_is_used_as_it_is() -> None:
    assert with_login("redis://redis:6379/0") == "redis://redis:6379/0"


def test_an_authority_travels_in_the_address_of_a_tls_server_only() -> None:
    authority = "-----BEGIN CERTIFICATE-----\nabc+/=\n-----END CERTIFICATE-----\n"
    url = with_login("rediss://redis:6379/0", password="p", ca=authority)
    assert connect(url).connection_pool.connection_kwargs["ssl_ca_data"] == authority
    assert with_login("redis://redis:6379/0", ca=authority) == "redis://redis:6379/0"
