"""Where a runtime, as it is configured and runs now, asks for an image; and what is wrong with that."""

from __future__ import annotations

from dataclasses import replace
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import CERT_NONE, create_default_context
from typing import Dict, List, Optional, Tuple
from urllib.parse import urlsplit

from doctor.finding import OK, SKIPPED, Seen
from doctor.pull import Endpoint, Pull
from doctor.steps import containerd_runtime, docker_runtime, proxy_environment
from doctor.steps.asked import BUILT_IN, STEP, End, ended, is_wanted, netloc, real
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.masking import masked
from hostctl.units.docker_relay import CONFIG as RELAY

READERS = {"docker": docker_runtime.endpoints, "containerd": containerd_runtime.endpoints}
PATIENCE = 2.0


def endpoints(host: Host, pull: Pull) -> Tuple[Seen, List[Endpoint]]:
    """The step, and the endpoints in the order in which the runtime asks them.

    SKIPPED, and no endpoints: the runtime can't mirror this registry, and that is known and told by the report of `up`.
    """
    try:
        found, environment = READERS[pull.runtime](host, pull)
        asked = list(dict.fromkeys(replace(each, wanted=is_wanted(pull, each)) for each in found))
        judge(pull, asked)
        _judge_proxies(pull, asked, environment)
        _judge_login(pull, asked)
    except End as end:
        return end.seen, []
    except HostError as unable:
        return Seen(STEP, SKIPPED, masked(str(unable))), []
    order = ", then ".join(f"{each.url} ({each.said_by})" for each in asked)
    return Seen(STEP, OK, f"{pull.runtime} asks {order}"), asked


def judge(pull: Pull, asked: List[Endpoint]) -> None:
    """Raises End for a place that is asked though the settings don't want it, or over the wrong scheme. Pure."""
    asked = [each for each in asked if netloc(each.url) != netloc(pull.wanted.peer)]
    first = next((place for place, each in enumerate(asked) if each.wanted), len(asked))
    strangers = asked[:first]
    if pull.mirrored and not pull.wanted.fallback:
        strangers = strangers + [each for each in asked[first:] if not each.wanted and each.said_by != BUILT_IN]
    if strangers and pull.mirrored:
        other = strangers[0]
        order = "before" if other in asked[:first] else "after"
        said = f"{other.url} is asked {order} {asked[first].url if first < len(asked) else 'nobody'}"
        raise ended("silent-fallback", other.said_by, f"{said}, by {other.said_by}", **_by_hand(other.said_by))
    plain = [url for url in pull.wanted.urls if url.startswith("http://") and urlsplit(url).port is None]
    for each in asked:
        if each.wanted and each.url.startswith("https://") and not each.plain_too and _named(each, plain):
            said = f"{pull.runtime} would ask {each.url}, and the settings say {_named(each, plain)}"
            raise ended("plain-http-missing", each.said_by, said)


def _by_hand(said_by: str) -> Dict[str, str]:
    """How to take something out of a file of which only a part is ours."""
    file = said_by.partition(",")[0]
    readings = {"daemon.json": "systemctl reload docker", "config.toml": "systemctl restart containerd"}
    reading = readings.get(file.rpartition("/")[2])
    return {"edit": f"${{EDITOR:-vi}} {file}", "reading": reading} if reading else {}


def _named(endpoint: Endpoint, urls: List[str]) -> Optional[str]:
    return next((url for url in urls if urlsplit(url).netloc == urlsplit(endpoint.url).netloc), None)


def _judge_proxies(pull: Pull, asked: List[Endpoint], environment: Dict[str, str]) -> None:
    """Raises End for a proxy that a wanted endpoint is asked through and not reached."""
    through = [each for each in asked if each.wanted and each.said_by != RELAY]
    for each in through:
        proxy = proxy_environment.proxy_of(environment, each)
        complaint = proxy_environment.complaint(proxy, each) if proxy else None
        if complaint:
            name = f"{urlsplit(each.url).scheme.upper()}_PROXY"
            raise ended(
                "proxy-environment",
                f"{pull.runtime}.service",
                f"{name}={masked(proxy)} stands between {pull.runtime} and {each.url}: {complaint}",
                service=pull.runtime,
                no_proxy=proxy_environment.extended(environment, through),
            )


def _judge_login(pull: Pull, asked: List[Endpoint]) -> None:
    """Raises End for a mirror that asks dockerd for a login, which dockerd sends to no mirror."""
    if pull.runtime != "docker" or not pull.mirrored:
        return
    for each in asked:
        unknown = not each.authorization and not each.login and each.url != real(pull.image.registry)
        if each.wanted and unknown and _asks_for_login(each):
            said = f"{each.url} answers 401, and dockerd sends a mirror no login ({each.said_by} has none for it)"
            raise ended("mirror-login-not-sent", each.said_by, said, **_by_hand(each.said_by))


def _asks_for_login(endpoint: Endpoint) -> bool:
    parts = urlsplit(endpoint.url)
    if parts.scheme == "https":
        # Nothing is sent: whether its certificate is good is another step's question.
        context = create_default_context()
        context.check_hostname, context.verify_mode = False, CERT_NONE
        connection: HTTPConnection = HTTPSConnection(parts.netloc, timeout=PATIENCE, context=context)
    else:
        connection = HTTPConnection(parts.netloc, timeout=PATIENCE)
    try:
        connection.request("GET", f"{endpoint.prefix}/")
        response = connection.getresponse()
        return response.status == 401 and "basic" in (response.getheader("WWW-Authenticate") or "").lower()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
