"""What once broke a rule breaks it no more: tests/data/crashers/<target>/ holds one input a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from targets import CRASHERS, ROOT, TARGETS

INPUTS = sorted(path for path in CRASHERS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_that_broke_a_rule_breaks_it_no_more(path: Path) -> None:
    with TARGETS[path.parent.name].opened() as check:
        check(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_keeps_the_rules_of_its_target(name: str) -> None:
    target = TARGETS[name]
    corpus = target.corpus()
    with target.opened() as check:
        for raw in (b"", *corpus[:40]):
            check(raw)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_seeds_that_exist(name: str) -> None:
    target = TARGETS[name]

    assert target.corpus()
    assert [glob for glob in target.seeds if not list(ROOT.glob(glob))] == []
