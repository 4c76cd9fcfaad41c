"""The rules: one family a module or package, found by walking this package."""
