"""The page: a person looks into a memory, asks it and sees why, changes it, and sees how the workers are.

HTML from templates, plain forms, no script: what somebody had remembered can then never run as one.
`router` puts the routes together; `look`, `ask`, `change` and `system` are what a person comes for;
`bars` and `plot` are the pictures of a recall, pure.
"""
