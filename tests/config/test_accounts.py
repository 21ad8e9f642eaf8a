"""The accounts at the providers, where more than one may be configured."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.config import Config, FlowrouteSettings, Secret
from gateway.core import rules

Loader = Callable[..., Config]
HOOK_SECRET = "nobody_can-guess-this"
TWILIO = f'[twilio]\naccount_sid = "AC{"0" * 32}"\nauth_token = {{ env = "SET_BY_TESTS" }}\n'
FLOWROUTE = '[flowroute]\naccess_key = "0123abcd"\nsecret_key = { env = "SET_BY_TESTS" }\n'
HOOKS = 'hook_secret = { env = "HOOK_OF_TESTS" }\n'
NUMBER = '[[number]]\nname = "service"\nphone = "202-555-0100"\nprovider = "flowroute"\n'


def test_an_account_at_flowroute_has_safe_defaults(loaded: Loader) -> None:
    config = loaded(tables=NUMBER + FLOWROUTE)

    assert config.flowroute == FlowrouteSettings(access_key="0123abcd", secret_key=Secret("correct horse"))
    assert config.twilio is None
    assert config.rules.providers == {"flowroute"}


def test_without_secrets_an_account_at_flowroute_has_none(loaded: Loader) -> None:
    tables = NUMBER + FLOWROUTE.replace("SET_BY", "UNSET_BY") + HOOKS

    assert loaded(tables=tables, secrets=False).flowroute == FlowrouteSettings(access_key="0123abcd", secret_key=None)


def test_the_secrets_of_an_account_do_not_show(loaded: Loader) -> None:
    shown = repr(loaded(tables=NUMBER + FLOWROUTE + HOOKS))

    assert "correct horse" not in shown
    assert HOOK_SECRET not in shown


def test_webhooks_of_flowroute_come_to_a_secret_address(loaded: Loader) -> None:
    public = '[http]\npublic_url = "https://sms.example.com"\n'

    config = loaded(tables=NUMBER + FLOWROUTE + HOOKS + public)

    assert config.flowroute is not None
    assert config.flowroute.hook_secret == Secret(HOOK_SECRET)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        pytest.param(FLOWROUTE + 'on_unknown = "hold"\n', {"flowroute": "hold"}, id="flowroute"),
        pytest.param(TWILIO, {"twilio": "reconcile"}, id="twilio"),
        pytest.param(
            TWILIO + 'on_unknown = "hold"\n' + FLOWROUTE, {"twilio": "hold", "flowroute": "reconcile"}, id="both"
        ),
    ],
)
def test_what_becomes_of_an_unclear_text_is_said_for_each_account(
    loaded: Loader, tables: str, expected: dict[str, str]
) -> None:
    assert loaded(tables=tables).rules.unknown == expected


SECOND = 'lookup_after = ["1 s"]\n'


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        pytest.param("", rules.Rules.__dataclass_fields__["lookup_after"].default, id="no account"),
        pytest.param(FLOWROUTE + SECOND, (timedelta(seconds=1),), id="flowroute"),
        pytest.param(TWILIO + SECOND + FLOWROUTE, (timedelta(seconds=1),), id="that of twilio for both"),
        pytest.param(TWILIO + SECOND + FLOWROUTE + SECOND, (timedelta(seconds=1),), id="the same twice"),
    ],
)
def test_one_schedule_of_look_ups_counts_for_all_accounts(
    loaded: Loader, tables: str, expected: tuple[timedelta, ...]
) -> None:
    assert loaded(tables=tables).rules.lookup_after == expected
