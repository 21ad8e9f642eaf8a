"""What may mean STOP is asked about; what a shop's customers say every day is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.suspect import invited, suspected

STOPS = [
    "please discontinue texts",
    "Do not send any more texts",
    "dont send me texts",
    "please don't send me these messages",
    "please do not send messages to this number",
    "no longer contact me",
    "I do not wish to be texted",
    "I don't want to receive these anymore",
    "You have the wrong number on file",
    "take me off the list for reminders",
    "don't ever text me again",
    "unsuscribe",
    "Please do not text",
    "STOP, you have wrong number",
    "Take my number off your list",
    "Can you please stop texting me?",
    "Please take me off of this list",
    "stop w/ all these messages",
    "STOP SVP",
    "please stop texting me",
    "Stop texting me",
    "don't text me anymore",
    "dont text me",
    "take me off your list",
    "Take me off this list please!",
    "wrong number",
    "You have the wrong number",
    "Sorry, wrong number bud",
    "unsubscribe me",
    "Unsubscribe please",
    "no more texts",
    "No more messages pls",
    "remove me please",
    "Remove my number",
    "stop it",
    "STOP PLEASE",
    "Stop. Thank you",
    "stop!!!! please",
    "Please stop",
    "ok stop",
    "I said stop",
    "STOP THIS",
    "stop sold the car",
    "I asked you to stop",
    "I want this to stop",
    "how do i stop these texts",
    "stop sending me stuff",
    "quit texting me",
    "quit it",
    "please quit",
    "end please",
    "opt me out",
    "I want to opt out",
    "Leave me alone",
    "alto",
    "ALTO POR FAVOR",
    "no me escriban",
    "No me escriban más por favor",
    "no me manden mensajes",
    "número equivocado",
    "deje de mandarme mensajes",
    "quiero darme de baja",
    "arrêtez",
    "Arrêtez s'il vous plaît",
    "arrêtez de m'envoyer des textos",
    "ne m'écrivez plus",
    "désabonnez-moi",
    "mauvais numéro",
    "This isn't my number anymore, it is not his phone",
    "lose my number",
    "do not contact me again",
    "I no longer want to receive messages",
    "cancel all texts",
    "stop all messages",
    "stoppp",
    "If you don't stop texting me I will report you",
    "please stop w/ the texts",
    "Stop the reminders",
    "remove",
    "no more",
    "I don't want your texts",
    "Why won't you stop",
    "never text me",
    "stop spamming",
    "basta",
    "Stop contacting me",
    "stop this now",
    "Stop that please",
    "Stop for good!",
    "STOP 😡 TEXTING ME",
]

BENIGN = [
    "We need you to stop by the house",
    "Did they stop making that part?",
    "I want to stop by and look at it",
    "Do I need to stop by the office",
    "don't remove the wheel locks",
    "Please quit by 5",
    "No more oil leaks I hope",
    "the text you sent is blank",
    "The car will not stop shaking",
    "stop in tomorrow?",
    "can I stop by at 5?",
    "I got the wrong number on my plate",
    "You have the wrong number of tires on the invoice",
    "take my name off the list for the oil change",
    "take me off the list for the oil change",
    "remove my number from voicemail",
    "Don't send me the bill, I will pick it up",
    "Please don't send me texts until 5",
    "you no longer text me about recalls",
    "Can I stop by after work to drop off the keys",
    "stop the work",
    "Please stop the work on my car until I call",
    "please stop work",
    "non-stop",
    "It has been leaking non stop",
    "I ran the stop sign",
    "there's a stop sign at the corner",
    "I'm at the bus stop",
    "don't stop",
    "Please don't stop working on it",
    "it stopped running",
    "brakes don't stop",
    "The brakes don't stop the car",
    "It won't stop leaking",
    "stop payment",
    "I did a stop payment on the check",
    "I'll stop in",
    "I'll stop in tomorrow morning",
    "I stopped by yesterday",
    "stopped by",
    "remove the tire",
    "Please remove the old tires",
    "end of the day",
    "by the end of the day please",
    "quit working",
    "the radio quit working",
    "It quit on me",
    "cancel my Friday appointment",
    "Cancel please",
    "Yes please go ahead",
    "Will it stop raining?",
    "Does it stop making that noise now?",
    "I have to stop at the bank first",
    "we can stop for gas",
    "When should I stop by",
    "start stop feature is broken",
    "engine stop light is on",
    "I need it to stop squealing",
    "the front end shakes",
    "Take me off the schedule for Friday",
    "don't text me until after 5",
    "Please call me, don't text and drive",
    "wrong number of tires on the invoice",
    "You put the wrong part in",
    "No more than $300 please",
    "no more noise, thanks!",
    "Is the truck stop nearby?",
    "Tell him to stop in",
    "the wrong number is on the invoice",
    "My new number is 202-555-0143",
    "What time do you stop taking cars",
    "remove me from the schedule",
    "Can you stop the leak?",
    "could you stop by my house",
    "I'll take the car off your hands",
    "el carro está listo?",
    "a qué hora cierran",
    "merci beaucoup",
    "je passe à cinq heures",
    "Do you stop at the corner",
    "One more stop and I'm there",
    "It pulls to the left when I stop",
    "Please don't call me at work",
    "STOP",
    "CANCEL",
    "yes",
    "Pulls right when I stop",
    "Opt out of the extended warranty please",
    "I had to stop driving it",
]
LONG = (
    "Hello, I am not Maria and I have never been to your shop in my life, so please do me a favor and {} because this "
    "is the fourth one that I got this week and it is only Tuesday"
)


@pytest.mark.parametrize("text", STOPS)
def test_what_may_mean_stop_is_suspected(text: str) -> None:
    assert suspected(text)


@pytest.mark.parametrize("text", BENIGN)
def test_what_customers_say_every_day_is_not(text: str) -> None:
    assert suspected(text) == ""


def test_the_phrase_that_tells_comes_back() -> None:
    assert suspected("Please STOP texting me!") == "stop texting"
    assert suspected("Sorry, wrong number") == "wrong number"
    assert suspected("ok, quit please") == "quit"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("take me off your list", True),
        ("stop sending me texts", True),
        ("unsubscribe me", True),
        ("stop", False),
        ("leave me alone", False),
        ("stop everything else", False),
    ],
)
def test_a_long_text_tells_by_an_unmistakable_phrase_only(words: str, expected: bool) -> None:
    assert expected is bool(suspected(LONG.format(words)))


def test_a_bare_stop_tells_in_up_to_eight_words() -> None:
    assert suspected("stop we sold that car in the spring")
    assert not suspected("stop we sold that car late in the spring")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Reply CANCEL to cancel", ("CANCEL",)),
        ("Text YES to confirm", ("YES",)),
        ("Reply YES to confirm or CANCEL to cancel.", ("YES", "CANCEL")),
        ("reply yes or no", ("YES",)),
        ("Reply C to confirm or CANCEL to cancel", ("CANCEL",)),
        ("Reply c or cancel", ("CANCEL",)),
        ("Reply Y/YES", ("YES",)),
        ('Reply with "cancel" if you cannot come', ("CANCEL",)),
        ('Send us "info" for our price list', ("INFO",)),
        ("Please reply with the word yes", ("YES",)),
        ("REPLY CANCEL TO CANCEL YOUR VISIT", ("CANCEL",)),
        ("Reply INFO for the price list", ("INFO",)),
        ("Reply END when done", ("END",)),
        ("Reply QUIT. Reply QUIT.", ("QUIT",)),
        ("Reply STOP to stop the work", ("STOP",)),
        ("Text HELP to get a tow truck", ("HELP",)),
        ("Your visit is on Friday.\nReply YES if that suits you. Reply STOP to opt out.", ("YES",)),
    ],
)
def test_a_keyword_that_we_invite_for_something_else_is_named(text: str, expected: tuple[str, ...]) -> None:
    assert expected == invited(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Reply STOP to opt out",
        "Reply HELP for help, STOP to opt out.",
        "Text STOP to end",
        "Reply STOP.",
        "Reply CANCEL to cancel these texts",
        "Reply YES to subscribe to texts",
        "Reply START to resume messages",
        "text INFO for help",
        "Cancel any time. Yes, we are open until the end of the day.",
        "We will send info shortly.",
        "If you want to cancel, reply to this text or call.",
        "Reply to this text if you want to cancel",
        "Reply 1 for yes or 2 to cancel",
        "CALL US TO CANCEL",
        "Reply with your name, and we call you back to help",
    ],
)
def test_words_used_for_what_they_do_are_fine(text: str) -> None:
    assert invited(text) == ()


@given(st.text(st.characters(exclude_categories=())))
def test_every_text_has_an_answer(text: str) -> None:
    assert isinstance(suspected(text), str)
    assert isinstance(invited(text), tuple)


@pytest.mark.parametrize("piece", ["stop ", "stop all ", "take me off ", "dont ly", "will the a ", "é", "reply ", '"'])
def test_no_text_takes_long(piece: str) -> None:
    suspected(piece * 5_000)
    invited(piece * 5_000)
