"""Tuners: who proposes which architecture next. Nothing here imports torch."""
