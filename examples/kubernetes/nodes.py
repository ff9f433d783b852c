"""hosts.toml for each node's containerd: the mirrors, and the registry's scheme and authority."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from urllib.parse import urlsplit

from documents import containerd_mirrors
from documents.document import Document
from registry_outputs.contract import Outputs
from settings.runtimes import Containerd, ContainerdLogin

CA = "http-registry-ca.crt"


def files(outputs: Outputs) -> Sequence[Document]:
    """The files below containerd's `config_path`, by their paths on a node.

    A mirror that asks for a login gets it from here: the kubelet passes a pull secret to the registry that an image
    names, never to its mirror.
    """
    mirrors, hosted = outputs["mirrors"], list(outputs["endpoints"].values())
    auths = json.loads(outputs["dockerconfigjson"])["auths"]
    logins, passwords = [], {}
    for server in [urlsplit(url).netloc for url in mirrors.values()]:
        if server in auths:
            user, _, password = b64decode(auths[server]["auth"]).decode().partition(":")
            logins.append(ContainerdLogin(registry=server, user=user))
            passwords[logins[-1].secret] = password
    wanted = Containerd(logins=tuple(logins))
    ca, authority = f"{wanted.config_path}/{CA}", outputs["ca_certificate"]
    signed = [urlsplit(url).netloc for url in (*mirrors.values(), *hosted) if authority and url.startswith("https://")]
    rendered = containerd_mirrors.render(wanted, mirrors, hosted, passwords=passwords, cas=dict.fromkeys(signed, ca))
    return (*rendered.files, *([Document(ca, authority)] if authority else []))
