"""The process in which mail is parsed: `python -m gateway.reader_child`, started by gateway.reader and by nobody else.

Frames on stdin and stdout: four bytes of length, most significant first, then as many bytes.  The first frame in holds
the settings as JSON, the first frame out is b"ready " and the version.  Then each question is two frames: {"op": its
name in OPS, "cpu": seconds, "arguments": {...}} as JSON, and the bytes that it is about; its answer is one frame of
JSON, and as many frames of bytes as that says in "files".  The process ends on end of file, when its parent dies, and
by the kernel when a question takes more CPU than it may.
"""

from __future__ import annotations

import ctypes
import json
import logging
import math
import os
import resource
import signal
import struct
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

from gateway import __version__, attachment, heap, picture
from gateway.core import bounce, carrier_answer, header, mime, parts, render, signed
from gateway.core.model import Picture, Reading, Unreadable

_LOADED = render  # before the limits are set: what is imported later counts against them

_LENGTH = struct.Struct(">I")
_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> int:
    """Answers questions until stdin ends; the exit code is 0, or 1 when the parent is not the one named in argv."""
    # The daemon decides when this process ends: a signal to the whole group must not cost the question in hand.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.getLogger("flufl.bounce").disabled = True  # its tracebacks quote mail
    warnings.simplefilter("ignore")  # Pillow's quote what a camera noted
    heap.settle()
    die_with_parent()
    die_first()
    if os.getppid() != int(sys.argv[1]):  # it died before the line above
        return 1
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    first = _receive(questions)
    if first is None:
        return 0
    settings = json.loads(first)
    limit(settings["memory_bytes"])
    _send(answers, f"ready {__version__}".encode())
    while (head := _receive(questions)) is not None and (payload := _receive(questions)) is not None:
        question = json.loads(head)
        renew(question["cpu"])
        found = answer(question["op"], payload, settings | question["arguments"])
        files = found.pop("files", [])
        _send(answers, json.dumps(found | {"files": len(files)}).encode())
        for file in files:
            _send(answers, file)
    return 0


def die_with_parent() -> None:
    """Asks the kernel to kill this process when its parent dies; elsewhere than on Linux the end of stdin must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def die_first() -> None:
    """Asks the kernel to kill this process before the daemon where memory runs out: proc(5), oom_score_adj."""
    with suppress(OSError):  # only Linux has it
        Path("/proc/self/oom_score_adj").write_text("1000")


def limit(memory_bytes: int) -> None:
    """Bounds the address space, and allows no core file: it would hold a customer's mail."""
    for kind, most in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


@contextmanager
def narrowed(memory_bytes: int) -> Iterator[None]:
    """Bounds the address space to `memory_bytes`, where it may be more, until the block ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = memory_bytes if soft == resource.RLIM_INFINITY else min(memory_bytes, soft)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def renew(cpu_seconds: int) -> None:
    """Gives the next question `cpu_seconds`, or up to one less, on top of the CPU time used so far: the kernel counts
    whole seconds.  SIGXCPU ends the process beyond that.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.floor(used.ru_utime + used.ru_stime) + cpu_seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def answer(op: str, payload: bytes, arguments: dict[str, Any]) -> dict[str, Any]:
    """What the op says, or {"unreadable": reason}, with "last": true when this process is spoilt."""
    try:
        return OPS[op](payload, arguments)
    except MemoryError:
        return {"unreadable": "it needs more memory than a mail may take", "last": True}
    except Exception as fault:  # the loop's edge: a bug in a parser parks this mail, not the next one
        return {"unreadable": f"{type(fault).__name__} at {_place(fault)}", "last": True}


def _reading(raw: bytes, settings: dict[str, Any]) -> dict[str, Any]:
    found = read(raw, settings)
    return {"unreadable": found.reason} if isinstance(found, Unreadable) else {"reading": asdict(found)}


def read(raw: bytes, settings: dict[str, Any]) -> Reading | Unreadable:
    """What a mail says, with what the patterns find in it, and what it reports where it looks like a report."""
    patterns = mime.Patterns(
        job=settings["job"], in_subject=tuple(settings["subject_patterns"]), anywhere=tuple(settings["patterns"])
    )
    found = mime.read(raw, tuple(settings["cut_after"]), patterns)
    if isinstance(found, Unreadable):
        return found
    if found.attachments:
        found = replace(found, pictures=attachment.count(raw))
    told = bounce.read(raw) if bounce.suspected(found) else None
    if told is not None:
        return replace(found, bounce=(told.action, told.status, told.diagnostic))
    return _texted(found, raw) if carrier_answer.texted(found.author, settings["reply_domains"]) else found


def _texted(found: Reading, raw: bytes) -> Reading | Unreadable:
    """What a mail that a carrier made of a text says of its own; `text` stays as it came."""
    words = carrier_answer.words(raw)
    if isinstance(words, Unreadable):
        return words
    return replace(
        found,
        subject=words.subject,
        answer=words.text,
        answer_cut=words.gone,
        link=words.link,
        pictures=words.images,
    )


def _attached(raw: bytes, settings: dict[str, Any]) -> dict[str, Any]:
    with narrowed(settings["decoding_bytes"]):
        return _shown(attachment.attached(raw, settings["most_bytes"], reply_domains=settings["reply_domains"]))


def _picture(data: bytes, settings: dict[str, Any]) -> dict[str, Any]:
    with narrowed(settings["decoding_bytes"]):
        return _shown((picture.inspected(data, settings["number"]),))


def _shown(found: tuple[Picture, ...]) -> dict[str, Any]:
    about = [{"kind": p.kind, "name": p.name, "problem": p.problem} for p in found]
    return {"pictures": about, "files": [p.data for p in found]}


def _author(raw: bytes, arguments: dict[str, Any]) -> dict[str, Any]:
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return {"unreadable": message.reason}
    # One more than may be, of each: that is enough to see that it is too much.
    return {"from": [value[: header.LONGEST + 1] for value in parts.fields(message).get("from", [])[:2]]}


def _signatures(raw: bytes, arguments: dict[str, Any]) -> dict[str, Any]:
    found = signed.claim(raw, arguments["now"])
    if isinstance(found, Unreadable):
        return {"unreadable": found.reason}
    return {"from": found.authors, "results": found.results, "names": found.names}


def _verify(raw: bytes, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"domains": signed.verify(raw, arguments["domain"], arguments["keys"], arguments["now"])}


# What can be asked, by name.  Each takes the bytes, and the settings joined by the arguments; its answer must go
# through JSON, save the bytes in "files".  {"unreadable": reason} is the answer for a mail that cannot be read.
OPS: dict[str, Callable[[bytes, dict[str, Any]], dict[str, Any]]] = {
    "read": _reading,
    "attached": _attached,
    "picture": _picture,
    "author": _author,
    "signatures": _signatures,
    "verify": _verify,
}


def _place(fault: Exception) -> str:
    """The file and line of a fault, without its words: they may quote the mail."""
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119


def _receive(stream: BinaryIO) -> bytes | None:
    """The next frame, None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size: int = _LENGTH.unpack(head)[0]
    raw = stream.read(size)
    return raw if len(raw) == size else None


def _send(stream: BinaryIO, frame: bytes) -> None:
    stream.write(_LENGTH.pack(len(frame)) + frame)
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
