"""Network: whether what a container calls is there, listens, and may be reached."""

import preflight.rules.network.calls
import preflight.rules.network.listeners
import preflight.rules.network.outside
import preflight.rules.network.permissions  # noqa: F401 - imported so that their rules register
