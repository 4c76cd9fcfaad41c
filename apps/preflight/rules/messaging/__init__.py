"""Messaging: brokers, topics and stores against the workers that use them."""

import preflight.rules.messaging.brokers
import preflight.rules.messaging.heap
import preflight.rules.messaging.listeners
import preflight.rules.messaging.stores
import preflight.rules.messaging.topics  # noqa: F401 - imported so that their rules register
