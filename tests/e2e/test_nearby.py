"""A command that asks the daemon needs of config.toml where the daemon is, and all of it only without one."""

from __future__ import annotations

import pytest
from house import House

COMMANDS = [("queue", "list"), ("trace", "+12025550143"), ("consent", "show", "+12025550143"), ("report", "usage")]


async def test_a_configuration_that_was_broken_meanwhile_stops_no_question_to_the_daemon(house: House) -> None:
    await house.start()
    config = house.folder / "config.toml"
    sound = config.read_text()
    # A table nobody knows: the file can be read, and not be served.
    config.write_text(f"{sound}\n[nonsense]\n")
    answers = [await house.daemon.command(*words) for words in COMMANDS]
    checked = await house.daemon.command("check")

    assert [answer.code for answer in answers] == [0, 1, 0, 0], answers
    assert answers[1].err.startswith("gateway: nothing is known of")
    assert checked.code == 78


async def test_a_byte_order_mark_as_windows_editors_write_it_hides_nothing(house: House) -> None:
    await house.start()
    config = house.folder / "config.toml"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes() + b"\n[nonsense]\n")

    assert (await house.daemon.command("queue", "list")).code == 0


@pytest.mark.parametrize("addition", ["[nonsense]\n", "state = 7\n", "][", f"x = {'[' * 5000}"])
async def test_without_a_daemon_the_whole_of_it_must_be_sound(house: House, addition: str) -> None:
    await house.start()
    await house.daemon.stop()
    config = house.folder / "config.toml"
    sound = config.read_text()
    config.write_text(addition + sound if addition.startswith("state") else f"{sound}\n{addition}")
    answers = [await house.daemon.command(*words) for words in COMMANDS]

    assert [answer.code for answer in answers] == [78, 78, 78, 78], answers
    assert all("config.toml:" in answer.err for answer in answers)


async def test_what_only_a_daemon_can_do_tells_first_what_is_wrong_with_the_configuration(house: House) -> None:
    await house.start()
    await house.daemon.stop()
    config = house.folder / "config.toml"
    words = ("send", "+12025550143", "Ready")
    alone = await house.daemon.command(*words)
    config.write_text(config.read_text() + "\n[nonsense]\n")
    broken = await house.daemon.command(*words)

    assert (alone.code, broken.code) == (69, 78), (alone, broken)
