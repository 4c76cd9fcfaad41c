"""The exception that the command line shows as one line."""


class UserError(Exception):
    """A mistake of the person at the terminal, or something they must do: one line, no traceback, exit 1."""
