"""[[rule]], [[template]] and [[answer]] reach core as they are written, with the place where they stand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.config import Config, ConfigError
from gateway.core import rules

Loader = Callable[..., Config]
TWILIO = f'[twilio]\naccount_sid = "AC{"0" * 32}"\nauth_token = {{ env = "SET_BY_TESTS" }}\n'
BOOK = """
[[number]]
name = "service"
phone = "+12025550100"
provider = "twilio"
[[number]]
name = "sales"
phone = "+12025550102"
provider = "twilio"
[[rule]]
sender = "jobs"
to = "*+Ready"
subject = ["*Ready*", "*done*"]
number = ["service", "sales"]
class = "marketing"
template = "ready"
job = 'order (\\d+)'
[[rule]]
job = 'order (\\d+)'
[[template]]
name = "ready"
text = "{{Ready}} {vehicle} at {time}"
patterns = { vehicle = 'Vehicle: (.+)', time = 'at (\\S+)' }
[[answer]]
name = "closed"
number = "service"
keyword = ["Hours?", "  open  now "]
days = ["mon", "sun", "mon"]
hours = "18:00-08:00"
text = "Closed."
subject_tag = "[closed]"
header = "X-Closed: yes, it is"
"""


def line_of(header: str, config: Config) -> int:
    """The line on which the header stands first."""
    return config.path.read_text().split("\n").index(header) + 1


def test_rules_keep_their_order_and_tell_their_line(loaded: Loader) -> None:
    config = loaded(tables=TWILIO + BOOK)

    line = line_of("[[rule]]", config)
    assert config.warnings == ()
    assert config.rules.rules == (
        rules.Rule(
            place=f"config.toml:{line}",
            senders=("jobs",),
            to=("*+ready",),
            subject=("*ready*", "*done*"),
            numbers=("service", "sales"),
            klass="marketing",
            template="ready",
            job=r"order (\d+)",
        ),
        rules.Rule(place=f"config.toml:{line + 8}", job=r"order (\d+)"),
    )


def test_a_template_has_its_words_and_the_patterns_of_its_fields(loaded: Loader) -> None:
    config = loaded(tables=TWILIO + BOOK)

    assert config.rules.templates == (
        rules.Template(
            place=f"config.toml:{line_of('[[template]]', config)}",
            name="ready",
            text="{{Ready}} {vehicle} at {time}",
            patterns={"vehicle": "Vehicle: (.+)", "time": r"at (\S+)"},
        ),
    )


def test_the_words_of_an_answer_are_those_that_a_text_is_compared_with(loaded: Loader) -> None:
    config = loaded(tables=TWILIO + BOOK)

    assert config.rules.answers == (
        rules.Answer(
            place=f"config.toml:{line_of('[[answer]]', config)}",
            name="closed",
            numbers=("service",),
            keywords=("hours", "open now"),
            days=("mon", "sun"),
            hours="18:00-08:00",
            text="Closed.",
            subject_tag="[closed]",
            header=("X-Closed", "yes, it is"),
        ),
    )


def test_the_patterns_are_told_once_and_in_order(loaded: Loader) -> None:
    found = loaded(tables=TWILIO + BOOK).rules

    assert found.job_patterns == (r"order (\d+)",)
    assert found.template_patterns == ("Vehicle: (.+)", r"at (\S+)")


@pytest.mark.parametrize(
    "text",
    ["Ready.", "Ready {at_5}", "{{}}", "{{{name}}}", "a {{ b", "}}", "two\nlines"],
)
def test_what_a_template_may_say(loaded: Loader, text: str) -> None:
    shown = text.replace("\n", "\\n")

    found = loaded(tables=f'[[template]]\nname = "ready"\ntext = "{shown}"\n').rules

    assert [t.text for t in found.templates] == [text]


@pytest.mark.parametrize("text", ["{", "}", "{}", "{Name}", "{1st}", "{a b}", "{{name}", "{name}}", "{a.b}", "{a!r}"])
def test_a_brace_that_belongs_to_no_field_is_an_error(loaded: Loader, text: str) -> None:
    with pytest.raises(ConfigError, match="that belongs to no field"):
        loaded(tables=f'[[template]]\nname = "ready"\ntext = "{text}"\n')


@pytest.mark.parametrize("text", ["", "{text}", "{brand}: {text} {brand}", "[{text}]"])
def test_the_words_of_a_first_text(loaded: Loader, text: str) -> None:
    assert loaded(tables=f'[text]\nfirst = "{text}"\n').rules.text.first == text


@pytest.mark.parametrize(
    "text", ["{brand}", "{text} {text}", "{text} {name}", "{{text}}", "{text", "{text}}", "{text} {"]
)
def test_a_first_text_holds_the_text_once_and_nothing_unknown(loaded: Loader, text: str) -> None:
    with pytest.raises(ConfigError, match=r"text\.first must have \{text\} once"):
        loaded(tables=f'[text]\nfirst = "{text}"\n')


@pytest.mark.parametrize("word", ["stop", " Cancel! ", "START", "Yes", "help", "\uff29\uff2e\uff26\uff2f"])
def test_no_answer_takes_a_word_that_changes_consent_or_asks_for_help(loaded: Loader, word: str) -> None:
    with pytest.raises(ConfigError, match="on every number"):
        loaded(tables=f'[[answer]]\nname = "a"\nkeyword = "{word}"\ntext = "Thanks."\n')


def test_one_answer_alone_needs_no_condition_and_several_do(loaded: Loader) -> None:
    bare = '[[answer]]\nname = "a"\ntext = "Thanks."\n'

    assert len(loaded(tables=bare).rules.answers) == 1
    with pytest.raises(ConfigError, match="answer 'a' fits every text"):
        loaded(tables=bare + '[[answer]]\nname = "b"\nkeyword = "hours"\ntext = "8 to 5."\n')
