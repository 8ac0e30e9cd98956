"""The search on one machine: documents in a folder instead of an API server, processes instead of Jobs.

The decisions are those of `pfpnas_operator.reconcile`; this package observes, carries plans out, and keeps the machine
quiet while the agent measures.
"""
