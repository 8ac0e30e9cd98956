"""What is wrong with a data set."""


class DataError(Exception):
    """The data can't be used; the message names the file and the remedy, and stays on the device."""
