"""A remedy that is printed is a remedy that was run: each fails as told, and passes once its text is followed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from inspect import signature
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.answering import UNREADABLE, Service, good, http, service
from tidemill import GivenUp, Misconfigured, Producer, Spool, StillPending
from tidemill.delivery.settings import Settings
from tidemill.errors import REMEDIES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Patch = pytest.MonkeyPatch

OPTIONS = {*Settings.__annotations__, *signature(Spool).parameters}
PATIENCE = 30
"""Seconds after which a test gives up; none of them needs it."""


class Gate:
    """Kinesis as far as it refuses: the checks that AWS makes of a call before it stores anything."""

    def __init__(self) -> None:
        self.refuses: str | None = None
        self.down = False
        self.keys = {"known": "known"}
        self.expired: set[str] = set()
        self.streams = {"requests"}
        self.limit = 1024 * 1024
        self.there: Service

    def __call__(self, call: dict[str, Any]) -> bytes:
        if self.down:
            return http(b"", 503)
        code = self._refusal(call, self.there.headers[-1])
        return http(json.dumps({"__type": code, "message": "no"}).encode(), 400) if code else good(call)

    def _refusal(self, call: dict[str, Any], headers: dict[str, str]) -> str | None:
        key = re.findall(r"Credential=([^/]+)/", headers.get("authorization", ""))[0]
        signed = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if key not in self.keys:
            return "UnrecognizedClientException"
        if key in self.expired:
            return "ExpiredTokenException"
        if abs(datetime.now(UTC) - signed) > timedelta(minutes=5):
            return "InvalidSignatureException"
        if call["StreamName"] not in self.streams:
            return "ResourceNotFoundException"
        if any(len(record["Data"]) > self.limit for record in call.get("Records", [])):
            return "InvalidArgumentException"
        return self.refuses


@pytest.fixture
def gate(monkeypatch: Patch, tmp_path: Path) -> Iterator[Gate]:
    """A process that has just started, with keys that are known."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "known")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "known")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setattr("tidemill.sending.backoff.FIRST_BACKOFF", 0.02)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    one = Gate()
    with service(usually=one) as there:
        one.there = there
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        yield one


def sends(monkeypatch: Patch, stream: str = "requests", check: bool = False, data: Any = None, **options: Any) -> None:
    """What a process that starts does: sends a request and waits for its outcome."""
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    ttl = options.pop("ttl", None)
    with Producer(stream, check=check, **({"linger": 0} | options)) as producer:
        producer.send("c", key="k", data=data, ttl=ttl).result(PATIENCE)


def fails(code: str, monkeypatch: Patch, **options: Any) -> None:
    """It ends with this error and its remedy."""
    with pytest.raises((GivenUp, Misconfigured), match=re.escape(REMEDIES[code])):
        sends(monkeypatch, **options)


TESTED: set[str] = set()


def remedy(*codes: str) -> pytest.MarkDecorator:
    TESTED.update(codes)
    return pytest.mark.parametrize("code", codes)


@remedy("AccessDeniedException", "KMSAccessDeniedException")
def test_a_caller_that_is_allowed(code: str, gate: Gate, monkeypatch: Patch) -> None:
    gate.refuses = code
    fails(code, monkeypatch)
    gate.refuses = None
    sends(monkeypatch)


@remedy("Closed")
def test_a_close_that_waits(code: str, gate: Gate) -> None:
    gate.down = True
    producer = Producer("requests", check=False)
    handle = producer.send("c", key="k")
    with pytest.raises((StillPending, GivenUp)):
        producer.close(0)
    with pytest.raises(GivenUp, match=re.escape(REMEDIES[code])):
        handle.result(PATIENCE)
    gate.down = False
    producer = Producer("requests", check=False)
    handle = producer.send("c", key="k")
    producer.close()
    assert handle.result(0)


@remedy("Dropped")
@pytest.mark.parametrize("cure", [{"max_pending_bytes": 1_000_000}, {"when_full": "wait"}])
def test_room_for_more(code: str, cure: dict[str, Any], gate: Gate) -> None:
    full: dict[str, Any] = {"max_pending_bytes": 1, "when_full": "drop_oldest"}
    with Producer("requests", check=False, linger=1e6, **full) as producer:
        first = producer.send("c", key="k")
        producer.send("c", key="k")
        with pytest.raises(GivenUp, match=re.escape(REMEDIES[code])):
            first.result(PATIENCE)
    with Producer("requests", check=False, linger=0.01, **(full | cure)) as producer:
        handles = [producer.send("c", key="k") for _ in range(2)]
        assert all(handle.result(PATIENCE) for handle in handles)


@remedy("Expired")
def test_a_longer_time_to_live(code: str, gate: Gate, monkeypatch: Patch) -> None:
    gate.down = True
    fails(code, monkeypatch, ttl=0.1)
    gate.down = False
    sends(monkeypatch, ttl=PATIENCE)
    sends(monkeypatch)


@remedy("ExpiredTokenException")
@pytest.mark.parametrize("check", [True, False])
def test_credentials_that_are_new(code: str, check: bool, gate: Gate, monkeypatch: Patch) -> None:
    gate.expired = {"known"}
    fails(code, monkeypatch, check=check)
    gate.keys["new"] = "new"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "new")
    sends(monkeypatch, check=check)


@remedy("InvalidArgumentException")
def test_records_that_the_stream_takes(code: str, gate: Gate, monkeypatch: Patch) -> None:
    gate.limit = 2_000
    data = {"pad": "x" * 500}
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    for record_bytes, holds in ((50_000, False), (1_000, True)):
        with Producer("requests", check=False, linger=0.05, record_bytes=record_bytes) as producer:
            handles = [producer.send("c", key="k", data=data) for _ in range(10)]
            if holds:
                assert all(handle.result(PATIENCE) for handle in handles)
                continue
            with pytest.raises(GivenUp, match=re.escape(REMEDIES[code])):
                handles[0].result(PATIENCE)


@remedy("InvalidSignatureException")
@pytest.mark.parametrize("check", [True, False])
def test_a_clock_that_is_right(code: str, check: bool, gate: Gate, monkeypatch: Patch) -> None:
    def late(*_: object, **__: object) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)

    with monkeypatch.context() as wrong:
        wrong.setattr("botocore.auth.get_current_datetime", late)
        fails(code, monkeypatch, check=check)
    sends(monkeypatch, check=check)


@remedy("MalformedResponse")
def test_another_place_than_kinesis(
    code: str, gate: Gate, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    right = gate.there.url
    with service(usually=UNREADABLE["HTML"]) as page:
        monkeypatch.setenv("AWS_ENDPOINT_URL", page.url)
        with pytest.raises(GivenUp):
            sends(monkeypatch, ttl=0.3)
    assert REMEDIES[code] in caplog.text
    monkeypatch.setenv("AWS_ENDPOINT_URL", right)
    sends(monkeypatch)


@remedy("NoCredentialsError")
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("cure", ["keys", "profile"])
def test_credentials_that_are_set(
    code: str, cure: str, check: bool, gate: Gate, monkeypatch: Patch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = known\naws_secret_access_key = known\n")
    fails(code, monkeypatch, check=check)
    if cure == "profile":
        monkeypatch.setenv("AWS_PROFILE", "work")
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "known")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "known")
    sends(monkeypatch, check=check)


@remedy("PartialCredentialsError")
@pytest.mark.parametrize("check", [True, False])
def test_credentials_that_are_whole(code: str, check: bool, gate: Gate, monkeypatch: Patch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    fails(code, monkeypatch, check=check)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "known")
    sends(monkeypatch, check=check)


@remedy("NoRegionError")
def test_a_region_that_is_set(code: str, gate: Gate, monkeypatch: Patch) -> None:
    monkeypatch.delenv("AWS_REGION")
    fails(code, monkeypatch)
    (named,) = re.findall(r"set AWS_REGION, such as (\S+)", REMEDIES[code])
    monkeypatch.setenv("AWS_REGION", named)
    sends(monkeypatch)
    assert f"/{named}/kinesis/" in gate.there.headers[-1]["authorization"]


@remedy("ProfileNotFound")
def test_a_profile_that_is_there(code: str, gate: Gate, monkeypatch: Patch, tmp_path: Path) -> None:
    # An endpoint of this machine whose keys are in the environment needs no profile.
    monkeypatch.setenv("AWS_PROFILE", "wrok")
    sends(monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    fails(code, monkeypatch)
    (tmp_path / "config").write_text("[profile work]\naws_access_key_id = known\naws_secret_access_key = known\n")
    assert boto3.Session(profile_name="work").available_profiles == ["work"]  # as `aws configure list-profiles` has it
    monkeypatch.setenv("AWS_PROFILE", "work")
    sends(monkeypatch)


@remedy("ResourceNotFoundException")
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("cure", ["the name", "created", "AWS_ENDPOINT_URL"])
def test_a_stream_that_is_there(code: str, cure: str, check: bool, gate: Gate, monkeypatch: Patch) -> None:
    name = "request" if cure == "the name" else "requests"
    gate.streams = {"requests"} if cure == "the name" else set()
    fails(code, monkeypatch, stream=name, check=check)
    if cure == "created":
        gate.streams = {"requests"}
    if cure == "AWS_ENDPOINT_URL":
        with service() as elsewhere:
            monkeypatch.setenv("AWS_ENDPOINT_URL", elsewhere.url)
            sends(monkeypatch, check=check)
        return
    sends(monkeypatch, check=check)


@remedy("UnrecognizedClientException")
@pytest.mark.parametrize("check", [True, False])
def test_credentials_that_are_known_there(code: str, check: bool, gate: Gate, monkeypatch: Patch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    fails(code, monkeypatch, check=check)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "known")
    sends(monkeypatch, check=check)


@remedy("CredentialRetrievalError")
@pytest.mark.parametrize("check", [True, False])
def test_a_process_that_gives_credentials(
    code: str, check: bool, gate: Gate, monkeypatch: Patch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_PROFILE", "work")
    (tmp_path / "config").write_text(f"[profile work]\ncredential_process = sh {tmp_path / 'keys'}\n")
    (tmp_path / "keys").write_text("echo log in first >&2; exit 1\n")
    fails(code, monkeypatch, check=check)
    given = json.dumps({"Version": 1, "AccessKeyId": "known", "SecretAccessKey": "known"})
    (tmp_path / "keys").write_text(f"echo '{given}'\n")
    sends(monkeypatch, check=check)


SSO = """\
[profile work]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = dev
region = eu-west-1
[sso-session corp]
sso_start_url = http://127.0.0.1:9/start
sso_region = eu-west-1
sso_registration_scopes = sso:account:access
"""


@remedy("SSOTokenLoadError", "TokenRetrievalError", "UnauthorizedSSOTokenError")
def test_a_login_that_holds(code: str, gate: Gate, monkeypatch: Patch, tmp_path: Path) -> None:
    """What `aws sso login` does is to write the token's file; the roles' credentials come from the SSO service."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config").write_text(SSO)
    role = {"accessKeyId": "known", "secretAccessKey": "known", "sessionToken": "t", "expiration": 4_000_000_000_000}
    cache = tmp_path / ".aws/sso/cache"
    cache.mkdir(parents=True)
    monkeypatch.setattr("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", str(cache), raising=False)
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(cache), raising=False)
    token = cache / f"{sha1(b'corp', usedforsecurity=False).hexdigest()}.json"

    def sso(call: dict[str, Any]) -> bytes:
        if code == "UnauthorizedSSOTokenError" and not mended:
            return http(b"{}", 401, "x-amzn-ErrorType: UnauthorizedException")
        return http(json.dumps({"roleCredentials": role}).encode())

    def login(until: str) -> None:
        held = {"startUrl": "http://127.0.0.1:9/start", "region": "eu-west-1", "accessToken": "a", "expiresAt": until}
        token.write_text(json.dumps(held))

    mended = False
    with service(usually=sso) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", there.url)
        if code == "TokenRetrievalError":
            login("2020-01-01T00:00:00Z")
        if code == "UnauthorizedSSOTokenError":
            login("2100-01-01T00:00:00Z")
        fails(code, monkeypatch, check=True)
        mended = True
        login("2100-01-01T00:00:00Z")
        sends(monkeypatch, check=True)


def test_every_remedy_is_tested() -> None:
    assert set(REMEDIES) == TESTED


@pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)
def test_a_remedy_names_options_that_there_are(remedy: str) -> None:
    named = {word for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", remedy) if word != "credential_process"}
    assert named <= OPTIONS
