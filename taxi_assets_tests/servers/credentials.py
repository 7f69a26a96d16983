"""A throw-away service account and the token endpoint that believes it.

Gives the documented behavior of "Using OAuth 2.0 for Server to Server Applications"
(https://developers.google.com/identity/protocols/oauth2/service-account): a JWT signed with the account's
private key is exchanged for a bearer token; a wrong signature or an account that is gone answers
400 ``invalid_grant``. So the real path of google-auth is exercised: key file, signature, request, refresh.
"""

from __future__ import annotations

import functools
import secrets
import urllib.parse

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from taxi_assets_tests.servers.front import Front, Reply, Request

AUDIENCE = "https://oauth2.googleapis.com/token"  # google-auth writes this one whatever the key's token_uri says
EMAIL = "taxi-assets@throw-away.iam.gserviceaccount.com"


class TokenEndpoint(Front):
    """Exchanges the throw-away account's signed JWT for a bearer token.

    Attributes:
        issued: Every token given out; the other layers accept these and no others.
        account_gone: When True, each exchange answers ``invalid_grant``.
        lifetime_s: ``expires_in`` of the tokens, in seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.issued: set[str] = set()
        self.account_gone = False
        self.lifetime_s = 3600

    def service_account_info(self, *, wrong_key: bool = False, project_id: str = "throw-away") -> dict[str, str]:
        """Returns a service-account key file's content, as a dict.

        Args:
            wrong_key: Sign with a key that the endpoint does not know: every exchange is refused.
            project_id: The account's project.
        """
        key = _new_key() if wrong_key else self._key
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": project_id,
            "private_key_id": secrets.token_hex(20),
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "client_id": "1" * 21,
            "token_uri": f"{self.url}/token",
        }

    def answer(self, request: Request) -> Reply:
        """Answers the exchange of a JWT for a token."""
        from google.auth import jwt

        form = dict(urllib.parse.parse_qsl(request.read().decode()))
        public_key = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        try:
            jwt.decode(form.get("assertion", ""), certs=public_key, audience=AUDIENCE)
        except ValueError:  # malformed, wrong signature, wrong audience, expired
            return _refused("Invalid JWT Signature.")
        if self.account_gone:
            return _refused("Invalid grant: account not found")
        token = "throw-away-" + secrets.token_urlsafe(24)
        self.issued.add(token)
        return Reply.of({"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime_s})

    @functools.cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return _new_key()


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _refused(description: str) -> Reply:
    return Reply.of({"error": "invalid_grant", "error_description": description}, 400)
