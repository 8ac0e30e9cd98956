"""The best architecture part by part: channels, kernel, stride, resolution and cost."""

from pfpnas_api.spaces import BlockShape, CostRow, SearchSpace, cost_breakdown
from pfpnas_operator.report.schema import Part


def build_parts(space: SearchSpace, architecture_id: str) -> tuple[Part, ...]:
    """Stem, blocks, feature convolution and classifier in order.

    Raises:
        ArchitectureError: the id is none of this space.
    """
    architecture = space.parse(architecture_id)
    costs = {row.name: row for row in cost_breakdown(space, architecture)}
    blocks = space.blocks(architecture)
    end, total = blocks[-1], sum(row.macs for row in costs.values())
    return (
        _plain(
            "stem",
            costs["stem"],
            channels=(3, space.stem_channels),
            sides=(architecture.resolution, blocks[0].height),
            total=total,
        ),
        *(_block(block, costs[block.name], total=total) for block in blocks),
        _plain(
            "feature",
            costs["feature"],
            channels=(end.out_channels, space.feature_channels),
            sides=(end.out_height, end.out_height),
            total=total,
        ),
        _plain(
            "classifier",
            costs["classifier"],
            channels=(space.feature_channels, space.classes),
            sides=(1, 1),
            total=total,
        ),
    )


def _plain(name: str, row: CostRow, *, channels: tuple[int, int], sides: tuple[int, int], total: int) -> Part:
    kernels = {"stem": 3, "feature": 1}
    return Part.model_validate(
        {
            "name": name,
            "kind": name,
            "stage": name,
            "inChannels": channels[0],
            "midChannels": channels[1],
            "outChannels": channels[1],
            "kernel": kernels.get(name),
            "stride": sides[0] // sides[1],
            "inResolution": sides[0],
            "outResolution": sides[1],
            "macs": row.macs,
            "macShare": row.macs / total,
            "parameters": row.parameters,
        }
    )


def _block(block: BlockShape, row: CostRow, *, total: int) -> Part:
    return Part(
        name=block.name,
        kind="block",
        stage=block.name.split(".")[0],
        in_channels=block.in_channels,
        mid_channels=block.mid_channels,
        out_channels=block.out_channels,
        kernel=block.kernel,
        expand=block.expand,
        stride=block.stride,
        residual=block.residual,
        in_resolution=block.height,
        out_resolution=block.out_height,
        macs=row.macs,
        mac_share=row.macs / total,
        parameters=row.parameters,
    )
