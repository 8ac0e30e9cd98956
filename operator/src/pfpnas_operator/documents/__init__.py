"""The documents a user writes: reading them with readable errors, checking them together, writing them again."""

from pfpnas_operator.documents.checks import check_for_one_machine, cross_check
from pfpnas_operator.documents.loading import Documents, load
from pfpnas_operator.documents.problems import DocumentError
from pfpnas_operator.documents.writing import dump

__all__ = ["DocumentError", "Documents", "check_for_one_machine", "cross_check", "dump", "load"]
