"""Where the configuration and the state are: light, since a command that only asks the daemon needs no more."""

from __future__ import annotations

import os
from pathlib import Path


def config_file() -> Path:
    """$GATEWAY_CONFIG, else ./config.toml where it exists, else /etc/gateway/config.toml."""
    named = os.environ.get("GATEWAY_CONFIG")
    if named:
        return Path(named)
    here = Path("config.toml")
    return here if here.exists() else Path("/etc/gateway/config.toml")


def state_folder(named: str | None, folder: Path) -> Path:
    """`named` as the configuration in `folder` has it, else $STATE_DIRECTORY, else `folder`."""
    if named is not None:
        return folder / named
    # systemd gives several folders with colons between them (systemd.exec(5)); ours is the first.
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else folder
