"""Private data: decoded, split and resized here, and used nowhere else."""

from pfpnas_agent.datasets.errors import DataError
from pfpnas_agent.datasets.growing import Progress
from pfpnas_agent.datasets.prepared import Prepared, prepare

__all__ = ["DataError", "Prepared", "Progress", "prepare"]
