"""What would go wrong when manifests are applied, said before they are and at the line to edit.

`check(target)` is the library's face; the command line is `preflight`. Rules live one family a file in
`preflight.rules`, each a short generator over the `preflight.model.Model`.
"""
