"""The cases, in the order in which they are run."""

from __future__ import annotations

from benchmarks.cases import accept, burst, growth, latency, memory, peer, provider, through

ALL = (
    *accept.CASES,
    *through.CASES,
    *latency.CASES,
    *provider.CASES,
    *memory.CASES,
    *burst.CASES,
    *growth.CASES,
    *peer.CASES,
)
