"""Search spaces as frozen values and tables of rows; importable without torch."""

from pfpnas_api.spaces.architecture import MAX_ID_LENGTH, Architecture, ArchitectureError, BlockGene, parse_id
from pfpnas_api.spaces.cost import Cost, CostRow, cost, cost_breakdown
from pfpnas_api.spaces.genes import GeneRow
from pfpnas_api.spaces.matrix import (
    GeneMatrix,
    active_mask,
    canonical,
    check_matrix,
    sample_matrix,
    static_costs,
    to_architectures,
    to_matrix,
)
from pfpnas_api.spaces.shapes import BlockShape
from pfpnas_api.spaces.space import SearchSpace
from pfpnas_api.spaces.tables import (
    BACKBONES,
    IMAGENET_RESOLUTIONS,
    SMALL_RESOLUTIONS,
    BackboneTable,
    Layout,
    StageRow,
    make_divisible,
)
from pfpnas_api.spaces.validation import (
    DEPTHS,
    EXPAND_RATIOS,
    KERNEL_SIZES,
    WIDTH_MULTIPLIERS,
    SearchSpaceError,
)

__all__ = [
    "BACKBONES",
    "DEPTHS",
    "EXPAND_RATIOS",
    "IMAGENET_RESOLUTIONS",
    "KERNEL_SIZES",
    "MAX_ID_LENGTH",
    "SMALL_RESOLUTIONS",
    "WIDTH_MULTIPLIERS",
    "Architecture",
    "ArchitectureError",
    "BackboneTable",
    "BlockGene",
    "BlockShape",
    "Cost",
    "CostRow",
    "GeneMatrix",
    "GeneRow",
    "Layout",
    "SearchSpace",
    "SearchSpaceError",
    "StageRow",
    "active_mask",
    "canonical",
    "check_matrix",
    "cost",
    "cost_breakdown",
    "make_divisible",
    "parse_id",
    "sample_matrix",
    "static_costs",
    "to_architectures",
    "to_matrix",
]
