"""Environment: the contract between what a container is offered and what its settings type reads."""

import preflight.rules.environment.contract
import preflight.rules.environment.secrets
import preflight.rules.environment.unread
import preflight.rules.environment.values  # noqa: F401 - imported so that their rules register
