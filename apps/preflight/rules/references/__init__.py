"""References: every name a manifest mentions exists in the right namespace, with the key or port named."""

import preflight.rules.references.accounts
import preflight.rules.references.configs
import preflight.rules.references.namespaces
import preflight.rules.references.ports
import preflight.rules.references.selectors
import preflight.rules.references.services
import preflight.rules.references.serving
import preflight.rules.references.volumes  # noqa: F401 - imported so that their rules register
