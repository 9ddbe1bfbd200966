"""The stack with photos: what a client may read natively, what the index function may do, and nothing else."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from tests.consumers.tidemill_media import contents
from tests.infra.conftest import PROBE
from tests.infra.tidemill_local.test_deployment import DENIED, filled, outcome
from tests.signing_in import sign_in
from tidemill_cli.main import main
from tidemill_consumers.codec.items import to_attribute
from tidemill_deploy.template import template_path
from tidemill_local.clients import EmulatorSession
from tidemill_local.deployment import Deployment, deploy
from tidemill_local.emulator import Emulator

BUCKET = {"Bucket": "{ContentBucketName}"}
TABLE = {"TableName": "{TableName}"}
CONTENT, USER = {"pk": {"S": "content/1"}}, {"pk": {"S": "user/ada@example.com"}}
SEVERAL = {"{TableName}": {"Keys": [CONTENT], "ProjectionExpression": "doc"}}
PLACES = {
    "IndexName": "places",
    "KeyConditionExpression": "cell = :cell",
    "ExpressionAttributeValues": {":cell": {"S": "u3"}},
}


@pytest.fixture(scope="module")
def stack(emulator: Emulator) -> Deployment:
    """The project's stack with photos, a probe as its functions, a content and something in each folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("tidemill_media/__init__.py", "tidemill_consumers/__init__.py"):
            archive.writestr(name, "")
        archive.writestr("tidemill_media/index.py", PROBE)
    given = {"Photos": "on", "ShardCount": "1", "ApplicationSecret": "s" * 43}
    made = deploy(emulator, template_path(), given, code=buffer.getvalue(), stack="photos")
    for folder in ("index", "thumbnails", "cached", "photos", "uploads", "objects"):
        emulator.client("s3").put_object(Bucket=made.outputs["ContentBucketName"], Key=f"{folder}/k", Body=b"x")
    item = {"doc": to_attribute({"title": "Sea"}), "cell": {"S": "u3"}, "geohash": {"S": "u33dc1v0z"}}
    for key in (CONTENT, USER):
        emulator.client("dynamodb").put_item(TableName=made.outputs["TableName"], Item={**key, **item})
    return made


@pytest.fixture(scope="module")
def client(emulator: Emulator, stack: Deployment) -> EmulatorSession:
    ada = sign_in(emulator, stack.outputs, "ada-with-photos")
    return emulator.session(ada.key, ada.secret, ada.token)


@pytest.fixture(scope="module")
def invoke(emulator: Emulator, stack: Deployment) -> Callable[[dict[str, Any]], Any]:
    def call(event: dict[str, Any]) -> Any:
        function = stack.outputs["IndexFunctionName"]
        answer = emulator.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        return json.load(answer["Payload"])

    return call


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("s3", "get_object", BUCKET | {"Key": "index/k"}),
        ("s3", "get_object", BUCKET | {"Key": "thumbnails/k"}),
        ("s3", "get_object", BUCKET | {"Key": "cached/k"}),
        ("dynamodb", "get_item", TABLE | {"Key": CONTENT, "ProjectionExpression": "doc"}),
        ("dynamodb", "get_item", TABLE | {"Key": CONTENT, "ProjectionExpression": "pk, doc.title"}),
        ("dynamodb", "query", TABLE | PLACES),
    ],
)
def test_a_client_reads_contents(
    client: EmulatorSession, stack: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert outcome(client, service, operation, filled(arguments, dict(stack.outputs))) == "allowed"


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("s3", "get_object", BUCKET | {"Key": "photos/k"}),
        ("s3", "get_object", BUCKET | {"Key": "uploads/k"}),
        ("s3", "get_object", BUCKET | {"Key": "objects/k"}),
        ("s3", "put_object", BUCKET | {"Key": "index/k", "Body": "x"}),
        ("s3", "delete_object", BUCKET | {"Key": "thumbnails/k"}),
        ("s3", "list_objects_v2", BUCKET),
        ("dynamodb", "get_item", TABLE | {"Key": CONTENT}),
        ("dynamodb", "get_item", TABLE | {"Key": CONTENT, "ProjectionExpression": "doc, writers"}),
        ("dynamodb", "get_item", TABLE | {"Key": CONTENT, "ProjectionExpression": "recent"}),
        ("dynamodb", "get_item", TABLE | {"Key": USER, "ProjectionExpression": "doc"}),
        (
            "dynamodb",
            "batch_get_item",
            {"RequestItems": SEVERAL},
        ),
        ("dynamodb", "put_item", TABLE | {"Item": CONTENT}),
        ("dynamodb", "scan", TABLE),
        ("dynamodb", "scan", TABLE | {"IndexName": "places"}),
        ("lambda", "invoke", {"FunctionName": "{IndexFunctionName}"}),
    ],
)
def test_and_nothing_else(
    client: EmulatorSession, stack: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert outcome(client, service, operation, filled(arguments, dict(stack.outputs))) in DENIED


@pytest.mark.parametrize(
    ("output", "method", "headers"),
    [
        ("ContentBucketName", "PUT", "authorization,x-amz-checksum-sha256,x-amz-date,x-amz-security-token"),
        ("ContentBucketName", "GET", "authorization,x-amz-date"),
        ("ThumbnailsUrl", "GET", "authorization,x-amz-date,x-amz-security-token"),
    ],
)
def test_a_browsers_page_may_ask(emulator: Emulator, stack: Deployment, output: str, method: str, headers: str) -> None:
    url = urlsplit(stack.outputs[output])
    path = f"{url.path}/content/1/64.webp" if url.netloc else f"/{url.path}/photos/k"
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    here = {"Origin": "http://127.0.0.1:8080", **({"Host": url.netloc} if url.netloc else {})}
    with urllib3.PoolManager() as http:
        told = http.request("OPTIONS", emulator.endpoint_url + path, headers=here | asked)
    assert told.headers["Access-Control-Allow-Origin"] == "*"
    assert method in told.headers["Access-Control-Allow-Methods"]
    allowed = told.headers["Access-Control-Allow-Headers"].replace(" ", "").split(",")
    assert set(headers.split(",")) <= set(allowed)


def test_an_index_by_place_has_keys_and_nothing_of_the_document(
    emulator: Emulator, client: EmulatorSession, stack: Deployment
) -> None:
    found = client.client("dynamodb").query(**filled(TABLE | PLACES, dict(stack.outputs)))["Items"]
    assert [set(one) for one in found] == [{"pk", "cell", "geohash"}] * 2


DELETE = {"Delete": {"Objects": [{"Key": "cached/none"}]}}


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("dynamodb", "batch_get_item", {"RequestItems": {"{TableName}": {"Keys": [CONTENT]}}}),
        ("s3", "get_object", BUCKET | {"Key": "index/k"}),
        ("s3", "put_object", BUCKET | {"Key": "index/k", "Body": "x"}),
        ("s3", "delete_objects", BUCKET | DELETE),
        ("s3", "delete_object", BUCKET | {"Key": "thumbnails/none"}),
        ("s3", "list_objects_v2", BUCKET),
    ],
)
def test_the_index_function_may_do_its_work(
    invoke: Callable[[dict[str, Any]], Any], stack: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert invoke({"call": [service, operation, filled(arguments, dict(stack.outputs))]}) == "allowed"


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("dynamodb", "put_item", TABLE | {"Item": CONTENT}),
        ("dynamodb", "scan", TABLE),
        ("s3", "get_object", BUCKET | {"Key": "photos/k"}),
        ("s3", "put_object", BUCKET | {"Key": "thumbnails/k", "Body": "x"}),
        ("s3", "delete_object", BUCKET | {"Key": "photos/k"}),
        ("s3", "delete_object", BUCKET | {"Key": "objects/k"}),
        ("kinesis", "put_record", {"StreamName": "{StreamName}", "Data": "x", "PartitionKey": "k"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "{ApplicationSecretArn}"}),
    ],
)
def test_the_index_function_may_do_nothing_else(
    invoke: Callable[[dict[str, Any]], Any], stack: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert invoke({"call": [service, operation, filled(arguments, dict(stack.outputs))]}) in DENIED


def test_the_mapping_passes_contents_alone_and_never_gives_up(emulator: Emulator, stack: Deployment) -> None:
    listed = emulator.client("lambda").list_event_source_mappings(FunctionName=stack.outputs["IndexFunctionName"])
    (mapping,) = listed["EventSourceMappings"]
    assert mapping["MaximumRetryAttempts"] == mapping["MaximumRecordAgeInSeconds"] == -1
    assert mapping["BisectBatchOnFunctionError"] is True
    (only,) = mapping["FilterCriteria"]["Filters"]
    assert json.loads(only["Pattern"]) == {"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "content/"}]}}}}


def test_alarms_of_photos_are_there_with_photos_alone(deployment: Deployment, stack: Deployment) -> None:
    def watched(of: Deployment) -> set[str]:
        return {one.logical_id for one in of.local_resources if "Index" in one.logical_id}

    assert (watched(deployment), watched(stack)) == (set(), {"IndexLags", "IndexFails"})


def test_an_operator_may_make_the_index_anew(
    emulator: Emulator, stack: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    iam = emulator.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="indexer", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="indexer", PolicyArn=stack.outputs["OperatorPolicyArn"])
    keys = emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="indexer")["Credentials"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    listed = {"pk": {"S": "content/2"}, "doc": to_attribute(contents.document())}
    emulator.client("dynamodb").put_item(TableName=stack.outputs["TableName"], Item=listed)
    for anew in (1, 0):
        assert main(["reindex", "--stack", "photos"]) == 0
        assert capsys.readouterr().out == f"1 contents in 2 indexes; {anew} were listed anew\n"
    operator = emulator.session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    for folder in ("photos", "uploads", "thumbnails"):
        denied = filled(BUCKET | {"Key": f"{folder}/k"}, dict(stack.outputs))
        assert outcome(operator, "s3", "get_object", denied) in DENIED
