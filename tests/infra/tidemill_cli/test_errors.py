"""Errors of commands: one line on stderr and an exit code, unless nobody expected them."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError, EndpointConnectionError, TokenRetrievalError

from tidemill_cli.errors import CommandError, of_aws, run_or_tell

NO_ENDPOINT = EndpointConnectionError(endpoint_url="http://127.0.0.1:9")


def raising(error: Exception) -> int:
    raise error


def test_the_exit_code_is_that_of_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert [run_or_tell("demo", lambda code=code: code) for code in (0, 1, 130)] == [0, 1, 130]  # type: ignore[misc] # mypy infers no type of a lambda with a default
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CommandError("give one\tof both"), "tidemill demo: give one\\tof both\n"),
        (OSError("no such folder"), "tidemill demo: no such folder\n"),
        (LookupError("expected here"), "tidemill demo: expected here\n"),
        (NO_ENDPOINT, f"tidemill demo: {NO_ENDPOINT}; start it\n"),
    ],
)
def test_an_error_that_is_expected_is_a_line(error: Exception, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_or_tell("demo", lambda: raising(error), LookupError, after_aws="; start it") == 1
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("error", [BrokenPipeError(), RuntimeError("a bug"), NO_ENDPOINT])
def test_any_other_error_is_left_to_main(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(type(error)) as raised:
        run_or_tell("demo", lambda: raising(error), LookupError)
    assert raised.value is error
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "GetObject"), "get new credentials"),
        (TokenRetrievalError(provider="sso", error_msg="Token has expired"), "Token has expired; run `aws sso login`"),
        (CredentialRetrievalError(provider="custom-process", error_msg="exit 1"), "; run the profile's"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), 'URL: "http://127.0.0.1:9"'),
    ],
)
def test_an_error_of_aws_that_no_command_caught_is_one_line_with_its_remedy(error: Exception, said: str) -> None:
    found = of_aws(error)
    assert found is not None
    assert said in found
    assert "\n" not in found


def test_an_error_of_ones_own_is_noneof_aws() -> None:
    assert of_aws(RuntimeError("a bug")) is None
