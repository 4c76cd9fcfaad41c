"""The one exception that a person sees as a line."""


class UserError(Exception):
    """What a person did, or must do: one line, no traceback, exit 1."""
