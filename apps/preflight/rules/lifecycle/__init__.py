"""Lifecycle: starting, stopping, memory, rollouts, drains and what pods keep on their volumes."""

import preflight.rules.lifecycle.disks
import preflight.rules.lifecycle.jobs
import preflight.rules.lifecycle.mounts
import preflight.rules.lifecycle.resources
import preflight.rules.lifecycle.rollouts
import preflight.rules.lifecycle.scaling
import preflight.rules.lifecycle.timing  # noqa: F401 - imported so that their rules register
