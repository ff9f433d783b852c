"""`python -m ops COMMAND --stack NAME`, where `--help` lists the commands; make calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from lab.process import LabError
from ops.stack import LAB, PROJECT, Stack, StackError, selected
from toolchain.engine import restore_interrupt
from toolchain.errors import EngineError

# What a command alone needs, it imports itself: all of it takes longer than some of the commands.

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
BACKUPS = PROJECT / "backups"
"""Where backups go if nobody says where."""
MarkdownFile = Annotated[Path | None, typer.Option(help="A file for the preview as a pull request's comment.")]
HostName = Annotated[str, typer.Option("--host", help="A host's name in the settings.")]
OneHost = Annotated[str, typer.Option("--host", help="Only what is on this host; all hosts if absent.")]
Renew = Annotated[bool, typer.Option("--renew", help="Every server's certificate, with a new key.")]
Bundle = Annotated[str, typer.Option(help="A folder or tar on the host; the stack's own folder if absent.")]
StackName = Annotated[str, typer.Option("--stack", help="A file stacks/Pulumi.NAME.yaml names it.")]


@contextmanager
def reached(stack: str) -> Iterator[Stack]:
    """The stack, with the keys that open its hosts at hand."""
    from ops.ssh_key import usable

    with selected(stack) as chosen, usable(chosen):
        yield chosen


@app.command()
def up(stack: StackName = LAB, host: OneHost = "") -> None:
    """Make the hosts as the stack says; the lab is started first and the result is proved."""
    from documents import nginx_status
    from ops import one_host
    from ops.configuration import tier_of
    from ops.diagnosis import explained
    from ops.drift import refresh_drift
    from ops.many_hosts import prepare
    from ops.recovery import recover
    from ops.renamed import refuse_renamed
    from ops.secret import telling_what_is_missing
    from ops.ssh_key import told_when_before_is_over

    if stack == LAB:
        _run_lab("up")
    with reached(stack) as chosen, telling_what_is_missing(chosen):
        deployment = recover(chosen)
        refuse_renamed(chosen, deployment)
        tier = tier_of(stack)
        if tier.observe:
            refresh_drift(chosen)
        prepare(chosen.environment, len(tier.hosts))
        # Without the outputs: `documents` has every file of every host.
        options = ("--yes", "--skip-preview", "--suppress-outputs")
        with explained(chosen):
            if host:
                one_host.up(chosen, host, *options)
            else:
                chosen.pulumi("up", *options)
        outputs = chosen.outputs()
        for kind in ("endpoints", "mirrors"):
            for name, url in outputs.get(kind, {}).items():
                print(f"{kind}: {name} {url}", flush=True)
        if page := nginx_status.url(tier):
            print(f"status page: {page}", flush=True)
        if line := told_when_before_is_over(chosen):
            print(line, flush=True)
        if stack == LAB:
            from ops.proof import prove

            if not prove(chosen):
                raise StackError("the lab is up, but not every claim was proved (see the table)")


@app.command()
def preview(stack: StackName = LAB, host: OneHost = "", markdown: MarkdownFile = None) -> None:
    """Show what `up` would change, line by line; reaches no host unless the tier says `observe`."""
    from ops.preview import commented, show_preview
    from ops.secret import telling_what_is_missing
    from ops.stack_file import observes

    with (
        commented(stack, markdown),
        selected(stack, asks_hosts=(asks := observes(stack))) as chosen,
        telling_what_is_missing(chosen),
    ):
        seen = None
        if asks:
            from ops.adopt.observed import new_hosts
            from ops.drift import refresh_drift
            from ops.ssh_key import usable

            with usable(chosen):
                refresh_drift(chosen)
                seen = new_hosts(chosen)
        show_preview(chosen, markdown, _of_one_host(stack, host), seen)


@app.command()
def render(
    stack: StackName = LAB,
    host: OneHost = "",
    out: Annotated[Path | None, typer.Option(help="A folder; .work/render/STACK/HOST if absent.")] = None,
    on: Annotated[str, typer.Option(help="What the machine is: docker=29.7,…; Debian 12 if absent.")] = "",
    base: Annotated[Path | None, typer.Option(help="A folder with the files of its image.")] = None,
) -> None:
    """Write what `up` would write on hosts: trees, and cloud-init documents. Reaches none."""
    from ops.render import render_hosts
    from ops.secret import telling_what_is_missing

    with selected(stack, asks_hosts=False) as chosen, telling_what_is_missing(chosen):
        for line in render_hosts(chosen, host, out, on, base):
            print(line, flush=True)


@app.command()
def drift(stack: StackName = LAB) -> None:
    """Ask the hosts what somebody has changed there, and write it into the state.

    Exit status: 0 where nothing has drifted, 2 where something has, 1 where a host could not be asked.
    """
    from ops.drift import refresh_drift

    with reached(stack) as chosen:
        seen = refresh_drift(chosen)
    raise typer.Exit(1 if seen.silent else 2 if seen.drifted else 0)


@app.command()
def refresh(stack: StackName = LAB) -> None:
    """Read what is there into the state."""
    from ops.configuration import write_known_hosts
    from ops.diagnosis import explained
    from ops.recovery import recover

    with reached(stack) as chosen:
        recover(chosen)
        write_known_hosts(stack)
        with explained(chosen):
            chosen.pulumi("refresh", "--yes", "--skip-preview")


@app.command()
def destroy(stack: StackName = LAB) -> None:
    """Take everything back: each host as it was before."""
    from ops.configuration import tier_of, write_known_hosts
    from ops.diagnosis import explained
    from ops.many_hosts import prepare
    from ops.recovery import recover

    with reached(stack) as chosen:
        recover(chosen)
        prepare(chosen.environment, len(tier_of(stack).hosts))
        write_known_hosts(stack)
        with explained(chosen):
            chosen.pulumi("destroy", "--yes", "--skip-preview")


@app.command()
def gc(stack: StackName = LAB) -> None:
    """Remove now what no image uses, for each registry with a garbage_collection."""
    from ops.collection import collect_garbage

    with reached(stack) as chosen:
        collect_garbage(chosen)


@app.command()
def bundle(stack: StackName = LAB) -> None:
    """Make the bundle of the images that offline_sync wants, or bring it up to date."""
    from ops import offline_sync

    with reached(stack) as chosen:
        offline_sync.make_bundle(chosen)


@app.command(name="bundle-verify")
def bundle_verify(bundle: Bundle = "", stack: StackName = LAB) -> None:
    """Read every byte of a bundle on the host of offline_sync, and tell what is wrong with it."""
    from ops import offline_sync

    with reached(stack) as chosen:
        offline_sync.verify_bundle(chosen, bundle)


@app.command()
def load(bundle: Bundle = "", stack: StackName = LAB) -> None:
    """Verify a bundle, then load it into the registries that offline_sync names."""
    from ops import offline_sync

    with reached(stack) as chosen:
        offline_sync.load_bundle(chosen, bundle)


@app.command()
def prune(
    stack: StackName = LAB,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; else it is only shown.")] = False,
) -> None:
    """Show what left the list of offline_sync, in the bundle's folder and in the registries it was loaded into."""
    from ops import offline_sync

    with reached(stack) as chosen:
        offline_sync.prune(chosen, really=yes)


@app.command()
def forget(host: HostName, stack: StackName = LAB) -> None:
    """Drop a host that is gone for good from the state; nobody asks it any more. Reaches no host."""
    from ops.forget import forget as drop

    with selected(stack, asks_hosts=False) as chosen:
        for name in drop(chosen, host):
            print(f"forgotten: {name}", flush=True)


@app.command()
def reinstalled(host: HostName, stack: StackName = LAB) -> None:
    """Drop from the state what was on a host that has been installed from scratch, for `up` to make it anew."""
    from ops.reinstalled import reinstalled as drop

    with selected(stack) as chosen:
        for line in drop(chosen, host):
            print(line, flush=True)


@app.command()
def move(
    registry: Annotated[str, typer.Option(help="A hosted registry's name.")],
    to: Annotated[str, typer.Option(help="A host's name.")] = "",
    stack: StackName = LAB,
    back: Annotated[bool, typer.Option("--back", help="It stays where it is: let pushes in again.")] = False,
) -> None:
    """Copy a hosted registry's images to another host and hold pushes off, for `up` to bring the registry up there."""
    from ops import move as moving

    with selected(stack) as chosen:
        if back:
            moving.let_in(chosen, registry)
        else:
            moving.move(chosen, registry, to)


@app.command()
def backup(
    stack: StackName = LAB,
    to: Annotated[Path, typer.Option(help="A folder of backups, of any stack.")] = BACKUPS,
    keep: Annotated[
        int | None, typer.Option(min=1, help="How many backups stay there, this one too; all if absent.")
    ] = None,
) -> None:
    """Copy the stack's state, its files and its registries' images into a folder; pushes and pulls go on."""
    from ops.backup import back_up

    with reached(stack) as chosen:
        back_up(chosen, to, keep)


@app.command()
def restore(
    source: Annotated[Path, typer.Option("--from", help="The folder of backups, or of one of them.")],
    stack: StackName = LAB,
    yes: Annotated[
        bool, typer.Option("--yes", help="Overwrite files, state and tags that say something else.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only tell whether the backup is whole.")] = False,
) -> None:
    """Put a stack's backup back: files, state and images, each as far as it is missing. The backup is checked first."""
    from ops import restore as restoring

    restoring.restore(stack, source, overwrite=yes, only_check=check)


@app.command()
def adopt(
    host: Annotated[str, typer.Option("--host", help="Addresses, or names in the stack's file, blanks between.")],
    stack: StackName = "ours",
) -> None:
    """Read hosts that were configured by hand, and print the settings of a stack that say the same; changes nothing."""
    from ops.adopt import adopt as adopt_hosts

    adopt_hosts(host.replace(",", " ").split(), stack)


@app.command()
def reach(
    host: HostName,
    port: Annotated[int, typer.Option(min=1, max=65535)],
    source: Annotated[
        str, typer.Option("--from", help="Who asks: an address, or a host's name; the host itself if absent.")
    ] = "",
    to: Annotated[
        str, typer.Option(help="Whom: an address of the host or a container; the host's own if absent.")
    ] = "",
    interface: Annotated[str, typer.Option(help="Where it comes in; by the host's route to it if absent.")] = "",
    stack: StackName = LAB,
) -> None:
    """Tell whether an address reaches a TCP port of a host, and which rule of whom decides; changes nothing.

    Exit status: 0 where it does, 1 where it does not, 2 where that can't be told or asked.
    """
    from ops.reach import UNKNOWN, Asked, ask_reach

    try:
        with reached(stack) as chosen:
            status = ask_reach(chosen, Asked(host, source, port, to, interface))
    except (StackError, EngineError, LabError) as wrong:
        print(f"ops: {wrong}", file=sys.stderr)
        status = UNKNOWN
    raise typer.Exit(status)


@app.command()
def doctor(
    image: Annotated[str, typer.Option(help="An image reference; without it, what the tier serves is tried.")] = "",
    host: Annotated[str, typer.Option("--host", help="Only this client; all hosts if absent.")] = "",
    stack: StackName = LAB,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document in place of tables.")] = False,
) -> None:
    """Tell why pulls fail: every host walks the way of its pulls and stops at the first break; changes nothing.

    Exit status: 0 where nothing was found, 1 where a host could not be asked, 2 for a wrong question, else the first
    finding's area: 10 reference, 11 runtime, 12 name, 13 connection, 14 tls, 15 access, 16 content, 17 host, 18 server.
    """
    from ops.doctor import Usage, diagnose, say_usage

    try:
        with ExitStack() as until_asked:
            with redirect_stdout(sys.stderr):
                chosen = until_asked.enter_context(reached(stack))
            status = diagnose(chosen, image=image, host=host, as_json=as_json)
    except Usage as wrong:
        status = say_usage(wrong)
    raise typer.Exit(status)


@app.command()
def dashboard() -> None:
    """Print the Grafana dashboard of the metrics, to be imported there."""
    from documents import grafana

    print(json.dumps(grafana.dashboard(), indent=2))


@app.command()
def sdk(language: str = "python", out: Path = Path("sdk")) -> None:
    """Write the component package's SDK for programs in a language."""
    from ops.sdk import write_sdk

    write_sdk(language, out)


@app.command()
def certificates(stack: StackName = LAB, renew: Renew = False) -> None:
    """Sign the endpoints' certificates with an authority of the stack's own, as far as one is missing or near its end.

    Reaches no host; `up` takes them there.
    """
    from ops.certificates import certify
    from ops.configuration import tier_of

    with selected(stack, asks_hosts=False) as chosen:
        for line in certify(chosen, tier_of(stack), PROJECT, renew=renew):
            print(line, flush=True)


@app.command()
def secret(
    key: Annotated[str, typer.Option(help="The secret's name; without it only what is missing is told.")] = "",
    stack: StackName = LAB,
) -> None:
    """Set a secret of a stack: asked for on the terminal, else read from standard input. Reaches no host."""
    from ops.secret import missing_secrets, set_secret, told

    with selected(stack, asks_hosts=False) as chosen:
        if key:
            set_secret(chosen, key)
        for line in told(stack, missing_secrets(chosen)):
            print(line, flush=True)


@app.command(name="ssh-key")
def ssh_key(stack: StackName = LAB) -> None:
    """Make a new SSH key for the stack, and print its public half; `up` takes it to the hosts. Reaches none."""
    from ops.ssh_key import renew

    with selected(stack, asks_hosts=False) as chosen:
        for line in renew(chosen):
            print(line, flush=True)


def _of_one_host(stack: str, host: str) -> list[str]:
    if not host:
        return []
    from ops import one_host

    return one_host.arguments(stack, host)


def _run_lab(command: str) -> None:
    done = subprocess.run([PROJECT / "lab" / command], check=False)
    if done.returncode != 0:
        raise StackError(f"lab/{command} failed; its output above says why")


def main() -> None:
    """Run a command; what can go wrong is told without a traceback."""
    restore_interrupt()
    try:
        app()
    except (StackError, EngineError, LabError) as wrong:
        print(f"ops: {wrong}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
