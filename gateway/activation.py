"""Listening sockets that systemd opened for us (sd_listen_fds(3)): the daemon then needs no right to ports below 1024,
and clients that knock during a restart wait for it.
"""

from __future__ import annotations

import asyncio
import os
import socket

from gateway.config import Listener

_FIRST_FD = 3  # SD_LISTEN_FDS_START
_ANYWHERE = {"0.0.0.0", "::"}
_FULL_SECONDS = 1.0  # how long nobody is turned away after no descriptor was left to do so


class Passed:
    """The sockets, each taken by the listener of config.toml that has its port."""

    def __init__(self) -> None:
        """Takes the sockets over: the variables that name them are removed, so that no child claims them too."""
        owner = os.environ.pop("LISTEN_PID", "")
        count = os.environ.pop("LISTEN_FDS", "")
        os.environ.pop("LISTEN_FDNAMES", None)
        ours = owner == str(os.getpid()) and count.isdigit()
        self._sockets = [socket.socket(fileno=_FIRST_FD + n) for n in range(int(count))] if ours else []
        for one in self._sockets:
            one.set_inheritable(False)
            one.setblocking(False)

    def take(self, listener: Listener) -> socket.socket | None:
        """The socket for `listener`, at its port and address; None = it is to be bound.

        A socket of all addresses is no socket for a listener that names one: it would open more doors than it says.
        """
        for one in self._sockets:
            host, port = _place(one)
            if port == listener.port and (host == listener.host or {host, listener.host} <= _ANYWHERE):
                self._sockets.remove(one)
                return one
        return None

    def left(self) -> list[str]:
        """The addresses of sockets that no listener took.  Must be called in the loop.

        Until `close`, who knocks there is hung up on and not kept waiting.  The sockets are not shut: systemd holds
        them too, and when it listens there again, after the next end of the daemon, it fails the unit of all of them.
        """
        for one in self._sockets:
            if one.type == socket.SOCK_STREAM:
                _turn_away(one)
        return [str(Listener(*_place(one))) for one in self._sockets]

    def close(self) -> None:
        """Lets go of the sockets that no listener took; systemd still has them."""
        for one in self._sockets:
            if one.type == socket.SOCK_STREAM:
                asyncio.get_running_loop().remove_reader(one)
            one.close()
        self._sockets.clear()


def _turn_away(one: socket.socket) -> None:
    loop = asyncio.get_running_loop()

    def knocked() -> None:
        try:
            one.accept()[0].close()
        except BlockingIOError:
            return
        except OSError:  # no descriptor is left: it would be asked again at once
            loop.remove_reader(one)
            loop.call_later(_FULL_SECONDS, _turn_away, one)

    if one.fileno() >= 0:
        loop.add_reader(one, knocked)


def _place(one: socket.socket) -> tuple[str, int]:
    """Address and port; port 0 of what takes no connections by TCP."""
    if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM:
        return str(one.getsockname()), 0
    host, port = one.getsockname()[:2]
    return str(host), int(port)
