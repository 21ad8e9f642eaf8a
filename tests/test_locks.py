"""The locks pin everything that the project names, by hash, and name no place to get it from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = {
    "run": PROJECT["project"]["dependencies"],
    "test": PROJECT["dependency-groups"]["test"],
    "lint": PROJECT["dependency-groups"]["lint"],
    "build": PROJECT["build-system"]["requires"],
    "contract": (ROOT / "requirements/contract.in").read_text().splitlines(),
    "fuzz": (ROOT / "requirements/fuzz.in").read_text().splitlines(),
    "peer": (ROOT / "requirements/peer.in").read_text().splitlines(),
}
ALONE = {"contract", "fuzz", "peer"}  # in an environment of its own


def canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def pins(lock: Path) -> dict[str, str]:
    """Package to the rest of its entry: version, marker and hashes."""
    text = re.sub(r" *#.*", "", lock.read_text())
    entries = re.findall(r"^([a-z0-9-]+)==(.+?(?<!\\))$", text, re.MULTILINE | re.DOTALL)
    return dict(entries)


def test_there_is_one_lock_for_each_set() -> None:
    assert sorted(WANTED) == [lock.stem for lock in LOCKS]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_what_its_set_names(lock: Path) -> None:
    assert {canonical(name) for name in WANTED[lock.stem]} - set(pins(lock)) == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(lock: Path) -> None:
    lines = [line.strip().removesuffix(" \\") for line in lock.read_text().splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    odd = [x for x in lines if not re.fullmatch(r"--hash=sha256:[0-9a-f]{64}|[a-z0-9-]+==[\w.]+( ; [^/:]+)?", x)]

    assert odd == []
    assert [name for name, entry in pins(lock).items() if "--hash=sha256:" not in entry] == []


def test_a_package_has_one_version_in_all_locks_of_one_environment() -> None:
    versions: dict[str, set[str]] = {}
    for lock in (lock for lock in LOCKS if lock.stem not in ALONE):
        for name, entry in pins(lock).items():
            versions.setdefault(name, set()).add(re.split(r"[ ;\\]", entry, maxsplit=1)[0])

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
