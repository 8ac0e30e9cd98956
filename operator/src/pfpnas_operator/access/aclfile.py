"""Redis' file of users, before the server starts: the operator's user is set, those made later are kept.

`python -m pfpnas_operator.access.aclfile --out /data/users.acl --operator-password-file FILE`, as the init container of
the chart's Redis. The server is started with `--aclfile /data/users.acl`, so that `ACL SAVE` keeps agents and Jobs over
a restart. The default user is switched off.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pfpnas_api.artifacts import ArtifactError, write_atomically
from pfpnas_operator.access import rules

_KEPT = tuple(f"user {prefix}" for prefix in (rules.AGENT_PREFIX, rules.OWNER_PREFIX))
_DEFAULT_OFF = "user default off resetkeys resetchannels -@all"


def merged(saved: str, operator_password: str) -> str:
    """The file's new content: default off, the operator by this password, and the saved users of agents and owners."""
    digest = hashlib.sha256(operator_password.encode()).hexdigest()
    operator = " ".join(["user", rules.OPERATOR_USER, "on", f"#{digest}", "resetchannels", *rules.operator_rules()])
    kept = [line for line in saved.splitlines() if line.startswith(_KEPT)]
    return "\n".join([_DEFAULT_OFF, operator, *kept]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; exit code 2 and one message when a file can't be read or written."""
    parser = argparse.ArgumentParser(prog="python -m pfpnas_operator.access.aclfile", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="The server's aclfile; users in it are kept.")
    parser.add_argument("--operator-password-file", type=Path, required=True, help="Its first line is the password.")
    given = parser.parse_args(arguments)
    try:
        password = _first_line(given.operator_password_file)
        saved = given.out.read_text(encoding="utf-8") if given.out.exists() else ""
        write_atomically(given.out, merged(saved, password).encode())
        given.out.chmod(0o640)
    except (OSError, ArtifactError, ValueError) as e:
        print(f"aclfile: {e}", file=sys.stderr)
        return 2
    return 0


def _first_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0]:
        raise ValueError(f"{path} is empty: its first line has to be the operator's password")
    return lines[0]


if __name__ == "__main__":
    sys.exit(main())
