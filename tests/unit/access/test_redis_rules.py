"""The rules as lists: what they open, and names that would open more."""

import pytest

from pfpnas_operator.access import aclfile
from pfpnas_operator.access.rules import agent_rules, operator_rules, owner_rules, release_mark


def test_an_agent_reads_its_pool_and_writes_under_its_own_name() -> None:
    assert agent_rules("bench-cpu", "lab") == [
        "-@all",
        "+ping",
        "(+xreadgroup +xack %RW~pfp:v1:{bench-cpu}:tasks)",
        "(+xadd %W~pfp:v1:{bench-cpu}:results:lab %W~pfp:v1:{bench-cpu}:results:lab.*)",
        "(+set %W~pfp:v1:{bench-cpu}:heartbeat:lab %W~pfp:v1:{bench-cpu}:heartbeat:lab.*)",
        "(+get %R~pfp:v1:{bench-cpu}:blob:*)",
    ]


def test_an_owner_writes_candidates_for_its_pools_only() -> None:
    assert owner_rules("u-1", ["a", "b"])[-1] == "(+set +expire %W~pfp:v1:{a}:blob:* %W~pfp:v1:{b}:blob:*)"


def test_a_supernet_has_no_pool_and_no_right_to_write_candidates() -> None:
    assert not any("blob" in rule for rule in owner_rules("u-1", []))


@pytest.mark.parametrize("name", ["*", "a*", "a?", "[ab]", "a b", "a)", "", "a\\", "a\n", ".", "~x"])
def test_a_name_that_would_open_other_keys_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be part of a Redis user's rules"):
        agent_rules("bench", name)
    with pytest.raises(ValueError, match="can't be part"):
        agent_rules(name, "lab")
    with pytest.raises(ValueError, match="can't be part"):
        owner_rules(name, [])
    with pytest.raises(ValueError, match="can't be part"):
        owner_rules("u-1", ["bench", name])
    with pytest.raises(ValueError, match="can't be part"):
        release_mark(name)


def test_nobody_may_run_scripts_and_nobody_gets_a_category() -> None:
    given = [*agent_rules("p", "n"), *owner_rules("u", ["p"]), *operator_rules()]
    text = " ".join(given)
    assert "eval" not in text
    assert "+@" not in text


def test_the_file_of_users_switches_the_default_user_off_and_keeps_agents_and_owners() -> None:
    saved = "user default on nopass ~* +@all\nuser operator on #0 ~* +@all\nuser agent-lab on #1 -@all\n"
    saved += "user owner-u1 on #2 -@all\nuser stranger on nopass ~* +@all\n"
    lines = aclfile.merged(saved, "secret").splitlines()
    assert lines[0] == "user default off resetkeys resetchannels -@all"
    assert lines[1].startswith("user operator on #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ")
    assert lines[2:] == ["user agent-lab on #1 -@all", "user owner-u1 on #2 -@all"]
