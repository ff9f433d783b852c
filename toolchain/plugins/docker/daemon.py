"""A Docker daemon: its API client, made when first needed and shared by all that have the same settings.

Calls run in threads, so that any number of resources can wait for their daemon at a time. An error's text is in the
docker CLI's words, which are the official provider's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from toolchain.plugins.docker.settings import Settings, parsed_settings
from toolchain.plugins.shared.resource import Context, ProviderError

if TYPE_CHECKING:
    from docker.api.client import APIClient

Client: TypeAlias = "APIClient"
Inspected: TypeAlias = dict[str, Any]
"""What the daemon says about one object."""
T = TypeVar("T")
READ_SECONDS: Final = 300
"""How long the daemon may stay silent within one answer."""
OLDEST_API: Final = "1.41"
"""Docker 20.10. The daemon's own version is asked for and used."""
_THREADS: Final = ThreadPoolExecutor(max_workers=32, thread_name_prefix="docker")


class DaemonError(ProviderError):
    """The daemon refused (`status` is the HTTP status) or could not be reached (`status` is 0)."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status

    @property
    def gone(self) -> bool:
        """Whether what was asked for does not exist."""
        return self.status == 404


class Daemon:
    """One daemon. `call` gives a function the client, in a thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: Client | None = None
        self._lock = threading.Lock()

    async def call(self, function: Callable[[Client], T]) -> T:
        """`function(client)`; its failure is a `DaemonError`."""
        return await asyncio.get_running_loop().run_in_executor(_THREADS, self._run, function)

    def _run(self, function: Callable[[Client], T]) -> T:
        # A quarter of a second of imports that a preview does without.
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        adapter: Any = None
        try:
            client = self._connected()
            adapter = client.get_adapter(client.base_url)
            return function(client)
        except APIError as failure:
            text = str(failure.explanation or failure).strip()
            raise DaemonError(f"Error response from daemon: {text}", failure.status_code or 0) from None
        except (DockerException, RequestException, HTTPError, OSError) as failure:
            why = (adapter or self).explain()
            raise DaemonError(
                f"Error pinging Docker server, please make sure that {self.settings.host} is reachable and has a  "
                f"'_ping' endpoint. Error: {why or _innermost(failure)}"
            ) from None

    def close(self) -> None:
        """End its connections; the next call makes new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def explain(self) -> str:
        """Nothing: the client was never made."""
        return ""

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = _client(self.settings)
            return self._client


def _client(settings: Settings) -> Client:
    from docker.api.client import APIClient
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from toolchain.plugins.docker.transport import DialAdapter, dial_for

    adapter = DialAdapter(dial_for(settings))

    def mounted(version: str) -> Client:
        client = APIClient("tcp://localhost:2375", version=version, timeout=READ_SECONDS)
        client.trust_env = False
        client.mount("http+docker://", adapter)
        client.base_url = "http+docker://localhost"
        return client

    try:
        return mounted(mounted(OLDEST_API).version(api_version=False)["ApiVersion"])
    except (DockerException, RequestException) as failure:
        adapter.close()
        raise DockerException(adapter.explain() or _innermost(failure)) from None


def _innermost(failure: BaseException) -> str:
    """The text of the first cause: `[Errno 2] No such file or directory` out of three wrappers."""
    while (cause := failure.__cause__ or (None if failure.__suppress_context__ else failure.__context__)) is not None:
        failure = cause
    return str(failure) or type(failure).__name__


_DAEMONS: Final[dict[Settings, Daemon]] = {}


def daemon_of(context: Context) -> Daemon:
    """The daemon of the provider that `context` belongs to."""
    settings = parsed_settings(context.config)
    return _DAEMONS.setdefault(settings, Daemon(settings))
