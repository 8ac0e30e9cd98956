"""What can be wrong with data."""


class DataError(ValueError):
    """Data that are missing, truncated or of another form; the message names the file and what belongs there."""
