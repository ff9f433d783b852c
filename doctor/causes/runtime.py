"""The causes that the step `runtime` can name: what the runtime runs with is not what the settings want."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import CONTROLLER, Cause

REPAIR = ((CONTROLLER, "make drift STACK={stack}"), (CONTROLLER, "make up STACK={stack}"))
"""Finds what somebody has changed of what is ours, and writes it anew; what stood there is put aside."""
EDIT = ("{host}", "${EDITOR:-vi} {file}")
BY_HAND = (("{host}", "{edit}"), ("{host}", "{reading}"), *REPAIR)
"""The first two where a file has parts of others: what they have put there stays at `make up`."""
NO_PROXY = "/etc/systemd/system/{service}.service.d"

CAUSES: Tuple[Cause, ...] = (
    Cause(
        "runtime-down",
        "Cannot connect to the Docker daemon; connection error … containerd.sock",
        "The runtime does not run, or does not answer, so nobody pulls anything.",
        "Start it. Where it ends again, its journal says why: journalctl -u {service}.",
        (("{host}", "systemctl restart {service}"),),
        (
            r"Cannot connect to the Docker daemon",
            r"(dial|Error while dialing).* unix /run/containerd/containerd\.sock: connect:",
            r"dial unix (/var)?/run/docker\.sock: connect:",
        ),
    ),
    Cause(
        "runtime-config-broken",
        "unable to configure the Docker daemon with file …; containerd: failed to load TOML",
        "The runtime refuses its configuration file: it does not start with it, or runs on with what it had before.",
        "Correct {file} where the evidence says; what is in it of ours comes back by `make up`.",
        (EDIT, ("{host}", "{reading}"), *REPAIR),
        (
            r"unable to configure the Docker daemon with file",
            r"failed to start daemon: invalid mirror",
            r"merged configuration validation from file and command line flags failed",
            r"containerd: failed to (load|unmarshal) TOML",
            r"Failure unmarshaling TOML",
            r"Ignoring unknown key in TOML",
            r"failed to load plugin .*invalid plugin config(?!: `mirrors`)",
        ),
    ),
    Cause(
        "deprecated-mirrors",
        "`mirrors` cannot be set when `config_path` is provided",
        "config.toml has the deprecated table registry.mirrors beside config_path. containerd's CRI does not load with "
        "both, so the kubelet and crictl can't pull at all.",
        "Take registry.mirrors out of {where}, or say `migrate_deprecated: true` of this host's containerd and `make "
        "up`: they become hosts.toml files then.",
        (("{host}", "{correction}"), ("{host}", "{reading}")),
        (
            r"`mirrors` cannot be set when `config_path` is provided",
            r"unknown service runtime\.v1\.ImageService",
        ),
    ),
    Cause(
        "hosts-toml-broken",
        "failed to decode hosts.toml; unable to read CA cert",
        "The runtime can't use this hosts.toml. One that it can't decode is passed over with a line in its log, and "
        "the real registry is asked in its place; one that names a file which is not there makes every pull fail.",
        "Have it written anew; somebody's edit is put aside beside it. One that is not ours has to be corrected.",
        REPAIR,
        (
            r"failed to decode \S*hosts\.toml(?!.*(SkipVerify|to bool))",
            r"unable to (read|load) CA cert",
            r"failed to load X509 key pair",
        ),
    ),
    Cause(
        "login-file-broken",
        "Error loading config file",
        "Docker's command line can't read its file of logins, so that it sends none.",
        "Correct {where} as the evidence says, or move it away and log in again.",
        (("{host}", "${EDITOR:-vi} {where}"),),
        (r"Error loading config file",),
    ),
    Cause(
        "mirror-missing",
        "The image comes from elsewhere, or: lookup registry-1.docker.io: no such host",
        "The settings want this host to pull through a mirror, and the runtime's files do not name it. It asks the "
        "real registry.",
        "Have the mirror written anew.",
        REPAIR,
    ),
    Cause(
        "mirror-not-in-force",
        "The file names the mirror, and the runtime does not ask it",
        "The file is right, and the process that runs has not read it since.",
        "Have the runtime read it. A restart of containerd keeps running containers.",
        (("{host}", "{reading}"),),
    ),
    Cause(
        "mirror-ignored-two-endpoints",
        "daemon.json names the mirror, and dockerd does not ask it",
        "Docker with the containerd image store reads hosts.toml. Where that names two endpoints or more, a `server` "
        "counts too, it ignores registry-mirrors of daemon.json for this registry.",
        "Have {where} written anew: the mirror belongs there. What somebody wrote is put aside beside it.",
        REPAIR,
    ),
    Cause(
        "mirror-ignored-config-path",
        "The mirror's hosts.toml is there, and containerd does not ask it",
        "containerd looks for hosts.toml below config_path of its CRI, and that is another folder, none, or a list of "
        "folders, which from 2.1 on counts as no folder at all.",
        "Set config_path to /etc/containerd/certs.d, or empty it: `make up` leaves another folder, as somebody's wish. "
        "A restart of containerd keeps running containers.",
        (EDIT, ("{host}", "{reading}"), *REPAIR),
    ),
    Cause(
        "mirror-ignored-skip-verify",
        "failed to decode hosts.toml: cannot decode TOML string into … SkipVerify of type bool",
        "skip_verify is true or false, without quotes. With anything else the whole hosts.toml is passed over with a "
        "line in the log, the mirror in it too, and the real registry is asked.",
        "Have the file written anew. A mirror over HTTP needs no skip_verify; one over HTTPS an authority.",
        REPAIR,
        (r"failed to decode \S*hosts\.toml.*(SkipVerify|to bool)",),
    ),
    Cause(
        "silent-fallback",
        "Pulls succeed, and the image comes from elsewhere",
        "The runtime asks somebody whom the settings leave out: another mirror first, or the real registry when ours "
        "fails. That costs rate limit and traffic, and hides that the mirror is broken.",
        "Have {where} written anew, or say `fallback: true` of this host's runtimes if it may. What others have "
        "put into daemon.json or config.toml stays at `make up`: take it out by hand.",
        BY_HAND,
    ),
    Cause(
        "plain-http-missing",
        "http: server gave HTTP response to HTTPS client; dial tcp …:443: connect: connection refused",
        "This registry speaks HTTP, and nothing tells the runtime so: neither insecure-registries of daemon.json nor a "
        "hosts.toml. It asks by HTTPS.",
        "Have it written anew.",
        REPAIR,
    ),
    Cause(
        "mirror-login-not-sent",
        "no basic auth credentials, and the pull goes on to the real registry",
        "The mirror asks for a login, and dockerd sends a mirror none, whatever `docker login` has saved (moby#30880).",
        "Say `logins` of this host's docker in the settings: `make up` then puts a relay before dockerd, or a header "
        "into hosts.toml. Or drop `login: true` of the endpoint. If the settings are so already, have it written anew.",
        BY_HAND,
    ),
    Cause(
        "relay-down",
        "dial tcp 127.0.0.1:5079: connect: connection refused",
        "dockerd asks its mirror through our relay on this host, which adds the login, and the relay does not answer.",
        "Start it. Where it ends again: journalctl -u {service}.",
        (("{host}", "systemctl restart {service}"),),
        (r"127\.0\.0\.\d+:5079.*connect: connection refused",),
    ),
    Cause(
        "proxy-environment",
        "proxyconnect tcp: …",
        "The runtime's service has a proxy in its environment, which stands between it and the registry and does not "
        "get there.",
        "Leave the registry out of it by NO_PROXY. The restart stops Docker's containers, unless live-restore is on.",
        (
            ("{host}", f"mkdir -p {NO_PROXY}"),
            (
                "{host}",
                f"printf '[Service]\\nEnvironment=\"NO_PROXY={{no_proxy}}\"\\n' > {NO_PROXY}/zz-no-proxy.conf",
            ),
            ("{host}", "systemctl daemon-reload && systemctl restart {service}"),
        ),
        (r"proxyconnect tcp:", r"Proxy Authentication Required"),
    ),
)
