"""The operator on Kubernetes: `python -m kopf run -m pfpnas_operator.kube`.

The decisions are those of `pfpnas_operator.reconcile`; this package sees what is there through kopf's watches and the
API, and carries plans out. Importing it registers the handlers.
"""

from pfpnas_operator.kube import handlers

__all__ = ["handlers"]
