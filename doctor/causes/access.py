"""The causes that the step `access` can name; of a mirror that asks dockerd for a login, runtime has the text."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import CONTROLLER, Cause

CAUSES: Tuple[Cause, ...] = (
    Cause(
        "login-missing",
        "no basic auth credentials",
        "{url} asks who pulls, and {runtime} on this host has no login for it.",
        "In the settings a login in runtimes.N: cli for docker, containerd.logins for containerd; by hand "
        "`docker login {registry}`. Docker Hub says the same of a repository that it does not have.",
        ((CONTROLLER, "{repair}"),),
        (
            r"no basic auth credentials",
            r"pull access denied",
            r"authorization failed",
            r"failed with status code \[.*\]: 401 Unauthorized",
            r"authentication required",
        ),
    ),
    Cause(
        "login-wrong",
        "unauthorized: authentication required",
        "{url} does not take the login of {user} that {where} has: the password has changed, or the user is gone.",
        "Set the password on both sides from one secret: `make secret KEY=password-…`, then `make up`; by hand "
        "`docker login {registry}`.",
        ((CONTROLLER, "{repair}"),),
        (
            r"unauthorized: (authentication required|incorrect username or password)",
            r'user "[^"]*": password mismatch',
            r'user "[^"]*" was not found in',
            r"unexpected status from \w+ request to \S+: 401 Unauthorized",
            r"failed to authorize: .*401 Unauthorized",
        ),
    ),
    Cause(
        "not-allowed",
        "403 Forbidden: denied",
        "{url} knows who asks, and refuses: {evidence}.",
        "An address that nginx refuses must be in firewall.allow; a user that may only pull has role: pull; of a "
        "registry of others its owner gives the right to the repository.",
        ((CONTROLLER, "{repair}"),),
        (r"403 Forbidden", r": denied\b", r"access forbidden by rule"),
    ),
    Cause(
        "rate-limited",
        "toomanyrequests: 429 Too Many Requests",
        "{url} has had too many requests, by its own limit or by that of the registry behind it.",
        "Wait a little. Ours is proxy.limits; Docker Hub's is wider for who logs in: registries.N.upstream_user, with "
        "the secret upstream-password-….",
        ((CONTROLLER, "{repair}"),),
        (r"toomanyrequests", r"429 Too Many Requests", r"limiting (requests|connections)"),
    ),
    Cause(
        "token-server-unreachable",
        "failed to fetch anonymous token",
        "{url} sends clients to {realm} for a token, and there is none to be had there.",
        "Start the token server, or mend its address: registries.N.token.realm. The command tells when it answers.",
        (("{host}", "curl -sS -o /dev/null '{realm}'"),),
        (
            r"failed to fetch (anonymous|oauth) token: .*(dial tcp|EOF|timeout|50\d)",
            r"Get \\?\"https?://[^\"]*token\?[^\"]*\": dial tcp",
        ),
    ),
    Cause(
        "server-error",
        "received unexpected HTTP status: {status}",
        "{url} is reached, and something behind it fails: {evidence}.",
        "The error log of nginx and the registry's own log on the server say why.",
        ((CONTROLLER, "{repair}"),),
        (r"unexpected HTTP status: 50\d", r"unexpected status.*: 50\d", r"50[0234] (Internal|Bad|Service|Gateway)"),
    ),
)
