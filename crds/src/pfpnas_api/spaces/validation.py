"""The bounds of a search space, and the errors that name field and remedy."""

from collections.abc import Iterable

from pfpnas_api.spaces.tables import BACKBONES, layout_of

KERNEL_SIZES = (3, 5, 7)
"""Depthwise kernels that can be elastic, pixels a side: odd, so that the padding is the same on all sides."""

EXPAND_RATIOS = range(1, 9)
"""Expansion ratios of an inverted-residual block."""

DEPTHS = range(1, 9)
"""Blocks of one elastic stage."""

WIDTH_MULTIPLIERS = (0.1, 2.0)
"""Smallest and largest factor on all channels."""

_RESOLUTIONS = "multiples of 4, all within 16..64 (small layout) or all within 96..512 (imagenet layout)"


class SearchSpaceError(ValueError):
    """A value that no search space may have.

    Attributes:
        field: The field's name as users write it in YAML, such as `kernelSizes`.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


def check_backbone(name: str) -> str:
    """`name`, if a table of that backbone exists; else SearchSpaceError."""
    if name not in BACKBONES:
        raise SearchSpaceError("backbone", f"{name!r} is unknown; allowed: {', '.join(BACKBONES)}")
    return name


def check_width(width: float) -> float:
    """`width` as a float, if it is within bounds; else SearchSpaceError."""
    low, high = WIDTH_MULTIPLIERS
    if isinstance(width, bool) or not isinstance(width, int | float) or not low <= width <= high:
        raise SearchSpaceError("widthMultiplier", f"{width!r} is not allowed; allowed: {low} to {high}")
    return float(width)


def check_classes(classes: int) -> int:
    """`classes`, if a classifier can have so many; else SearchSpaceError."""
    if not _is_int(classes) or not 1 <= classes <= 100_000:
        raise SearchSpaceError("classes", f"{classes!r} is not allowed; allowed: 1 to 100000")
    return classes


def check_kernels(values: Iterable[int]) -> tuple[int, ...]:
    """The kernel sizes, sorted; SearchSpaceError for an empty list, an even kernel or a repeat."""
    return _check_choices("kernelSizes", values, allowed=KERNEL_SIZES, described="3, 5, 7 (odd)")


def check_expands(values: Iterable[int]) -> tuple[int, ...]:
    """The expansion ratios, sorted; else SearchSpaceError."""
    return _check_choices("expandRatios", values, allowed=EXPAND_RATIOS, described="1 to 8")


def check_depths(values: Iterable[int]) -> tuple[int, ...]:
    """The depths, sorted; else SearchSpaceError."""
    return _check_choices("depths", values, allowed=DEPTHS, described="1 to 8")


def check_resolutions(values: Iterable[int]) -> tuple[int, ...]:
    """The resolutions, sorted, if one layout admits them all; else SearchSpaceError."""
    resolutions = _check_choices("resolutions", values, allowed=range(1, 10_000), described=_RESOLUTIONS)
    layouts = {layout_of(resolution) for resolution in resolutions}
    if None in layouts or len(layouts) > 1:
        raise SearchSpaceError("resolutions", f"{list(resolutions)} is not allowed; allowed: {_RESOLUTIONS}")
    return resolutions


def _check_choices(
    field: str, values: Iterable[int], *, allowed: range | tuple[int, ...], described: str
) -> tuple[int, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SearchSpaceError(field, f"{values!r} is not a list; allowed: a list of {described}")
    choices = tuple(values)
    if not choices:
        raise SearchSpaceError(field, f"the list is empty; allowed: at least one of {described}")
    wrong = [value for value in choices if not _is_int(value) or value not in allowed]
    if wrong:
        raise SearchSpaceError(field, f"{wrong[0]!r} is not allowed; allowed: {described}")
    if len(set(choices)) != len(choices):
        raise SearchSpaceError(field, f"{list(choices)} repeats a value; allowed: each of {described} once")
    return tuple(sorted(choices))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
