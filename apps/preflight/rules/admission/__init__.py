"""What the API server refuses and no schema says.

Each rule repeats a part of the server's own validation (`pkg/apis/*/validation` of Kubernetes); the bounds
are those of the versions 1.25 to 1.37 where they agree.
"""

import preflight.rules.admission.access
import preflight.rules.admission.blocks
import preflight.rules.admission.names
import preflight.rules.admission.numbers
import preflight.rules.admission.pods
import preflight.rules.admission.probes
import preflight.rules.admission.quantities
import preflight.rules.admission.schedules
import preflight.rules.admission.services
import preflight.rules.admission.sizes
import preflight.rules.admission.values
import preflight.rules.admission.volumes
import preflight.rules.admission.workloads  # noqa: F401 - imported so that their rules register
