"""The rules, one family a file; `preflight.registry.FAMILIES` names the files."""
