"""The artifact store: content-addressed files, and references that name a job's result.

The digest is the name, so a write is safe to repeat and a read is verified. Nothing is ever unpickled.
"""

from pfpnas_api.artifacts.base import (
    ArtifactDamaged,
    ArtifactError,
    ArtifactMissing,
    ArtifactStore,
    ManifestUnreadable,
    RefUnreadable,
)
from pfpnas_api.artifacts.folder import FolderStore, write_atomically
from pfpnas_api.artifacts.opening import open_store

__all__ = [
    "ArtifactDamaged",
    "ArtifactError",
    "ArtifactMissing",
    "ArtifactStore",
    "FolderStore",
    "ManifestUnreadable",
    "RefUnreadable",
    "open_store",
    "write_atomically",
]
