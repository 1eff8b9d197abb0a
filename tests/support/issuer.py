"""A local identity provider: it publishes signing keys over HTTP as Entra ID does, and issues whatever a test wants."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

TENANT = "11111111-2222-3333-4444-555555555555"
AUDIENCE = "api://geomachine"


class Issuer:
    """Keys by id; `asked` counts how often they were read, `up` says whether it answers, `open` when."""

    def __init__(self) -> None:
        self.keys: dict[str, RSAPrivateKey] = {}
        self.asked = 0
        self.up = True
        self.open = threading.Event()
        self.open.set()
        self.rotate("k1")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.open.wait(60)
                known = self.path == f"/{TENANT}/discovery/v2.0/keys"
                body = json.dumps({"keys": issuer.published()}).encode() if known else b"{}"
                self.send_response((200 if known else 404) if issuer.up else 500)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Issuer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def rotate(self, kid: str) -> None:
        """Sign with a new key, and publish only that."""
        self.keys = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def published(self) -> list[dict]:
        algorithm = jwt.algorithms.RSAAlgorithm
        return [
            {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
            for kid, key in self.keys.items()
        ]

    def token(self, *, without: str | None = None, headers: dict | None = None, **claims: object) -> str:
        """A token of version 2 of a person with the role partner, changed as told."""
        kid, key = next(iter(self.keys.items()))
        now = int(time.time())
        body: dict[str, object] = {
            "iss": f"{self.url}/{TENANT}/v2.0",
            "aud": AUDIENCE,
            "tid": TENANT,
            "oid": "oid-of-paula",
            "sub": "pairwise",
            "azp": "console-app",
            "preferred_username": "paula@example.org",
            "scp": "access",
            "roles": ["Geomachine.Partner"],
            "nbf": now - 10,
            "iat": now - 10,
            "exp": now + 600,
            **claims,
        }
        body = {name: value for name, value in body.items() if name != without and value is not None}
        return jwt.encode(body, key, algorithm="RS256", headers={"kid": kid, **(headers or {})})
