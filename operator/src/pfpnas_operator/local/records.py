"""The documents of a run: its Supernet is always there."""

from dataclasses import dataclass

from pfpnas_api.kinds import Supernet
from pfpnas_operator.driving import records


@dataclass(kw_only=True)
class Records(records.Records):
    """What a run's folder holds."""

    supernet: Supernet
