"""Where the commands ask, and as whom: profiles, regions and credentials that are not as they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidemill import Misconfigured
from tidemill_cli.stack import LOCAL_ENDPOINT, LOCAL_KEY, LOCAL_REGION, Access, NoStack, access, outputs
from tidemill_local.clients import REGION
from tidemill_local.emulator import Emulator

if TYPE_CHECKING:
    from pathlib import Path

    Patch = pytest.MonkeyPatch

ARN = "arn:aws:kinesis:ap-south-1:111122223333:stream/requests"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: Patch, tmp_path: Path) -> None:
    for name in ("REGION", "DEFAULT_REGION", "PROFILE", "ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def keys(monkeypatch: Patch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")


@pytest.mark.parametrize(
    "settings", [{"AWS_PROFILE": "gone"}, {"AWS_REGION": "eu-west-1"}, {"AWS_DEFAULT_REGION": "eu-west-1"}]
)
def test_the_local_platform_needs_no_settings(settings: dict[str, str], monkeypatch: Patch) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    where = access(LOCAL_ENDPOINT)
    assert where == Access(LOCAL_ENDPOINT, REGION, LOCAL_KEY, LOCAL_KEY)
    client = where.client("kinesis")
    assert (client.meta.region_name, client.meta.endpoint_url) == (LOCAL_REGION, LOCAL_ENDPOINT)
    client.close()


def test_aws_is_asked_in_the_region_that_is_said(monkeypatch: Patch) -> None:
    keys(monkeypatch)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    assert access(None).region == "eu-west-3"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert access(None).region == "eu-west-1"
    assert access(None, "requests").region == "eu-west-1"
    assert access(None, ARN).region == "ap-south-1"


def test_without_a_region_the_remedy_is_told(monkeypatch: Patch) -> None:
    keys(monkeypatch)
    with pytest.raises(Misconfigured, match="set AWS_REGION, such as eu-west-1") as told:
        access(None)
    assert told.value.field == "region"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert access(None).endpoint_url is None


def test_a_profile_that_is_not_there_is_told(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with pytest.raises(Misconfigured, match="list-profiles"):
        access(None)
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = mine\naws_secret_access_key = mine\n")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert access(None).access_key == "mine"


def test_half_of_the_credentials_is_told(monkeypatch: Patch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    with pytest.raises(Misconfigured, match="set both"):
        access(None)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    assert access(None).secret_key == "mine"


def test_the_local_platform_says_its_region_to_whom_asks_another(emulator: Emulator, monkeypatch: Patch) -> None:
    keys(monkeypatch)
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with pytest.raises(NoStack, match=r"in eu-west-1 .*the local platform is in us-east-1: set AWS_REGION=us-east-1"):
        outputs(access(None), "nobody")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(NoStack, match="in us-east-1") as told:
        outputs(access(None), "nobody")
    assert "set AWS_REGION" not in str(told.value)


def test_what_up_prints_points_everybody_at_it(emulator: Emulator) -> None:
    assert emulator.environment["AWS_REGION"] == emulator.environment["AWS_DEFAULT_REGION"] == REGION == LOCAL_REGION


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_the_default_port_is_the_local_platform_under_any_name_of_this_machine(host: str, monkeypatch: Patch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:4566")
    assert access(None) == Access(f"http://{host}:4566", LOCAL_REGION, LOCAL_KEY, LOCAL_KEY)


def test_another_port_of_this_machine_gets_the_keys_of_the_profile_or_else_the_local_ones(
    monkeypatch: Patch, tmp_path: Path
) -> None:
    endpoint = "http://127.0.0.1:9000"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert access(None) == Access(endpoint, LOCAL_REGION, LOCAL_KEY, LOCAL_KEY)
    (tmp_path / "credentials").write_text("[minio]\naws_access_key_id = mine\naws_secret_access_key = mine\n")
    monkeypatch.setenv("AWS_PROFILE", "minio")
    assert access(None) == Access(endpoint, LOCAL_REGION, "mine", "mine")


def test_the_local_platform_needs_no_login_that_holds(monkeypatch: Patch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile work]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = dev\nregion = eu-west-1\n"
        "[sso-session corp]\nsso_start_url = http://127.0.0.1:9/start\nsso_region = us-east-1\n"
        "sso_registration_scopes = sso:account:access\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert access(LOCAL_ENDPOINT) == Access(LOCAL_ENDPOINT, LOCAL_REGION, LOCAL_KEY, LOCAL_KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    found = access(None)
    assert (found.endpoint_url, found.access_key, found.secret_key) == ("http://127.0.0.1:9000", LOCAL_KEY, LOCAL_KEY)


def test_keys_of_the_environment_for_this_machine_need_no_profile(monkeypatch: Patch) -> None:
    keys(monkeypatch)
    monkeypatch.setenv("AWS_PROFILE", "gone")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert access(None) == Access("http://127.0.0.1:9000", "eu-west-3", "mine", "mine")


def test_the_local_platform_is_asked_past_the_proxy(monkeypatch: Patch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    client = access(LOCAL_ENDPOINT).client("kinesis")
    assert client.meta.config.proxies == {}
    client.close()


def test_the_local_platform_says_its_keys_to_whom_has_others(emulator: Emulator, monkeypatch: Patch) -> None:
    keys(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.endpoint_url)
    with pytest.raises(NoStack, match="the local platform's key and secret are 'test'"):
        outputs(access(None), "nobody")


def test_up_prints_what_keeps_its_endpoint_from_the_proxy(emulator: Emulator, monkeypatch: Patch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", "intranet,localhost")
    for name in ("NO_PROXY", "no_proxy"):
        assert emulator.environment[name] == "127.0.0.1,localhost,::1,intranet"
