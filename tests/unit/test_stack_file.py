"""Decides that a stack's file says the same to the commands after pulumi has written it anew, true as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops import stack_file


def test_what_pulumi_has_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_file, "PROJECT", tmp_path)
    (tmp_path / "stacks").mkdir()
    text = 'config:\n  http-registry:observe: "true"\n  http-registry:tier: lab\n  http-registry:p: {secure: v1:x}\n'
    (tmp_path / "stacks" / "Pulumi.s.yaml").write_text(text)
    assert stack_file.plain_settings("s") == {"observe": True, "tier": "lab"}
