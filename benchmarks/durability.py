"""Whether a system keeps what it has taken: seen with strace, an fsync of its own files between 354 and 250."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

from benchmarks.load import Client
from benchmarks.processes import SECONDS, Missing, tool
from benchmarks.system import DOMAIN, System, tech

_CALL = re.compile(r"^(?P<pid>\d+) +(?P<call>.*)$")
_SYNC = re.compile(r"^(?:fsync|fdatasync)\(\d+<(?P<path>[^>]*)>(?P<rest>.*)$")
_RESUMED = re.compile(r"^<\.\.\. (?:fsync|fdatasync) resumed>.*= 0$")
_SAID = re.compile(r'^(?:write|writev|sendto|sendmsg)\(.*?"(?P<code>354|250) ')


def synced(log: str, folder: Path) -> list[str]:
    """The files below `folder` that a traced system had on the disk before it said 250 to the only mail's data.

    `log` is what strace -f -y wrote.  Nothing: it answered before, or never.
    """
    inside = f"{folder.resolve()}{os.sep}"
    files: list[str] = []
    running: dict[str, str] = {}  # pid -> the file that it is syncing
    asked = False
    for line in log.splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        pid, call = found["pid"], found["call"]
        if said := _SAID.match(call):
            if said["code"] == "250" and asked:
                return [path for path in files if path.startswith(inside)]
            asked = asked or said["code"] == "354"
        elif sync := _SYNC.match(call):
            if sync["rest"].endswith("= 0"):
                files += [sync["path"]] if asked else []
            else:
                running[pid] = sync["path"]
        elif _RESUMED.match(call):
            files += [running.pop(pid)] if asked and pid in running else []
    return []


async def durable(system: System, folder: Path) -> bool:
    """Whether the system, which runs and has taken a mail before, answers 250 only behind an fsync below its folder.

    Raises Missing where nothing can be traced.
    """
    log = folder / "strace.log"
    tracer = await _attached(system, log)
    try:
        client = await Client.connect(system.port)
        await client.mail(f"{tech(0)}@{DOMAIN}", "durable")
        await client.quit()
    finally:
        if tracer.returncode is None:
            tracer.send_signal(signal.SIGINT)
        await tracer.communicate()
    return bool(synced(log.read_text(errors="replace"), system.folder))


async def _attached(system: System, log: Path) -> asyncio.subprocess.Process:
    """strace on all processes of a system."""
    pids = [word for pid in system.pids for word in ("-p", str(pid))]
    calls = "trace=fsync,fdatasync,write,writev,sendto,sendmsg"
    tracer = await asyncio.create_subprocess_exec(
        tool("strace"), "-f", "-y", "-s", "16", "-e", calls, "-o", str(log), *pids, stderr=asyncio.subprocess.PIPE
    )
    assert tracer.stderr is not None
    try:
        async with asyncio.timeout(SECONDS):
            for _ in system.pids:
                line = await tracer.stderr.readline()
                if b"attached" not in line:
                    raise Missing(f"strace cannot look at a process here: {line.decode(errors='replace').strip()}")
    except BaseException:
        if tracer.returncode is None:
            tracer.kill()
        await tracer.communicate()
        raise
    return tracer
