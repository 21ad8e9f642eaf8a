from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import carrier as carriers
from gateway.core import carrier_reply

TABLE = carriers.build(
    [
        (
            "shipped",
            tomllib.loads("""
[verizon]
name = "Verizon"
country = "US"
aliases = ["mypixmessages.com"]
sms.address = "{national}@vtext.com"
mms.address = "{national}@vzwpix.com"
[visible]
name = "Visible"
country = "US"
aliases = ["vzwpix.com"]
sms.address = "{national}@vtext.com"
[cricket]
name = "Cricket"
country = "US"
aliases = ["mms.mycricket.com"]
[old]
name = "Old"
country = "US"
sms.address = "{national}.iws@iws.example.com"
mms.domain = "iws.example.com"
[british]
name = "British"
country = "GB"
sms.address = "{e164}@gb.example.com"
[nowhere]
name = "Nowhere"
sms.address = "{e164}@nowhere.example.com"
"""),
        )
    ]
)[0]
PHONE = "+12025550143"


@pytest.mark.parametrize(
    ("address", "phone", "ids"),
    [
        pytest.param("2025550143@vtext.com", PHONE, ("verizon", "visible"), id="ten digits"),
        pytest.param("12025550143@vzwpix.com", PHONE, ("verizon", "visible"), id="eleven digits, the mms domain"),
        pytest.param("+12025550143@VZWPIX.com", PHONE, ("verizon", "visible"), id="plus, domain in capitals"),
        pytest.param("2025550143@mypixmessages.com", PHONE, ("verizon",), id="a domain of answers only"),
        pytest.param("12025550143/TYPE=PLMN@mms.mycricket.com", PHONE, ("cricket",), id="TYPE=PLMN"),
        pytest.param("2025550143.iws@iws.example.com", PHONE, ("old",), id="the form of the row"),
        pytest.param("2025550143@iws.example.com", PHONE, ("old",), id="without what the row has around it"),
        pytest.param("447400123456@gb.example.com", "+447400123456", ("british",), id="elsewhere, with country code"),
        pytest.param("07400123456@gb.example.com", "+447400123456", ("british",), id="elsewhere, as written there"),
        pytest.param("2025550143@nowhere.example.com", PHONE, ("nowhere",), id="a row without a country"),
    ],
)
def test_a_carriers_from_names_a_phone_and_the_carriers_that_write_so(
    address: str, phone: str, ids: tuple[str, ...]
) -> None:
    assert carrier_reply.author(address, "US", TABLE) == (phone, ids)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("2025550143@example.com", id="no carrier's domain"),
        pytest.param("2025550143@m01.vzwpix.com", id="a machine of the carrier"),
        pytest.param("2025550143@notvzwpix.com", id="a domain that ends like one"),
        pytest.param("sideshow@vzwpix.com", id="a nickname"),
        pytest.param("post_master@vtext.com", id="the carrier itself"),
        pytest.param("9115550143@vtext.com", id="no number of the plan"),
        pytest.param("442071838750@vtext.com", id="a phone that the carrier cannot have"),
        pytest.param("2025550143.abc@iws.example.com", id="another form than the row's"),
        pytest.param("2025550143/TYPE=PLMN/x@vtext.com", id="more behind the type"),
        pytest.param("2025550143", id="no domain"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_other_from_is_nobodys_phone(address: str) -> None:
    assert carrier_reply.author(address, "US", TABLE) is None


@given(st.text(max_size=30), st.sampled_from(sorted(TABLE.reply_domains)))
def test_whatever_stands_before_the_at_has_an_answer(local: str, domain: str) -> None:
    found = carrier_reply.author(f"{local}@{domain}", "US", TABLE)

    assert found is None or found[0].startswith("+")
