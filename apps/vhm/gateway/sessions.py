"""Sessions of the page: signed cookies, and CSRF tokens for its forms."""

from __future__ import annotations

import hmac
import secrets

from itsdangerous import BadSignature, Signer, URLSafeTimedSerializer

from vhm.gateway.keys import LOCAL, Keyring, Principal

COOKIE = "vhm"

SESSION_SECONDS = 12 * 3_600
"""How long a sign-in lasts."""


class Sessions:
    """Sessions opened with the keys of a keyring; without one nobody signs in.

    A cookie names its key by a fingerprint, so that a sign-in ends with its key. `secret` signs; replicas
    that share it know one another's sign-ins. Without one it is made here, and a restart ends them all."""

    def __init__(self, keyring: Keyring | None, secret: str | None = None) -> None:
        secret = secret or secrets.token_hex(32)
        self._keyring = keyring
        self._cookies = URLSafeTimedSerializer(secret, salt="vhm page cookie")
        self._forms = Signer(secret, salt="vhm page form")

    def begin(self, key: str) -> str | None:
        """A cookie for the holder of a key; None when the key is not known."""
        if self._keyring is None or self._keyring.find(key) is None:
            return None
        return self._cookies.dumps([self._keyring.fingerprint(key), secrets.token_hex(8)])

    def principal(self, cookie: str | None) -> Principal | None:
        """The principal of a cookie."""
        if self._keyring is None:
            return LOCAL
        try:
            fingerprint, _ = self._cookies.loads(cookie or "", max_age=SESSION_SECONDS)
        except (BadSignature, ValueError, TypeError):
            return None
        return self._keyring.find_fingerprint(str(fingerprint))

    def token(self, cookie: str | None) -> str:
        """The CSRF token of the forms of a session: another site cannot know it."""
        return self._forms.get_signature(cookie or "").decode()

    def is_token(self, token: str, cookie: str | None) -> bool:
        """Whether a form has the token of its session."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token(cookie).encode())
