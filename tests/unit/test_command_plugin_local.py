"""Decides the rules of local.Command, and those that both commands share, without an engine.

That the engine agrees (replacement by triggers, secrets in the state) is decided by
tests/preview/test_engine_command.py.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.unit.command_plugin_host import context
from toolchain.plugins.command.local import LocalCommand
from toolchain.plugins.command.running import go_quote
from toolchain.plugins.shared.diff import inputs_diff
from toolchain.plugins.shared.log import SilentLog
from toolchain.plugins.shared.resource import Created, DiffRequest, Failure, ProviderError
from toolchain.plugins.shared.values import UNKNOWN, Props, Secret

KIND = LocalCommand()
CONTEXT, _ = context(KIND.token)


def create(inputs: Props, preview: bool = False) -> Created:
    return asyncio.run(KIND.create(CONTEXT, inputs, preview))


def update(old: Props, new: Props, preview: bool = False) -> Props:
    inputs = {name: value for name, value in old.items() if name not in ("stdout", "stderr")}
    return asyncio.run(KIND.update(CONTEXT, "id", old, inputs, new, preview))


def check(inputs: Props) -> tuple[Failure, ...]:
    return KIND.unsupported(inputs) or asyncio.run(KIND.check(CONTEXT, {}, inputs)).failures


def test_id_is_the_name_and_eight_hex_digits() -> None:
    assert re.fullmatch(r"thing[0-9a-f]{8}", create({"create": "true"}).id)


@pytest.mark.parametrize(
    ("inputs", "stdout", "stderr"),
    [
        ({"create": "echo out; echo err >&2"}, "out", "err"),
        ({"create": "printf 'a\\n\\n'"}, "a\n", ""),
        ({"create": "printf a"}, "a", ""),
        ({}, "", ""),
        ({"create": "cat", "stdin": "from stdin"}, "from stdin", ""),
        ({"create": "cat", "stdin": Secret("hidden")}, "hidden", ""),
        ({"create": "cat", "stdin": ""}, "", ""),
        ({"create": "echo $A", "environment": {"A": Secret("b")}}, "b", ""),
        ({"create": "pwd", "dir": "/"}, "/", ""),
        ({"create": "print(1+1)", "interpreter": ["python3", "-c"]}, "2", ""),
        ({"create": "echo x", "logging": "none"}, "x", ""),
        ({"create": "printf '\\377'"}, "\ufffd", ""),
    ],
)
def test_create_runs_and_keeps_the_output(inputs: Props, stdout: str, stderr: str) -> None:
    assert create(inputs).state == {**inputs, "stdout": stdout, "stderr": stderr}


def test_a_preview_runs_nothing_and_leaves_the_outputs_unknown(tmp_path: Path) -> None:
    inputs: Props = {"create": f"touch {tmp_path}/ran"}
    assert create(inputs, preview=True).state == {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("new", "stdout"),
    [
        ({"create": "echo c", "update": "echo u"}, "u"),
        ({"create": "echo c"}, "c"),
        ({"delete": "echo d"}, "before"),
        ({"update": "echo $PULUMI_COMMAND_STDOUT-$PULUMI_COMMAND_STDERR"}, "before-warned"),
        ({"update": "echo x$PULUMI_COMMAND_STDOUT", "addPreviousOutputInEnv": False}, "x"),
        (
            {"update": "echo $PULUMI_COMMAND_STDOUT", "environment": {"PULUMI_COMMAND_STDOUT": "user"}},
            "before",
        ),
    ],
)
def test_update_runs_update_else_create_else_nothing(new: Props, stdout: str) -> None:
    old: Props = {"create": "echo old", "stdout": "before", "stderr": "warned"}
    assert update(old, new)["stdout"] == stdout


@pytest.mark.parametrize(
    ("new", "stdout"),
    [({"create": "a"}, "before"), ({"create": "b"}, UNKNOWN), ({"create": "a", "stdin": UNKNOWN}, UNKNOWN)],
)
def test_preview_of_an_update_knows_the_output_only_when_nothing_changed(new: Props, stdout: object) -> None:
    assert update({"create": "a", "stdout": "before", "stderr": ""}, new, preview=True)["stdout"] == stdout


def test_delete_runs_in_the_old_states_surroundings(tmp_path: Path) -> None:
    state: Props = {
        "delete": "echo $PULUMI_COMMAND_STDOUT $A $(cat) > gone",
        "dir": str(tmp_path),
        "environment": {"A": "a"},
        "stdin": "in",
        "stdout": "made",
        "stderr": "",
    }
    asyncio.run(KIND.delete(CONTEXT, "id", state))
    assert (tmp_path / "gone").read_text() == "made a in\n"


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"create": "echo a; exit 3"}, 'exit status 3: running "echo a; exit 3":\na\n'),
        ({"create": 'echo "é" >&2; exit 1'}, 'exit status 1: running "echo \\"é\\" >&2; exit 1":\né\n'),
        ({"create": "kill -9 $$"}, 'signal: killed: running "kill -9 $$":\n'),
        ({"create": "x", "dir": "/nowhere"}, 'chdir /nowhere: no such file or directory: running "x":\n'),
        (
            {"create": "x", "interpreter": ["no-such-shell"]},
            'exec: "no-such-shell": executable file not found in $PATH: running "x":\n',
        ),
    ],
)
def test_a_failure_has_the_official_text(inputs: Props, text: str) -> None:
    with pytest.raises(ProviderError) as failure:
        create(inputs)
    assert str(failure.value) == text


@pytest.mark.parametrize(
    ("logging", "lines"),
    [
        (None, {"out", "err"}),
        ("stdoutAndStderr", {"out", "err"}),
        ("stdout", {"out"}),
        ("stderr", {"err"}),
        ("none", set()),
    ],
)
def test_lines_of_the_chosen_streams_are_logged_as_status(logging: str | None, lines: set[str]) -> None:
    place, log = context(KIND.token)
    asyncio.run(KIND.create(place, {"create": "echo out; echo err >&2", "logging": logging}, False))
    assert {message for _, message, _ in log.messages} == lines
    assert all(severity == "INFO" and status for severity, _, status in log.messages)


def test_a_line_is_of_one_stream() -> None:
    place, log = context(KIND.token)
    command = "printf ou; sleep 0.05; printf er >&2; sleep 0.05; echo t; echo r >&2"
    asyncio.run(KIND.create(place, {"create": command}, False))
    assert {message for _, message, _ in log.messages} == {"out", "err"}


def test_blank_lines_are_logged_too() -> None:
    place, log = context(KIND.token)
    asyncio.run(KIND.create(place, {"create": "printf 'a\\n\\nb'"}, False))
    assert [message for _, message, _ in log.messages] == ["a", "", "b"]


def test_a_line_over_64_kib_ends_the_logging_but_not_the_capture() -> None:
    place, log = context(KIND.token)
    long = "head -c 70000 /dev/zero | tr '\\0' x; echo; echo after"
    created = asyncio.run(KIND.create(place, {"create": f"echo before; {long}"}, False))
    assert [message for _, message, _ in log.messages] == ["before"]
    assert str(created.state["stdout"]).endswith("x\nafter")


@pytest.mark.parametrize(("command", "size"), [("true", 0), ("cat", 3_000_000)])
def test_much_stdin_is_read_or_left(command: str, size: int) -> None:
    state = create({"create": command, "stdin": "x" * 3_000_000, "logging": "none"}).state
    assert len(str(state["stdout"])) == size


def test_commands_run_side_by_side() -> None:
    async def five() -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.gather(*(KIND.create(CONTEXT, {"create": "sleep 0.4"}, False) for _ in range(5)))
        return loop.time() - started

    assert asyncio.run(five()) < 1.6


@pytest.mark.parametrize(
    ("inputs", "property", "words"),
    [
        ({"assetPaths": ["*"]}, "assetPaths", "no input `assetPaths` in the offline plugin"),
        ({"archivePaths": ["*"]}, "archivePaths", "install the official plugin"),
        ({"connection": {}}, "connection", "no input `connection`"),
        ({"create": 1.0}, "create", "must be a string, but is a number"),
        ({"triggers": "a"}, "triggers", "must be an array"),
        ({"environment": {"A": 1.0}}, "environment", "must be a map of strings"),
        ({"logging": "loud"}, "logging", "must be one of none, stderr, stdout, stdoutAndStderr"),
        ({"interpreter": [1.0]}, "interpreter", "must be an array of strings"),
    ],
)
def test_check_names_what_it_refuses(inputs: Props, property: str, words: str) -> None:
    (failure,) = check(inputs)
    assert failure.property == property
    assert words in failure.reason


def test_check_takes_unknowns_and_secrets_and_adds_no_default() -> None:
    inputs: Props = {"create": UNKNOWN, "environment": Secret({"A": UNKNOWN}), "stdin": Secret("x")}
    assert asyncio.run(KIND.check(CONTEXT, {}, inputs)).inputs == inputs
    assert check(inputs) == ()


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"create": "a"}, {"create": "a"}, {}),
        ({"create": "a"}, {"create": "b"}, {"create": "UPDATE"}),
        ({"create": "a"}, {"create": "a", "delete": "d"}, {"delete": "ADD"}),
        ({"triggers": [1.0]}, {}, {"triggers": "DELETE_REPLACE"}),
        ({}, {"triggers": [1.0]}, {"triggers": "ADD_REPLACE"}),
        ({"triggers": [1.0]}, {"triggers": [2.0]}, {"triggers[0]": "UPDATE"}),
        ({"triggers": ["a"]}, {"triggers": ["a", "b"]}, {"triggers[1]": "ADD"}),
        ({"environment": {"A.b": "1"}}, {"environment": {"A.b": "2"}}, {'environment["A.b"]': "UPDATE"}),
        ({"stdin": Secret("a")}, {"stdin": Secret("b")}, {"stdin": "UPDATE"}),
        ({"stdin": Secret("a")}, {"stdin": Secret("a")}, {}),
        ({"stdin": "a"}, {"stdin": Secret("a")}, {"stdin": "UPDATE"}),
        ({"version": "1", "__x": "1"}, {"version": "2"}, {}),
        ({"create": "a"}, {"create": UNKNOWN}, {"create": "UPDATE"}),
    ],
)
def test_any_change_updates_and_only_whole_triggers_replace(old: Props, new: Props, changes: dict[str, str]) -> None:
    request = DiffRequest(id="id", old_state=old, old_inputs=old, new_inputs=new)
    diff = asyncio.run(KIND.diff(CONTEXT, request))
    assert diff.changes == changes
    assert not diff.delete_before_replace


def test_ignored_changes_are_no_changes() -> None:
    assert inputs_diff({"create": "a"}, {"create": "b"}, ["create"]).changes == {}
    changes = inputs_diff({"environment": {"B": "1"}}, {"environment": {"B": "2"}}, ["environment.A"]).changes
    assert changes == {"environment.B": "UPDATE"}


def test_refresh_gives_the_state_as_it_is() -> None:
    read = asyncio.run(KIND.read(CONTEXT, "id", {"stdout": "x"}, {"create": "c"}))
    assert read is not None
    assert (read.state, read.inputs) == ({"stdout": "x"}, {"create": "c"})


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("a\tb", '"a\\tb"'), ('"\\', '"\\"\\\\"'), ("\x00\x7f", '"\\x00\\x7f"'), ("\u200b", '"\\u200b"')],
)
def test_quotes_as_go_does(text: str, quoted: str) -> None:
    assert go_quote(text) == quoted


def test_a_silent_log_keeps_what_it_was_told() -> None:
    log = SilentLog()
    asyncio.run(log.write("INFO", "x"))
    assert log.messages == [("INFO", "x", False)]
