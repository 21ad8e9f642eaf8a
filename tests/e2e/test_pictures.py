"""Pictures under a whole daemon: too large, too slow, not to be had, cut off by a kill, or a lie."""

from __future__ import annotations

import asyncio
import io
from email.message import EmailMessage

import aiohttp
import pytest
from house import House
from PIL import Image

from gateway.simulator.hooks import inbound_form, signature
from gateway.simulator.journal import Mailed

ANN, OURS = "+12025550143", "+12025550100"
DESK = "desk@shop.example.com"
SECONDS = 30.0


def photo(side: int = 200, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (side, side)).save(out, kind)
    return out.getvalue()


async def mailed(house: House, words: str) -> Mailed:
    """The first mail to the desk with those words."""

    def found(_: object) -> Mailed | None:
        return next((m for m in house.world.mails if m.is_for(DESK) and words in m.text), None)

    return await house.world.wait(found, SECONDS)


def files(mail: Mailed) -> dict[str, bytes]:
    return {str(p.get_filename()): bytes(p.get_payload(decode=True) or b"") for p in mail.message.iter_attachments()}


def job_mail(*attached: bytes) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"] = "jobs@shop.example.com", "2025550143@sms.example.com"
    mail["Subject"], mail["Message-ID"] = "RO 7", "<p1@shop.example.com>"
    mail.set_content("The brake disc.")
    for n, data in enumerate(attached):
        mail.add_attachment(data, maintype="image", subtype="jpeg", filename=f"{n}.jpg")
    return mail.as_bytes()


async def agreed(house: House) -> None:
    await house.start()
    done = await house.daemon.command("consent", "grant", ANN, "--method", "paper", "--evidence", "form 17")
    assert done.code == 0, done


async def test_words_arrive_although_the_picture_is_too_large(house: House) -> None:
    await house.start()
    huge = b"\xff\xd8\xff" + bytes(26 << 20)

    assert (
        await house.world.customer_texts(ANN, OURS, "Two files", [("image/jpeg", huge), ("image/jpeg", photo())]) == 200
    )

    mail = await mailed(house, "Two files")
    assert "(One picture or file is missing: it has more than 10485760 bytes)" in mail.text
    assert {"picture-2.jpg": photo()} == files(mail)
    await house.daemon.stop()


async def test_of_files_that_no_relay_takes_together_those_that_fit_arrive(house: House) -> None:
    await house.start()
    large = b"%PDF-1.7" + bytes(6 << 20)
    three = [("application/pdf", large), ("application/pdf", large), ("image/jpeg", photo())]

    assert await house.world.customer_texts(ANN, OURS, "Three files", three) == 200

    mail = await mailed(house, "Three files")
    assert "(One picture or file is missing: the files of the text have more than 10 MB in all)" in mail.text
    assert {"document-1.pdf": large, "picture-3.jpg": photo()} == files(mail)
    await house.daemon.stop()


async def test_words_arrive_although_the_provider_fails_again_and_again(house: House) -> None:
    await house.start()
    house.world.twilio.faults.add("500-media", count=0)

    assert await house.world.customer_texts(ANN, OURS, "Look", [("image/jpeg", photo())]) == 200

    mail = await mailed(house, "Look")
    assert "(One picture or file is missing: the provider answered 500)" in mail.text
    assert {} == files(mail)
    assert [] == house.world.surprises
    await house.daemon.stop()


@pytest.mark.parametrize("mode", ["RGBA", "1"])
async def test_a_picture_just_below_the_cap_of_pixels_harms_nobody(house: House, mode: str) -> None:
    await house.start()

    assert await house.world.customer_texts(ANN, OURS, "Big", [("image/png", photo(4900, "PNG", mode))]) == 200

    mail = await mailed(house, "Big")
    assert list(files(mail)) == ["picture-1.png"] or "(One picture or file is missing: a picture" in mail.text
    assert await house.world.customer_texts(ANN, OURS, "Small", [("image/jpeg", photo())]) == 200
    assert {"picture-1.jpg": photo()} == files(await mailed(house, "Small"))
    await house.daemon.stop()


async def test_a_kill_while_a_picture_is_fetched_costs_neither_the_words_nor_the_picture(house: House) -> None:
    await house.start()
    house.world.twilio.faults.add("silent-cdn", count=0)
    assert await house.world.customer_texts(ANN, OURS, "Look", [("image/jpeg", photo())]) == 200
    await house.daemon.wait_event("hook.accepted")

    await house.daemon.kill()
    house.world.twilio.faults.clear()
    await house.start()

    assert {"picture-1.jpg": photo()} == files(await mailed(house, "Look"))
    await house.daemon.stop()
    assert len([m for m in house.world.mails if m.is_for(DESK)]) == 1


async def test_a_stop_waits_for_no_picture_and_the_next_daemon_fetches_it(house: House) -> None:
    await house.start()
    house.world.twilio.faults.add("silent-cdn", count=0)
    three = [("image/jpeg", photo())] * 3
    assert await house.world.customer_texts(ANN, OURS, "Look", three) == 200
    await house.daemon.wait_event("hook.accepted")

    await house.daemon.stop(deadline=20)
    assert [] == [e for e in house.daemon.events if e["event"] == "engine.failed"]
    house.world.twilio.faults.clear()
    await house.start()

    assert [photo()] * 3 == list(files(await mailed(house, "Look")).values())
    await house.daemon.stop()


async def test_slow_pictures_hold_up_no_other_text(house: House) -> None:
    await agreed(house)
    house.world.twilio.faults.add("silent-cdn", count=0)
    for n in range(8):
        phone = f"+120255501{n:02d}"
        assert await house.world.customer_texts(phone, OURS, f"Look {n}", [("image/jpeg", photo())]) == 200

    assert await house.world.customer_texts("+12025550144", OURS, "Are you open?") == 200
    await house.daemon.mail(job_mail(), "jobs@shop.example.com", ["2025550143@sms.example.com"])

    async with asyncio.timeout(10):
        await mailed(house, "Are you open?")
        await house.world.wait(lambda w: any(t.body == "The brake disc." for t in w.phone(ANN)), SECONDS)
    assert len([m for m in house.world.mails if m.is_for(DESK)]) == 1
    await house.daemon.kill()


async def test_a_signed_hook_cannot_lead_the_gateway_to_another_host(house: House) -> None:
    await house.start()
    asked: list[bytes] = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    other = await asyncio.start_server(stranger, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
    twilio = house.world.twilio
    _, text = await twilio.phones.customer_texts(ANN, OURS, "Look", [("image/jpeg", photo())], missed=True)
    form = inbound_form(text, address)
    url = f"{twilio.hooks.public_url}/hooks/twilio/message"
    head = {"X-Twilio-Signature": signature(house.token, url, form)}

    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{twilio.hooks.base}/hooks/twilio/message", data=form, headers=head) as answer,
    ):
        assert answer.status == 200

    assert "is missing: its address is not one of the provider's API" in (await mailed(house, "Look")).text
    assert [] == asked
    other.close()
    await house.daemon.stop()


async def test_a_mail_with_broken_pictures_is_texted_with_the_good_one_and_preview_says_so(house: House) -> None:
    await agreed(house)
    house.world.twilio.media.fetches = True
    raw = job_mail(photo()[:300], photo())
    path = house.folder / "try.eml"
    path.write_bytes(raw)

    said = await house.daemon.command("preview", "2025550143", str(path), "--json")
    answers = await house.daemon.mail(raw, "jobs@shop.example.com", ["2025550143@sms.example.com"])

    assert said.rows[0]["pictures"] == 1
    assert said.rows[0]["warnings"] == ["a picture that cannot be decoded was left out"]
    assert answers[-1].startswith("250 ")
    text = await house.world.wait(lambda w: next((t for t in w.phone(ANN) if t.media), None), SECONDS)
    assert text.body == "The brake disc."
    assert [kind for kind, _ in text.media] == ["image/jpeg"]
    assert [] == house.world.surprises
    await house.daemon.stop()


async def test_what_is_sent_bears_no_note_of_where_the_picture_was_taken(house: House) -> None:
    await agreed(house)
    house.world.twilio.media.fetches = True
    out = io.BytesIO()
    notes = Image.Exif()
    notes[0x010E] = "behind the shop"
    Image.new("RGB", (200, 200)).save(out, "JPEG", exif=notes)
    assert b"behind the shop" in out.getvalue()

    await house.daemon.mail(job_mail(out.getvalue()), "jobs@shop.example.com", ["2025550143@sms.example.com"])

    text = await house.world.wait(lambda w: next((t for t in w.phone(ANN) if t.media), None), SECONDS)
    assert b"behind the shop" not in text.media[0][1]
    await house.daemon.stop()
