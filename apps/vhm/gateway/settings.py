"""What the gateway reads from its environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, field

from vhm.contract.env_loader import Secret
from vhm.contract.settings import LogJson, LogLevel, Port, ShutdownTimeout, StoreSettings
from vhm.gateway.keys import faults


class Settings(StoreSettings, frozen=True, kw_only=True):
    """The gateway's settings."""

    host: Annotated[str, Meta(min_length=1, description="the address it listens on")] = field(
        name="GATEWAY_HOST",
        default="0.0.0.0",  # noqa: S104  a pod's clients come from outside the pod
    )
    port: Annotated[Port, Meta(description="where the API, the tools and the page are")] = field(
        name="GATEWAY_PORT", default=8000
    )
    allowed_hosts: Annotated[
        str, Meta(description="names it answers to, separated by commas; *.example.org for all below")
    ] = field(
        name="GATEWAY_ALLOWED_HOSTS", default="localhost,127.0.0.1,gateway-service,*.svc,*.svc.cluster.local"
    )
    keys: Annotated[
        Secret | None, Meta(description="who may come in: owner=key, owner:read=key, *=key, by commas")
    ] = field(name="GATEWAY_KEYS", default=None)
    session_secret: Annotated[
        Secret | None, Meta(description="signs the page's sessions; made at start, if not set")
    ] = field(name="GATEWAY_SESSION_SECRET", default=None)
    requests_per_minute: Annotated[
        int, Meta(ge=1, le=10_000_000, description="of one key and one replica; a list counts each memory")
    ] = field(name="GATEWAY_REQUESTS_PER_MINUTE", default=6_000)
    max_lag: Annotated[
        int, Meta(ge=0, description="memories the indexer may be behind before more are refused")
    ] = field(name="GATEWAY_MAX_LAG", default=10_000)
    log_level: LogLevel = field(name="GATEWAY_LOG_LEVEL", default="INFO")
    log_json: LogJson = field(name="GATEWAY_LOG_JSON", default=None)
    shutdown_timeout_seconds: ShutdownTimeout = field(name="GATEWAY_SHUTDOWN_TIMEOUT_SECONDS", default=10)

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """See `Environment.conflicts`: what is wrong with GATEWAY_KEYS, without showing it."""
        yield from super().conflicts(given)
        if isinstance(keys := given.get("GATEWAY_KEYS"), Secret):
            yield from (f"GATEWAY_KEYS: {fault}" for fault in faults(keys.reveal()))
