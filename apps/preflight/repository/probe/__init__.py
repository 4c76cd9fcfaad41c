"""The half that runs in the checked repository's interpreter: imports the declared names, asks them.

Nothing here imports more than the standard library and what the repository itself brings, and it is
written for Python 3.9 and later: the checked repository may have an interpreter older than ours.
Questions and answers are lines of JSON (see `__main__`).
"""
