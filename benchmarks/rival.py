"""Postfix as a shop would set it up instead: aliases to the carriers' addresses and a transport map.

It has a configuration, a queue and ports of its own; the system's Postfix, its queue and its log are left alone.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks.processes import Missing, Program, descendants, free_port, run, tool
from benchmarks.system import CARRIER, DOMAIN, TECHS, tech, tech_phone

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.{domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = {hold}permit_mynetworks, reject
virtual_alias_domains = {domain}
virtual_alias_maps = texthash:{folder}/conf/virtual
transport_maps = texthash:{folder}/conf/transport
disable_dns_lookups = yes
smtpd_peername_lookup = no
message_size_limit = 10485760
notify_classes =
minimal_backoff_time = 10s
maximal_backoff_time = 10s
queue_run_delay = 10s
"""

# What its documentation recommends for a busy host (TUNING_README, QSHAPE_README).
_TUNED = """\
in_flow_delay = 0
default_process_limit = 200
initial_destination_concurrency = 20
default_destination_concurrency_limit = 50
smtp_connection_cache_destinations = [127.0.0.1]:{sink}
qmgr_message_active_limit = 40000
qmgr_message_recipient_limit = 40000
"""

# Without chroot, which would need copies of system files in the queue.
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


class Postfix:
    """system.System.  It hands everything to `sink`, a port of loopback; `hold`: it takes mail and keeps it.

    `folder` is opened to all users, as its daemons run as one of their own; what lies above it must be open too.
    """

    def __init__(self, folder: Path, sink: int, *, tuned: bool = False, hold: bool = False) -> None:
        self._folder = folder / "postfix"
        self._sink = sink
        self._tuned = tuned
        self._hold = hold
        self._port = free_port()
        self._master = Program(folder / "postfix.log")

    @property
    def port(self) -> int:
        return self._port

    @property
    def folder(self) -> Path:
        return self._folder / "queue"

    @property
    def pids(self) -> list[int]:
        return [self._master.pid, *descendants(self._master.pid)]

    async def __aenter__(self) -> Postfix:
        """Listens.  Raises Missing where Postfix, or the right to start it, is."""
        if os.geteuid() != 0:
            raise Missing("Postfix can be started by root only")
        program = tool("postfix")
        self._write()
        configuration = str(self._folder / "conf")
        try:
            await run(program, "-c", configuration, "check")
            # The daemon itself, not `postfix start`: it stays a child of ours and is ended by its id.
            folder = (await run(tool("postconf"), "-c", configuration, "-h", "daemon_directory")).strip()
            await self._master.start(f"{folder}/master", "-c", configuration, "-d")
            await self._master.listens(self._port)
        except BaseException:
            await self._master.stop(kill=True)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._master.stop()

    def _write(self) -> None:
        for name in ("conf", "queue", "data"):
            (self._folder / name).mkdir(parents=True)
        for above in (self._folder.parent, self._folder):
            above.chmod(0o755)  # its daemons are another user
        shutil.chown(self._folder / "data", "postfix")
        hold = "check_client_access static:HOLD, " if self._hold else ""
        main = _MAIN + (_TUNED if self._tuned else "")
        files = {
            "main.cf": main.format(folder=self._folder, domain=DOMAIN, hold=hold, sink=self._sink),
            "master.cf": _MASTER.format(port=self._port),
            "virtual": "".join(f"{tech(n)}@{DOMAIN} {tech_phone(n)}@{CARRIER}\n" for n in range(TECHS)),
            "transport": f"{CARRIER} smtp:[127.0.0.1]:{self._sink}\n",
        }
        for name, text in files.items():
            (self._folder / "conf" / name).write_text(text)
