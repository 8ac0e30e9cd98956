"""Who may do what in the store: decided by the scope of a token, without looking at what is kept."""

from pfpnas_operator.store.tokens import OPERATOR


def may_use_ref(scope: str, name: str) -> bool:
    """Whether a scope may read, write and delete a reference: an owner those of its own uid."""
    return scope == OPERATOR or name.startswith(f"{scope}-")


def may_list(scope: str) -> bool:
    """Whether a scope may see what is there: a digest is a capability, so a list of them would be all of them."""
    return scope == OPERATOR


class Makers:
    """Which artifacts are known to be needed by no one but their maker.

    An owner may delete what it alone made and nobody else has asked for since, such as the checkpoint before the last
    one of a training. Kept in memory, since it may be forgotten at any time: what nobody may delete is swept later.
    """

    MOST = 10_000
    """Artifacts remembered, the oldest forgotten first: a few megabytes."""

    def __init__(self) -> None:
        self._makers: dict[str, str] = {}

    def made(self, digest: str, scope: str) -> None:
        """An artifact that wasn't there was put by this scope."""
        self._makers[digest] = scope
        if len(self._makers) > self.MOST:
            del self._makers[next(iter(self._makers))]

    def asked(self, digest: str, scope: str) -> None:
        """This scope has read it, looked for it, or put it again: unless it is the maker, it may count on it now."""
        if self._makers.get(digest, scope) != scope:
            del self._makers[digest]

    def may_delete(self, digest: str, scope: str) -> bool:
        """Whether a scope may delete an artifact."""
        return scope == OPERATOR or self._makers.get(digest) == scope
