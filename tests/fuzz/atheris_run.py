"""Fuzzes one target with atheris, which follows the branches that an input takes:

    ./dev fuzz TARGET SECONDS [options of libFuzzer]

The corpus is kept in gateway-fuzz/TARGET of the folder for temporary files, and begins with the target's seeds.  An
input that breaks a rule is written to tests/data/crashers/TARGET, where test_crashers.py finds it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
for room in (HERE.parents[1], HERE.parent / "intake", HERE):
    sys.path.insert(0, str(room))

import atheris  # noqa: E402  # the project is no package there

with atheris.instrument_imports(include=["gateway", "email", "flufl", "mailparser_reply", "inscriptis", "tomli"]):
    from targets import CRASHERS, TARGETS


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: ./dev fuzz TARGET SECONDS [options of libFuzzer]\ntargets: {', '.join(TARGETS)}")
    name, seconds, *options = sys.argv[1:]
    target = TARGETS[name]
    corpus, crashers = Path(tempfile.gettempdir()) / "gateway-fuzz" / name, CRASHERS / name
    for folder in (corpus, crashers):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.corpus()):
        (corpus / f"seed-{number}").write_bytes(seed)
    with target.opened() as check:

        def one(raw: bytes) -> None:
            check(raw)

        limits = [f"-max_total_time={seconds}", f"-max_len={target.longest}", "-timeout=20", "-rss_limit_mb=2048"]
        atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={crashers}/", *limits, *options], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
