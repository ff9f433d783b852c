"""Logs: nginx's access log, runtimes' journals; and secrets, which no line that we show may keep."""

from __future__ import annotations

import json

from doctor import journals
from doctor.finding import BROKEN, OK, Finding, Seen
from doctor.pull import Image, Pull, Wanted
from fuzz.target import Target, cases, promised, texts
from hostctl import containerd_versions, docker_engine, docker_state, log_lines, masking
from hostctl.errors import HostError
from pull_metrics import access_log
from pull_metrics.figures import Figures
from pull_metrics.in_order import InOrder
from pull_metrics.pulls import Pulls

LINE = {
    "at": "1795764200.100",
    "seconds": "0.012",
    "client": "192.168.1.21",
    "user": "ci",
    "server": "192.168.1.11",
    "port": "443",
    "agent": "docker/29.0.0 go/go1.26",
    "request": "GET /v2/team/app/manifests/1 HTTP/1.1",
    "status": "200",
    "bytes": "428",
    "length": "428",
    "range": "bytes=0-427",
    "request_bytes": "310",
    "cache": "MISS",
    "upstream_bytes": "428, 12 : 3",
}
PULL = Pull("docker", Image("docker.io", "library/app", "1"), Wanted(("http://192.168.1.11:5080",)))
SECRET = "geheim0"


def run_access_log(data: bytes) -> None:
    """A log that a client fills: each line counts or does not, what is kept is read again, what is shown is text."""
    served = {("192.168.1.11", 443): "team"}
    figures, pulls, order, ours = Figures(served), Pulls(10), InOrder(), []
    for line in data.split(b"\n")[:200]:
        request = access_log.parsed(line)
        figures.line(request is not None)
        if request is None or not figures.serves(request):
            continue
        figures.request(request)
        ours.append((line, request))
    given = order.take(ours[::2]) + order.take(ours[1::2])
    order = InOrder(json.loads(json.dumps(order.as_data())))
    given += order.take([])
    assert len(given) == len(ours)
    for request in given:
        for pull in pulls.take(request):
            figures.pull(pull)
    again = Pulls(10, json.loads(json.dumps(pulls.as_data())))
    assert json.dumps(again.as_data()) == json.dumps(pulls.as_data())
    for pull in pulls.settle(1e12):
        figures.pull(pull)
    kept = json.loads(json.dumps(figures.as_data()))
    assert json.dumps(Figures(served, kept).as_data()) == json.dumps(kept)
    for each in figures.text():
        assert "\n" not in each, each
    json.dumps(figures.summary(2e9, 1), allow_nan=False)


def run_runtime_log(data: bytes) -> None:
    """A journal as doctor reads it, and lines as hostctl does."""
    text = data.decode(errors="replace")
    lines = journals.read(text)
    finding = Finding("connection-refused", "x", "y", {})
    for state in (OK, BROKEN):
        journals.confirmed(Seen("connection", state, "", (finding,)), PULL, lines)
    journals.newest(journals.after_success(journals.about(lines, ["library/app"])))
    for line in text.splitlines()[:50]:
        log_lines.fields(line)
        docker_state.refused(line)
        journals.cause_of(line)
    with promised(HostError):
        containerd_versions.release(containerd_versions.number(text))
    with promised(HostError):
        docker_engine.known(text[:200])


def run_masked(data: bytes) -> None:
    """A login in a URL, a secret behind its key: gone, whatever stands around them."""
    before, _, after = data.decode(errors="replace").partition("\n")
    text = f'{before}\nhttp://user:{SECRET}@host/ password = "{SECRET}"\n{after}'
    if not set("\"'[\\") & set(before):  # an open quote or list makes another text of what follows
        assert SECRET not in masking.masked(text), masking.masked(text)
    try:
        value = json.loads(after)
    except (ValueError, RecursionError):
        return
    assert SECRET not in str(masking.masked_value("password", [SECRET, value]))


TARGETS = (
    Target(
        "access-log",
        run_access_log,
        (
            "\n".join(
                json.dumps({**LINE, "request": f"{method} /v2/team/app/{what} HTTP/1.1", "status": status})
                for method, what, status in (
                    ("HEAD", "manifests/1", "200"),
                    ("GET", "manifests/sha256:" + "a" * 64, "200"),
                    ("GET", "blobs/sha256:" + "b" * 64, "206"),
                    ("GET", "blobs/sha256:" + "b" * 64, "499"),
                    ("PUT", "manifests/1", "201"),
                )
            ).encode(),
            json.dumps(LINE).encode(),
        ),
        (
            '"at": "',
            '"nan"',
            '"inf"',
            '"1e400"',
            "HEAD ",
            "manifests/",
            "blobs/",
            "bytes=0-",
            '"status": "401"',
            '"user": ""',
            "/v2/ ",
            "\\u0000",
            "HIT",
        ),
    ),
    Target(
        "runtime-log",
        run_runtime_log,
        cases("doctor/journal.txt"),
        ("level=error ", 'msg="', 'error="', "dockerd[1]: ", '\\"', "PullImage ", "library/app"),
    ),
    Target(
        "masked",
        run_masked,
        texts('a\n{"token": ["x"]}', 'password: "x\n', 'Authorization "Basic x"\n'),
        ("password", "token: ", "://", "@", '"', "[", "authorization ", "\\"),
    ),
)
