"""What the routes share."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar
from litestar.connection import ASGIConnection

from vhm.client.transport import Transport
from vhm.contract.settings import RETENTION_HOURS
from vhm.gateway.keys import LOCAL, Keyring, Principal
from vhm.gateway.limits import RateLimit
from vhm.gateway.problems import ProblemError, too_many
from vhm.gateway.sessions import Sessions
from vhm.gateway.system_health import SystemHealth

WRONG_KEYS_PER_MINUTE = 20

NO_KEYS = (
    "this gateway has no keys yet: put GATEWAY_KEYS (owner=key, a key being 32 characters or more) into the "
    "Secret gateway-keys and restart it"
)


class Services(msgspec.Struct, kw_only=True):
    """One gateway. `keyring` is None where requests need no key."""

    transport: Transport
    keyring: Keyring | None = None
    requests: RateLimit
    wrong_keys: RateLimit = msgspec.field(default_factory=lambda: RateLimit(WRONG_KEYS_PER_MINUTE))
    lag: int = 0
    """The indexer's consumer lag when it was last read."""
    most_lag: int = 10_000
    sessions: Sessions
    """Who is signed in on the page."""
    health: SystemHealth | None = None
    """The workers' health; None where it cannot be known."""
    retention_hours: int = RETENTION_HOURS
    """How long Kafka's log keeps what was said."""

    def admit(self, authorization: str | None, address: str) -> Principal:
        """The principal of a request with that Authorization header. Raises ProblemError."""
        if self.keyring is None:
            return LOCAL
        self.check_keys()
        if seconds := self.wrong_keys.exhausted(address):
            raise too_many(seconds, "too many wrong keys from this address")
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and (principal := self.keyring.find(key.strip())) is not None:
            return principal
        if authorization is not None:
            self.wrong_keys.take(address)
        detail = "the key is not known" if authorization else "a key is needed: Authorization: Bearer KEY"
        raise ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})

    def check_keys(self) -> None:
        """Raise ProblemError while there are no keys, so that every request would be refused."""
        if self.keyring is not None and not len(self.keyring):
            raise ProblemError(401, NO_KEYS, headers={"WWW-Authenticate": "Bearer"})

    def charge(self, principal: Principal, count: int = 1) -> None:
        """Count requests, or memories, of a caller. Raises ProblemError."""
        if seconds := self.requests.take(principal.name, count):
            raise too_many(seconds, "too many requests with this key: GATEWAY_REQUESTS_PER_MINUTE")

    def check_lag(self) -> None:
        """Raise ProblemError while the indexer is too far behind to take more."""
        if self.lag > self.most_lag:
            raise ProblemError(
                503,
                f"the indexer has {self.lag} records yet to take, more than GATEWAY_MAX_LAG={self.most_lag}",
                headers={"Retry-After": "5"},
            )


def services_of(of: Litestar | ASGIConnection[Any, Any, Any, Any]) -> Services:
    """The services of an app, or of the app that a request came to. Raises ProblemError."""
    app = of if isinstance(of, Litestar) else of.app
    services: Services | None = app.state.services
    if services is None:
        raise ProblemError(503, "this gateway is not connected")
    return services
