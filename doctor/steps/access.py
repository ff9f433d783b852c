"""Access: whether the server lets this runtime in with what it sends, and what it says where it does not."""

from __future__ import annotations

import json
from typing import Optional, Tuple

from doctor.failures import named
from doctor.finding import Seen
from doctor.http_client import Answer, Unanswered, ask
from doctor.login import NoToken, basic, challenges, token
from doctor.steps.tls import place
from doctor.walk import Walk

ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)


def look(walk: Walk) -> Seen:
    """Ask for `/v2/`, as dockerd does first; log in where that is asked for."""
    if walk.endpoint.authorization:
        walk.headers["Authorization"] = walk.endpoint.authorization
    walk.headers["Accept"] = ACCEPT
    path = f"{walk.endpoint.prefix}/"
    answer, broken = let_in(walk, "access", path)
    if broken:
        nobody = not walk.pull.image.repository and not walk.pull.wanted.user
        if nobody and broken.findings[0].cause == "login-missing":
            return walk.ok("access", f"GET {path} asks for a login, and this host has none")
        return broken
    assert answer is not None
    pinged = walk.pull.runtime == "docker" or not walk.pull.image.repository
    if answer.status == 404 and walk.endpoint.prefix == "/v2" and pinged:
        return walk.broken("access", "not-a-registry", f"GET {walk.endpoint.url}{path}: {answer.line}{words(answer)}")
    as_whom = "with a login" if "Authorization" in walk.headers else "without a login"
    return walk.ok("access", f"GET {path}: {answer.line}, {as_whom}")


def let_in(walk: Walk, step: str, path: str, seconds: float = 3.5) -> Tuple[Optional[Answer], Optional[Seen]]:
    """The answer to a GET, once the server has been told who asks; or the step where nobody is let in."""
    try:
        answer = ask(place(walk), path, walk.headers, seconds=seconds)
        if answer.status == 401 and _logged_in(walk, answer):
            answer = ask(place(walk), path, walk.headers, seconds=seconds)
    except Unanswered as none:
        cause, said = named(none.failure)
        return None, walk.broken(step, cause, f"GET {none.place.url}{path}: {said}")
    except NoToken as none:
        cause = "token-server-unreachable"
        if none.refused:
            cause = "login-wrong" if walk.endpoint.login else "login-missing"
        return None, walk.broken("access", cause, str(none), none.realm, realm=none.realm)
    return answer, refused(walk, answer, path)


def _logged_in(walk: Walk, answer: Answer) -> bool:
    """Whether there is something to send that was not sent before. Raises NoToken."""
    login = walk.endpoint.login
    image = walk.pull.image
    for each in challenges(answer):
        if each.scheme == "bearer":
            scope = f"repository:{image.repository}:pull" if image.repository else ""
            try:
                walk.headers["Authorization"] = token(each, login, scope, place(walk))
            except Unanswered as none:
                raise NoToken(f"{none.place.url}: {named(none.failure)[1]}", each.parameters["realm"]) from None
            return True
        if login and walk.headers.get("Authorization") != basic(login):
            walk.headers["Authorization"] = basic(login)
            return True
    return False


def refused(walk: Walk, answer: Answer, path: str) -> Optional[Seen]:
    """The step for a status that lets nobody in; None for others, 404 too."""
    cause = {401: "login-missing", 403: "not-allowed", 429: "rate-limited"}.get(answer.status, "")
    if answer.status >= 500:
        cause = "server-error"
    if not cause:
        return None
    if answer.status == 401:
        if walk.endpoint.login or walk.endpoint.authorization:
            cause = "login-wrong"
        elif walk.pull.runtime == "docker" and walk.pull.mirrored:
            cause = "mirror-login-not-sent"
    evidence = f"GET {answer.place.url}{path}: {answer.line}{words(answer)}"
    user = walk.endpoint.login[0] if walk.endpoint.login else walk.pull.wanted.user
    where = walk.endpoint.login_said_by if cause == "login-wrong" else ""
    return walk.broken("access", cause, evidence, where, status=answer.line, user=user or "a user of it")


def words(answer: Answer) -> str:
    """The registry's own words about an error, behind a colon; empty where there are none."""
    code, message = error(answer)
    return f": {code}: {message}"[:200] if code else ""


def error(answer: Answer) -> Tuple[str, str]:
    """Code and message as registries have them (distribution-spec, "Error Codes"); empty where it is no registry's."""
    try:
        first = json.loads(answer.body)["errors"][0]
        return str(first["code"]), str(first.get("message", ""))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return "", ""
