"""Decides what `make render` makes of the program's requests, and that hostctl then finds nothing left to do.

The requests are the program's own, run without an engine. That the files are those of real hosts is decided in
tests/lab, what cloud-init makes of the document in tests/programs.
"""

from __future__ import annotations

import gzip
import json
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest
import yaml

from hostctl import bcrypt_hash, htpasswd
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.nginx_conf import PULLERS, PUSHERS
from hostctl.store import STATE_FOLDER
from hostctl.transaction import Transactions
from hostctl.units import unit_named
from ops.render_cloud_init import document, packages, to_bring
from ops.render_files import Rendered
from ops.render_machine import DescribedHost, Machine, machine
from ops.render_tree import FILES, TREE, write
from ops.stack import StackError
from tests.paper_site import PASSWORD, asked, of, rendered, run
from tests.unit.docker_host import Docker, answering
from tests.unit.fake_containerd import RELEASES, ContainerdHost


def texts(made: Rendered) -> dict[str, bytes]:
    """The files without hostctl's records."""
    return {each.path: each.content for each in made.files if not each.path.startswith(STATE_FOLDER)}


def booted(made: Rendered, root: Path) -> None:
    """A machine that has the files."""
    for each in made.files:
        path = root / each.path[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.content)
        path.chmod(each.mode)


def test_the_program_tells_what_it_asks_of_each_host_in_the_order_of_an_up() -> None:
    units = [each["unit"] for each in of("site")]
    assert units == ["ssh-access", "firewall", "origin", "nginx-proxy", "garbage-collection", "nginx-proxy"]
    assert [each["unit"] for each in of("docker")] == ["ssh-access", "docker-mirrors", "docker-cli"]
    assert of("site")[3]["wish"]["users"] == [{"name": "pusher", "role": "push", "password": PASSWORD}]
    assert asked()["containers"] == [{"name": "http-registry-hosted", "provider": "site-docker"}]


def test_wrong_settings_are_told_as_a_preview_tells_them() -> None:
    done = run({})
    assert done.returncode == 1
    assert "hosts: is required; add it" in done.stderr
    assert "Traceback" not in done.stderr


def test_hostctl_finds_nothing_left_to_do_for_docker_and_gives_back_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    (base / "etc/docker").mkdir(parents=True)
    foreign = b'{"log-driver": "journald"}\n'
    (base / "etc/docker/daemon.json").write_bytes(foreign)
    made = rendered("docker", tmp_path / "work", base=base)
    root = tmp_path / "machine"
    booted(made, root)
    request = of("docker")[1]
    with answering(Docker(Host(root)), monkeypatch) as docker:
        hostctl = Transactions(Host(root), owner=request["owner"])
        report = hostctl.apply(unit_named("docker-mirrors"), {**request["wish"], "canaries": {}})
        assert (report["result"], report["activation"], docker.reloads) == ("unchanged", "none", [])
        assert docker.live["registry-mirrors"] == ["http://10.20.0.10:5080"]
        hostctl.remove(unit_named("docker-mirrors"))
    assert (root / "etc/docker/daemon.json").read_bytes() == foreign


@pytest.mark.parametrize("version", ["1.6.20", "2.4.2"])
def test_hostctl_finds_nothing_left_to_do_for_containerd(tmp_path: Path, version: str) -> None:
    printed = next(name for name in RELEASES if version in name)
    made = rendered("containerd", tmp_path / "work", f"containerd={version}")
    booted(made, tmp_path / "machine")
    host = ContainerdHost(tmp_path / "machine", printed)
    request = of("containerd")[1]
    hostctl = Transactions(host, owner=request["owner"])
    report = hostctl.apply(unit_named("containerd-mirrors"), {**request["wish"], "canaries": {}})
    assert (report["result"], host.state.restarts) == ("unchanged", 0)
    hostctl.remove(unit_named("containerd-mirrors"))
    assert not (tmp_path / "machine/etc/containerd/config.toml").exists()


def test_the_line_of_the_ssh_key_is_added_to_those_of_others(tmp_path: Path) -> None:
    made = rendered("docker", tmp_path / "work")
    keys = next(each for each in made.files if each.path == "/root/.ssh/authorized_keys")
    assert (keys.added, keys.mode, keys.owner) == (True, 0o600, "root")
    root, theirs = tmp_path / "machine", b"ssh-ed25519 AAAA the-cloud\n"
    booted(made, root)
    (root / "root/.ssh/authorized_keys").write_bytes(theirs + keys.content)
    request = of("docker")[0]
    hostctl = Transactions(DescribedHost(root), owner=request["owner"])
    assert hostctl.apply(unit_named("ssh-access"), request["wish"])["result"] == "unchanged"
    hostctl.remove(unit_named("ssh-access"), whole=True)
    assert (root / "root/.ssh/authorized_keys").read_bytes() == theirs


def test_a_machine_is_written_for_by_what_it_runs(tmp_path: Path) -> None:
    old = texts(rendered("docker", tmp_path / "old"))
    new = texts(rendered("docker", tmp_path / "new", "docker=29.7"))
    graph = texts(rendered("docker", tmp_path / "graph", "docker=29.7,store=graph"))
    assert "/etc/docker/certs.d/docker.io/hosts.toml" in new
    assert (
        old
        == graph
        == {path: text for path, text in new.items() if "hosts.toml" not in path}
        | {"/etc/docker/daemon.json": old["/etc/docker/daemon.json"]}
    )
    assert b"registry-mirrors" in old["/etc/docker/daemon.json"]
    assert b"registry-mirrors" not in new["/etc/docker/daemon.json"]
    nft = texts(rendered("site", tmp_path / "nft", "firewall=nft"))
    assert "/etc/http-registry/firewall.nft" in nft
    assert "/etc/http-registry/firewall.v4" not in nft


def test_files_belong_to_whom_hostctl_gives_them(tmp_path: Path) -> None:
    proxy = {each.path: each for each in rendered("site", tmp_path / "site").files}
    assert (proxy[PULLERS].owner, proxy[PULLERS].group, proxy[PULLERS].mode) == ("root", "www-data", 0o640)
    hashes = htpasswd.hashes_in(proxy[PUSHERS].content)
    assert bcrypt_hash.verifies(PASSWORD, hashes["pusher"])
    made = rendered("docker", tmp_path / "docker")
    login = next(each for each in made.files if each.path == "/home/ci/.docker/config.json")
    assert (login.owner, login.group, login.mode, login.numbers) == ("ci", "ci", 0o600, None)
    folder = next(each for each in made.folders if each.path == "/home/ci/.docker")
    assert (folder.owner, folder.mode) == ("ci", 0o700)


def test_what_starts_at_boot_is_linked(tmp_path: Path) -> None:
    made = rendered("site", tmp_path / "work")
    ours = ["http-registry-firewall.service", "http-registry-origin.socket", "http-registry-gc-hosted.timer"]
    wants = "/etc/systemd/system/multi-user.target.wants"
    assert dict(made.links) == {f"{wants}/{name}": f"/etc/systemd/system/{name}" for name in ours}
    assert list(made.services) == [ours[0], ours[1], "nginx.service", ours[2]]
    assert "/var/cache/nginx/http-registry" in [each.path for each in made.folders]


def test_twice_the_same_is_the_same(tmp_path: Path) -> None:
    first, second = (rendered("containerd", tmp_path / name) for name in ("a", "b"))
    assert first == second
    assert document(first, Machine(), "x") == document(second, Machine(), "x")


def test_the_cloud_init_document_holds_each_file_as_it_is(tmp_path: Path) -> None:
    made = rendered("site", tmp_path / "work")
    text = document(made, Machine(), "site")
    assert text.startswith("#cloud-config\n")
    parsed = yaml.safe_load(text)
    for file, entry in zip(made.files, parsed["write_files"], strict=True):
        raw = entry["content"].encode()
        assert (gzip.decompress(b64decode(raw)) if "encoding" in entry else raw) == file.content, file.path
        assert entry["permissions"] == f"{file.mode:04o}"
    assert parsed["packages"] == ["iptables", "nginx-light", "python3"]
    commands = [" ".join(each) for each in parsed["runcmd"]]
    assert commands[-1] == "systemctl restart http-registry-gc-hosted.timer"
    assert commands.index("systemctl daemon-reload") < commands.index("systemctl restart nginx.service")


def test_a_program_that_is_not_debians_is_the_images_to_bring(tmp_path: Path) -> None:
    made = rendered("docker", tmp_path / "work", "docker=29.7")
    assert (packages(made, machine("docker=29.7")), to_bring(made, machine("docker=29.7"))) == (
        ["python3"],
        ["docker 29.7"],
    )
    assert packages(made, Machine()) == ["docker.io", "python3"]


def test_a_folder_is_ones_own_and_holds_one_rendering(tmp_path: Path) -> None:
    made, out = rendered("site", tmp_path / "work"), tmp_path / "out"
    write(out, made, "one", {"stack": "paper"})
    (out / TREE / "of-before").touch()
    write(out, made, "two", {"stack": "paper"})
    assert not (out / TREE / "of-before").exists()
    assert out.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (out / FILES, out / "cloud-init.yaml")} == {0o600}
    told = json.loads((out / FILES).read_text())
    for each in told["files"]:
        path = out / TREE / each["path"][1:]
        assert f"{path.stat().st_mode & 0o7777:04o}" == each["mode"]
    assert PASSWORD not in (out / FILES).read_text()
    done = subprocess.run(["git", "check-ignore", "-q", out / TREE], cwd=out, check=False)
    assert done.returncode in (0, 128)


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    made = rendered("containerd", tmp_path / "work")
    with pytest.raises(StackError, match="holds mine, which no rendering has made; name an empty folder"):
        write(tmp_path, made, "", {})
    assert (tmp_path / "mine").read_text() == "mine"


def test_all_that_is_wrong_with_a_machine_is_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"ON=") as told:
        machine("docker=new,store=disk,ipv6=maybe,size=9,containerd=2.4")
    for wrong in (
        "docker=new: must be a version, such as 1.6.20",
        "store=disk: must be containerd or graph",
        "ipv6=maybe: must be yes or no",
        "size=9: must be NAME=VALUE, with a name out of docker, containerd",
    ):
        assert wrong in str(told.value)
    assert machine("containerd=2.4,ktls=yes") == Machine(containerd="2.4", ktls=True)


def test_an_old_docker_is_refused_as_on_its_host(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"Docker 19\.3 is older than 20\.10"):
        rendered("docker", tmp_path / "work", "docker=19.3")


def test_a_number_that_only_the_image_knows_is_asked_for(tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "etc/nginx").mkdir(parents=True)
    (base / "etc/ca-certificates").mkdir()
    (base / "etc/nginx/nginx.conf").write_text("user nginx;\nhttp { include /etc/nginx/conf.d/*.conf; }\n")
    with pytest.raises(HostError, match=r"the number of the group nginx, .* say BASE=folder"):
        rendered("site", tmp_path / "without", base=base)
    (base / "etc/group").write_text("root:x:0:\nnginx:x:991:\n")
    (base / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nnginx:x:991:991::/nowhere:/bin/false\n")
    made = {each.path: each for each in rendered("site", tmp_path / "with", base=base).files}
    assert b"Group=991\n" in made["/etc/systemd/system/nginx.service.d/http-registry.conf"].content
    assert made[PULLERS].numbers == (0, 991)


def test_a_described_machine_makes_up_no_answers(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="dockerd --validate: a machine that is only described can't answer that"):
        DescribedHost(tmp_path).run("dockerd", "--validate")
