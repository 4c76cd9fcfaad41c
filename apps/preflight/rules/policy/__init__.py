"""Policy: pods that the namespace's own rules refuse, by Pod Security and by quotas."""

import preflight.rules.policy.pods
import preflight.rules.policy.quotas
import preflight.rules.policy.security  # noqa: F401 - imported so that their rules register
