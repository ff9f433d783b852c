"""Files that this project wrote itself, as a disk fault, an older version or a hand may have left them."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from fuzz.target import Target, promised, texts
from fuzz.targets.logs import LINE
from garbage_collection import program as garbage_collection
from hostctl import __main__ as hostctl
from hostctl import reach, replicas, rule_steps
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.store import Owned, Record, Store
from offline_sync import config as offline_config
from offline_sync import load
from offline_sync.failure import Failure
from ops import checkpoint
from ops.backup_folder import CONTENTS, DIGEST_FILE, _sha256, checked
from ops.backup_snapshot import Snapshot
from ops.stack import StackError
from origin import config as origin_config
from pull_metrics import config as metrics_config
from pull_metrics.program import Service as Metrics


def run_record(data: bytes) -> None:
    """hostctl's record and journal of a unit: read, or HostError that says which file."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Host(Path(folder)))
        for kind in ("units", "journal", "confirmation"):
            (store.folder / kind).mkdir(parents=True)
            (store.folder / kind / "x.json").write_bytes(data)
        assert store.units() == {"x"}
        for read in (store.record, store.journal, store.confirmation):
            with promised(HostError):
                read("x")


def run_request(data: bytes) -> None:
    """A request on hostctl's stdin."""
    with promised(HostError):
        hostctl.read_request(data)
    with promised(HostError):
        reach.read_question(reach.read_request(data))
    with promised(HostError):
        replicas.read_request(data)
    with promised(ValueError):
        rule_steps.masked(data.decode(errors="replace"))


METRICS: dict[str, Any] = {
    "stack": "s",
    "generation": "g",
    "listen": ["127.0.0.1"],
    "port": 9,
    "log": "/nonexistent",
    "quiet": 10,
    "caches": ["c"],
    "endpoints": [{"server": "h", "port": 443, "registry": "c"}],
    "folders": [{"what": "cache", "registry": "c", "path": "/x", "most": 1}],
    "parts": [{"kind": "registry", "name": "c", "url": "http://127.0.0.1:1/"}],
    "certificates": {"h:443": 1.0},
    "relayed": {"/x": "http://y"},
    "state": "/nonexistent",
    "page": "/nonexistent",
}
STATE = {
    "log": {"inode": 1, "offset": 2},
    "held": [json.dumps(LINE)],
    "pulls": {
        "open": [
            {
                "endpoint": ["h", 443],
                "client": "c",
                "agent": "docker/1",
                "runtime": "docker",
                "repository": "a",
                "reference": "1",
                "began": 1.0,
                "ended": 2.0,
                "asked": 2.0,
                "objects": {"manifests/1": ""},
                "cuts": {},
                "questions": [["HEAD", 200, ""]],
                "blobs": False,
            }
        ],
        "refused": [],
    },
    "figures": {
        "http_registry_served_bytes_total": [[["c"], [5.0]]],
        "points": [{"at": 300, "succeeded": 1, "times": [0.5]}],
    },
}


def run_metrics_state(data: bytes) -> None:
    """What the metrics' service goes on with after a restart: it starts, whatever is there."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        state = Path(folder, "state")
        state.write_bytes(data)
        text = json.dumps({**METRICS, "state": str(state), "page": str(Path(folder, "page"))})
        service = Metrics(metrics_config.read(text))
        service.step()
        service.text()
        service.write()
        json.loads(state.read_text())


def run_configs(data: bytes) -> None:
    """The configurations of the programs on a registry's host; each says what is wrong with its own."""
    text = data.decode(errors="replace")
    with promised(metrics_config.ConfigError):
        metrics_config.read(text)
    with promised(origin_config.ConfigError):
        origin_config.read(text)
    with promised(ValueError):
        garbage_collection.configured(text, look=False)
    with tempfile.TemporaryDirectory() as folder, promised(Failure):
        Path(folder, "config.json").write_bytes(data)
        offline_config.read(Path(folder, "config.json"))


def run_loaded(data: bytes) -> None:
    """What has been loaded of bundles: read, or Failure."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, load.LOADED).write_bytes(data)
        config = offline_config.Config("n", Path(folder), "", Path(folder), (), {}, {}, {})
        with promised(Failure):
            for each in load.loaded(config):
                assert each.name


def run_backup(data: bytes) -> None:
    """A backup whose digest is right, and a registry's links in it: whole, or StackError."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "s", "2026-11-27T113000Z")
        place.mkdir(parents=True)
        (place / CONTENTS).write_bytes(data)
        (place / DIGEST_FILE).write_text(f"{_sha256(data)}  {CONTENTS}\n")
        with promised(StackError):
            checked(place, "s")
    with promised(ValueError):
        read = Snapshot.read(data.decode(errors="replace"))
        for path in (*read.links, *read.blobs):
            assert not Path("/x", path).resolve().relative_to("/x").is_absolute(), path
        read.lacking(lambda _: data)


def run_checkpoint(data: bytes) -> None:
    """pulumi's own file of a stack, cut off: mended without an error, and never the good one lost."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        stacks = Path(folder, ".pulumi", "stacks", checkpoint.PROJECT_NAME)
        stacks.mkdir(parents=True)
        (stacks / "s.json").write_bytes(data)
        (stacks / "s.json.bak").write_bytes(b"{}")
        (stacks / "s.json.attrs").write_bytes(data)
        checkpoint.mend(f"file://{folder}", "s")
        json.loads((stacks / "s.json").read_bytes())


OWNED = Owned(FileState(b"x"), "d", {"keys": []}, ["0644", "0:0"])
RECORD = Record({"/etc/x": OWNED}, ["/etc/y"], {"a": 1}, "t", "p/s/h")
GC = {
    "untagged": False,
    "spare": 60,
    "bucket": {"endpoint": "http://x", "region": "r", "bucket": "b"},
    "access": "a",
    "secret": "s",
}
ORIGIN = {"generation": "g", "registries": {"hub": {"bases": ["https://x"], "user": "u", "password": "p"}}}
JOURNAL = {
    "transaction": "t",
    "before": {"/x": None},
    "after": {"/x": FileState(b"y").to_json()},
    "facts_before": {},
    "facts": {},
    "ours": {},
    "keeps_record": True,
    "created": [],
    "obsolete": [],
    "put_aside": {},
    "transit": [],
    "swapping": False,
    "level": "none",
}
OFFLINE = {
    "name": "n",
    "folder": "/f",
    "tar": "",
    "state": "/s",
    "images": [],
    "sources": {},
    "targets": {},
    "auth": "config.json",
    "auths": {"h": {"auth": "x"}},
}
LOADED = [
    {"bundle": "b", "registry": "r", "repository": "a", "tag": "1", "digest": "d", "manifests": ["d"], "left": False}
]
BACKUP = {"format": 1, "stack": "s", "made": "2026-11-27T113000Z", "registries": {}, "files": {}}
SNAPSHOT = {
    "links": {"repositories/a/_layers/sha256/aa/link": "sha256:" + "a" * 64},
    "blobs": {"blobs/sha256/aa/" + "a" * 64 + "/data": 3},
}
QUESTION = {
    "from": "10.0.0.1",
    "port": 443,
    "registry": "r",
    "container": "c",
    "scheme": "http",
    "place": 1,
    "seconds": 2,
    "owner": "o",
    "unit": "u",
    "wish": {},
}
JSON = ("{", "}", "[", "]", '"', ":", ",", "null", "true", "1", "-1", "1e999", "NaN", "..", "\ud7ff")


def _json(*documents: Any) -> tuple[bytes, ...]:
    return tuple(json.dumps(each).encode() for each in documents)


TARGETS = (
    Target("hostctl-record", run_record, _json(RECORD.to_json(), JOURNAL), (*JSON, '"files"', '"before"', '"content"')),
    Target("hostctl-request", run_request, (*_json(QUESTION), *texts("0x1/0xff")), JSON),
    Target("metrics-state", run_metrics_state, _json(STATE), JSON),
    Target("service-configs", run_configs, _json(METRICS, GC, ORIGIN, OFFLINE), JSON),
    Target("loaded-json", run_loaded, _json(LOADED), JSON),
    Target("backup", run_backup, _json(BACKUP, SNAPSHOT), JSON),
    Target("checkpoint", run_checkpoint, _json({"version": 3}), JSON),
)
