"""Public data: read from folders and artifacts, or drawn; never downloaded."""

from pfpnas_workloads.data.errors import DataError
from pfpnas_workloads.data.public import Images, PublicData, load

__all__ = ["DataError", "Images", "PublicData", "load"]
