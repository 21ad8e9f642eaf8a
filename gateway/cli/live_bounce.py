"""Whether a mail for us comes back: the daemon sends one to itself by the relay, and we wait until its door has it."""

from __future__ import annotations

import time

from gateway.cli.common import actor, ask_daemon
from gateway.config import Config
from gateway.courier.twilio_finding import UNREACHABLE, Finding

_SECONDS = 30.0
_OVER = frozenset({"failed", "refused", "expired", "cancelled"})


def there_and_back(config: Config) -> list[Finding]:
    """What became of the mail; a daemon must run, for only its door can take it in."""
    begun = time.monotonic()
    sent = ask_daemon(config, "probe.send", actor=actor())
    if sent is None:
        text = f"no daemon answers at {config.state / 'control.sock'}: nobody could take in what comes back"
        return [_finding("error", text, "start it with gateway serve", what=UNREACHABLE)]
    probe = sent["rows"][0]
    while True:
        answer = ask_daemon(config, "probe.seen", **probe)
        now = answer["rows"][0] if answer else {"door": "", "peer": "", "fate": "", "note": "the daemon has ended"}
        waited = time.monotonic() - begun
        if now["door"]:
            text = f"a mail to {probe['to']} came back to us from {now['peer']} after {waited:.0f} s"
            return [_finding("ok", text)]
        if answer is None or now["fate"] in _OVER or waited > _SECONDS:
            return [_lost(config, probe, now)]
        time.sleep(0.2)


def _lost(config: Config, probe: dict[str, str], now: dict[str, str]) -> Finding:
    note = f" ({now['note']})" if now["note"] else ""
    domain, story = config.rules.domain, f"gateway trace {probe['delivery']}"
    if now["fate"] == "handed_over":
        text = f"a mail to {probe['to']} was handed over{note}, and did not come back within {_SECONDS:g} s"
        return _finding("error", text, f"see that mail for {domain} is handed in at [smtp] listen_public; {story}")
    text = f"a mail to {probe['to']} was not handed over{note}, so it is not known whether bounces come back"
    return _finding("error", text, f"see that the relay takes mail for {domain}; {story}")


def _finding(level: str, text: str, remedy: str = "", *, what: str = "bounce") -> Finding:
    return Finding(number="", level=level, what=what, text=text, remedy=remedy)
