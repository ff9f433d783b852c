"""Decides when `make soak` says that something grows, and that each of its changes goes back."""

from __future__ import annotations

import random

import pytest

from bench.growth import growth
from bench.soak_site import SETTINGS, settings
from settings import parse

MIB = 2**20
SECONDS = [float(each) for each in range(0, 3600, 5)]


def test_a_leak_grows_and_a_cache_that_fills_up_does_not() -> None:
    noise = random.Random(1)
    leak = [(at, 50 * MIB + at * 10_000 + noise.random() * MIB) for at in SECONDS]
    filled = [(at, min(50 * MIB, 10 * MIB + at * 100_000) + noise.random() * MIB) for at in SECONDS]
    assert growth(leak, 8 * MIB).grows
    assert not growth(filled, 8 * MIB).grows


def test_peaks_are_no_growth() -> None:
    peaks = [(at, 100 * MIB * (5 if at % 300 == 295 else 1)) for at in SECONDS]
    seen = growth(peaks, 8 * MIB)
    assert not seen.grows
    assert (seen.median, seen.highest) == (100 * MIB, 500 * MIB)


def test_too_few_samples_tell_nothing() -> None:
    with pytest.raises(ValueError, match="run it longer"):
        growth([(float(each), 1.0) for each in range(7)], 1)


def test_each_turn_changes_one_setting_and_six_are_a_round() -> None:
    def changed(one: object, other: object) -> int:
        if isinstance(one, dict) and isinstance(other, dict):
            return sum(changed(one[key], other[key]) for key in one)
        if isinstance(one, list) and isinstance(other, list):
            return sum(map(changed, one, other))
        return int(one != other)

    assert settings(0) == settings(6) == SETTINGS
    assert [changed(settings(turn), settings(turn + 1)) for turn in range(6)] == [1] * 6
    secrets = ("password-pusher", "s3-access-key-hosted", "s3-secret-key-hosted", "http-secret-hosted")
    assert parse(settings(3), secrets)
