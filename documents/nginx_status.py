"""The status page at the proxy: what it is made of, and where nginx serves it, to who has a password.

One endpoint has it: the first that asks each reader for a password. What the page shows is in two files that others
write: `PAGE`, the service that measures, and `FINDINGS`, `make doctor`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import PurePosixPath

import status_page
from documents import nginx_passwords, pull_instructions
from documents.document import Document
from documents.nginx_text import Directive, block, directive
from documents.pull_instructions import Instructions, Step
from hostctl.nginx_conf import OURS
from hostctl.units.pull_metrics import PAGE
from settings.certificates import Certificate
from settings.proxy import Endpoint
from settings.tier import Tier, endpoint_url

PATH = "/status/"
FOLDER = f"{OURS}/status"
FINDINGS_FOLDER = "/var/lib/http-registry-findings"
FINDINGS = f"{FINDINGS_FOLDER}/findings.json"
PLAIN_PATH = "~^/status(/[a-z]*([.][a-z]+)?)?([?]|$)"
"""The page's paths, as nginx's map of plain paths has them."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Nothing but what the page itself brings (w3.org/TR/CSP3)."""


def endpoint(tier: Tier) -> Endpoint | None:
    """Where the page is served; None where the tier has none."""
    if tier.proxy is None or tier.metrics is None or not tier.metrics.status_page:
        return None
    return next((each for each in tier.proxy.endpoints if tier.asks_readers(each)), None)


def url(tier: Tier) -> str | None:
    """The page's address."""
    found = endpoint(tier)
    return endpoint_url(found) + PATH if found else None


def files(tier: Tier, authorities: Sequence[Certificate]) -> tuple[Document, ...]:
    """What nginx serves as it is. `authorities`: those of the tier."""
    if endpoint(tier) is None:
        return ()
    texts = {**status_page.files()}
    how = "\n".join(map(_panel, pull_instructions.instructions(tier, authorities)))
    where = escape(" · ".join(pull_instructions.names(tier)))
    texts[status_page.INDEX] = texts[status_page.INDEX].replace("<!-- where -->", where).replace("<!-- pull -->", how)
    return tuple(Document(f"{FOLDER}/{name}", text) for name, text in texts.items())


def locations(added: Sequence[Directive]) -> Iterable[Directive]:
    """`added`: headers that each answer bears."""
    types = block("types", body=[directive(kind, suffix) for suffix, kind in status_page.TYPES.items()])
    common = [
        *nginx_passwords.required(),
        types,
        directive("charset", "utf-8"),
        directive("charset_types", "text/css", "text/javascript", "image/svg+xml"),
        # What is written anew is read anew; findings may not be there yet.
        directive("open_file_cache", "off"),
        directive("log_not_found", "off"),
        *added,
        directive("add_header", "Cache-Control", "no-cache", "always"),
        directive("add_header", "Content-Security-Policy", POLICY, "always"),
        directive("add_header", "Referrer-Policy", "no-referrer", "always"),
        directive("add_header", "X-Content-Type-Options", "nosniff", "always"),
    ]
    slash = [directive("absolute_redirect", "off"), directive("return", 301, PATH)]
    yield block("location", "=", PATH.rstrip("/"), body=slash)
    bare = directive("rewrite", f"^{PATH}(.+)$", "/$1", "break")
    ours = [*common, directive("root", FOLDER)]
    index = directive("rewrite", "^", f"/{status_page.INDEX}", "break")
    yield block("location", "=", PATH, body=[*ours, index])
    others = "|".join(each.replace(".", "[.]") for each in status_page.files() if each != status_page.INDEX)
    yield block("location", "~", f"^{PATH}({others})$", body=[*ours, bare])
    json = directive("default_type", "application/json")
    for path in map(PurePosixPath, (PAGE, FINDINGS)):
        yield block("location", "=", PATH + path.name, body=[*common, json, directive("root", str(path.parent)), bare])
    yield block("location", PATH, body=[directive("return", 404)])


def _panel(each: Instructions) -> str:
    setup = ""
    if each.setup:
        steps = "".join(map(_step, each.setup))
        setup = f"<details><summary>On a host that this stack does not set up</summary>{steps}</details>\n"
    steps = "".join(map(_step, each.pull))
    return f'<div class="panel" id="{each.key}"><h3>{escape(each.runtime)}</h3>\n{steps}{setup}</div>'


def _step(each: Step) -> str:
    path = f" <code>{escape(each.path)}</code>" if each.path else ""
    typed = f'<div class="typed"><pre><code>{escape(each.text)}</code></pre></div>'
    return f'<div class="step"><p>{escape(each.says)}{path}</p>{typed}</div>\n'
