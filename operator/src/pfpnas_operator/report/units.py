"""Figures as text: rounded to what a reader can use, with their unit."""

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def percent(fraction: float | None, *, digits: int = 1) -> str:
    """A fraction as per cent; a dash when there is none."""
    return "–" if fraction is None else f"{fraction * 100:.{digits}f} %"


def percent_error(fraction: float | None, error: float | None) -> str:
    """A fraction with its standard error, in per cent."""
    if fraction is None or error is None:
        return percent(fraction)
    return f"{fraction * 100:.1f} ± {error * 100:.1f} %"


def milliseconds(value: float | None) -> str:
    """Three significant digits, in µs, ms or s."""
    if value is None:
        return "–"
    scale, unit = (1e3, "µs") if value < 0.1 else (1.0, "ms") if value < 10_000 else (1e-3, "s")
    return f"{significant(value * scale)} {unit}"


def count(value: float | None) -> str:
    """Three significant digits with k, M or G."""
    if value is None:
        return "–"
    for factor, prefix in _PREFIXES:
        if value >= factor:
            return f"{significant(value / factor)} {prefix}"
    return significant(value)


def size(value: float | None) -> str:
    """Bytes in KiB or MiB."""
    if value is None:
        return "–"
    if value < 1024:
        return f"{value:.0f} B"
    return f"{significant(value / 2**10)} KiB" if value < 2**20 else f"{significant(value / 2**20)} MiB"


def seconds(value: float | None) -> str:
    """A duration in the two largest units."""
    if value is None:
        return "–"
    if value < 60:
        return f"{significant(value)} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def significant(value: float, digits: int = 3) -> str:
    """A number to some significant digits, never in exponent form."""
    if value == 0:
        return "0"
    magnitude = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    if magnitude == 0:
        return f"{float(f'{value:.{digits}g}'):.{_places(value, digits)}f}"
    return f"{value:.{max(0, digits - magnitude)}f}"


def _places(value: float, digits: int) -> int:
    exponent = int(f"{value:e}".split("e")[1])
    return min(9, digits - 1 - exponent)


def of_metric(metric: str, value: float) -> str:
    """A metric's value in words, by the family of its unit."""
    if metric == "Latency":
        return milliseconds(value)
    if metric in ("ModelSize", "PeakMemory"):
        return size(value)
    if metric == "Throughput":
        return f"{significant(value)} images/s"
    if metric == "Energy":
        return f"{significant(value)} mJ"
    return significant(value) if metric == "Cost" else count(value)


def pairs(number: int) -> str:
    """Pairs of measurements behind a noise floor: of two, it is hardly known."""
    return f"{number} pair{'' if number == 1 else 's'}"
