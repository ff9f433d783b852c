"""Logging in as runtimes do: what is asked for (RFC 7235), and a token of whoever gives them.

Tokens: https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import urlencode, urlsplit

from doctor.http_client import Answer, Place, ask, reached_by

CHALLENGE = re.compile(r"\b(Basic|Bearer)\s+((?:\w+=(?:\"[^\"]*\"|[^\s,]+)[,\s]*)*)", re.IGNORECASE)
PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
TOKEN_PATIENCE = 3.0
Login = Optional[Tuple[str, str]]


class Challenge(NamedTuple):
    """How a server wants it: `basic` or `bearer`, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


class NoToken(Exception):
    """The token server gives none. `refused`: because of who asks; else it does not work."""

    def __init__(self, words: str, realm: str, refused: bool = False) -> None:
        super().__init__(words)
        self.realm = realm
        self.refused = refused


def challenges(answer: Answer) -> List[Challenge]:
    """What a 401 asks for, in the server's order."""
    text = ", ".join(answer.headers.get_all("WWW-Authenticate", []))
    return [
        Challenge(scheme.lower(), {key: quoted or plain for key, quoted, plain in PARAMETER.findall(rest)})
        for scheme, rest in CHALLENGE.findall(text)
    ]


def basic(login: Tuple[str, str]) -> str:
    """The Authorization of a user and a password."""
    return f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"


def token(challenge: Challenge, login: Login, scope: str, known: Place) -> str:
    """The Authorization with a token for `scope`; nobody's where there is no login. Raises NoToken, Unanswered."""
    realm = challenge.parameters.get("realm", "")
    try:
        parts, place = urlsplit(realm), reached_by(realm, known)
    except ValueError:
        raise NoToken(f"the realm {realm!r} is no URL", realm) from None
    if parts.scheme not in ("http", "https"):
        raise NoToken(f"the realm {realm!r} is no URL", realm)
    query = {"service": challenge.parameters.get("service", "")}
    if scope or challenge.parameters.get("scope"):
        query["scope"] = scope or challenge.parameters["scope"]
    if login:
        query["account"] = login[0]
    path = f"{parts.path or '/'}?{parts.query + '&' if parts.query else ''}{urlencode(query)}"
    headers: Dict[str, str] = {"Authorization": basic(login)} if login else {}
    answer = ask(place, path, headers, seconds=TOKEN_PATIENCE)
    if answer.status != 200:
        raise NoToken(f"{realm}: {answer.line}", realm, answer.status in (400, 401, 403))
    try:
        document = json.loads(answer.body)
        return f"Bearer {document.get('token') or document['access_token']}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NoToken(f"{realm}: answers without a token", realm) from None
