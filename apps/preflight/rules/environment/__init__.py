"""Environment: the contract between what a container is offered and what its settings type reads."""
