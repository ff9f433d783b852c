"""An imagePullSecret, and the service account whose pods use it.

Source: kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from registry_outputs.contract import Outputs


def manifests(outputs: Outputs, namespace: str, name: str = "http-registry") -> dict[str, dict[str, Any]]:
    """Each object by the name of its file. `name`: the secret's."""
    login = b64encode(outputs["dockerconfigjson"].encode()).decode()
    return {
        "secret.yaml": {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": login},
        },
        # Every pod of the namespace that names no other account is this one's.
        "service-account.yaml": {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
            "imagePullSecrets": [{"name": name}],
        },
    }
