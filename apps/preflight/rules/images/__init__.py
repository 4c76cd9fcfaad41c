"""Images: name and tag legal and pinned, of this tree, and holding what the container runs."""

import preflight.rules.images.builds
import preflight.rules.images.code
import preflight.rules.images.commands
import preflight.rules.images.names
import preflight.rules.images.scripts
import preflight.rules.images.tree
import preflight.rules.images.users  # noqa: F401 - imported so that their rules register
