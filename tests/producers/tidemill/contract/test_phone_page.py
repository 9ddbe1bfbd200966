"""The JavaScript of docs/phone.md marks what it puts again, and names large data, as the SDK does: word for word."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.pages import PHONE, PHONE_PHOTOS, blocks
from tidemill.contract.attempts import unmarked
from tidemill.contract.places import photo_name, upload_name
from tidemill.contract.request import decode

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no node at hand")

DATE = "Fri, 28 Nov 2025 20:00:01 GMT"
TIME = 1764360000000

STUBS = """
const outputs = {StreamName: "requests"};
const waits = [];
globalThis.setTimeout = (done, ms) => { waits.push(ms); done(); };
class PutRecordCommand { constructor(input) { this.input = input; } }
class KinesisClient {
  constructor(config) { this.config = config; this.put = []; this.middlewareStack = {add: (hear) => this.hear = hear}; }
  async send({input}) {
    this.put.push({...input, Data: new TextDecoder().decode(input.Data)});
    const {name, status, headers} = this.answers.shift();
    if (headers) await this.hear(async () => ({response: {headers}}))({});
    if (name) throw Object.assign(new Error(name), {name, $metadata: status && {httpStatusCode: status}});
  }
}
"""

OF_KINESIS = {"date": DATE, "x-amzn-requestid": "7"}
STORED: dict[str, Any] = {"headers": OF_KINESIS}
THROTTLED = {"name": "ProvisionedThroughputExceededException", "status": 400, "headers": OF_KINESIS}
NO_ANSWER = {"name": "TypeError"}
FAILED = {"name": "InternalFailure", "status": 500, "headers": {}}
UNREADABLE = {"name": "SyntaxError", "status": 200, "headers": {}}
TIMEOUT = {"name": "RequestTimeout", "status": 408, "headers": {}}
DENIED = {"name": "AccessDeniedException", "status": 400, "headers": {}}
OF_A_PROXY = {"name": "BadGateway", "status": 502, "headers": {"date": DATE}}


def put(*answers: dict[str, Any], then: str = "") -> dict[str, Any]:
    """What is put for a request, after a first one that is stored; and how that ended."""
    code = "".join(blocks("Sending", PHONE)).replace("import ", "// import ", 1)
    drive = f"""
    const kinesis = connect({{region: "here"}});
    kinesis.answers = {json.dumps(list(answers))};
    let error = null;
    try {{
      while (kinesis.answers.length) await put(kinesis, record("c", "k", {{}}, "phone"));
    }} catch (raised) {{ error = raised.name; }}
    console.log(JSON.stringify({{config: kinesis.config, put: kinesis.put, error, waits: waits.length}}));
    """
    found: dict[str, Any] = told(STUBS + code + then + drive)
    return found


def told(code: str) -> Any:
    """What a module prints as JSON."""
    command = ["node", "--no-warnings", "--input-type=module"]
    return json.loads(subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout)


def marks(found: dict[str, Any]) -> list[int | None]:
    return [unmarked(one["Data"].encode())[1] for one in found["put"]]


def test_it_puts_by_a_client_that_does_not_retry() -> None:
    found = put(STORED)
    assert found["config"] == {"region": "here", "maxAttempts": 1}
    assert (marks(found), found["error"], found["waits"]) == ([None], None, 0)
    assert found["put"][0]["StreamName"] == "requests"


@pytest.mark.parametrize("lost", [NO_ANSWER, FAILED, UNREADABLE, TIMEOUT, OF_A_PROXY])
def test_after_a_lost_answer_it_marks_with_the_time_before_the_first_attempt(lost: dict[str, Any]) -> None:
    found = put(STORED, lost, THROTTLED, STORED)
    first, *again = marks(found)[1:]
    assert first is None
    assert again == pytest.approx([TIME, TIME], abs=5_000)
    assert again[0] == again[1]
    payloads = [unmarked(one["Data"].encode())[0] for one in found["put"][1:]]
    assert payloads == payloads[:1] * 3
    assert decode(payloads[0]).counter == 2
    assert {one["PartitionKey"] for one in found["put"]} == {"k"}


def test_what_was_refused_for_certain_is_not_marked() -> None:
    found = put(STORED, THROTTLED, THROTTLED, STORED)
    assert marks(found) == [None] * 4
    denied = put(DENIED)
    assert (marks(denied), denied["error"]) == ([None], "AccessDeniedException")


@pytest.mark.parametrize("before", [[], [OF_A_PROXY]])
def test_before_any_answer_of_kinesis_the_time_is_unknown(before: list[dict[str, Any]]) -> None:
    assert marks(put(*before, NO_ANSWER, STORED)) == [None, *[0] * (1 + len(before))]


def test_it_ends_some_day() -> None:
    found = put(*[NO_ANSWER] * 9)
    assert (len(found["put"]), found["error"]) == (8, "TypeError")


def test_large_data_is_named_as_the_contract_says_and_its_request_is_one_of_the_contract() -> None:
    code = "".join(blocks("Sending", PHONE) + blocks("Large data", PHONE)).replace("import ", "// import ")
    put, ref, record = told(
        f"""
        const outputs = {{ContentBucketName: "contents"}};
        class PutObjectCommand {{ constructor(input) {{ this.input = input; }} }}
        {code}
        const sent = [];
        const s3 = {{send: async ({{input}}) => sent.push({{...input, Body: new TextDecoder().decode(input.Body)}})}};
        const ref = await upload(s3, "us-east-1:2f9b", {{word: "gr\u00fc\u00df"}});
        const {{Data}} = record("report.file", "report/42", {{}}, "us-east-1:2f9b", ref);
        console.log(JSON.stringify([sent[0], ref, new TextDecoder().decode(Data)]));
        """
    )
    body = put.pop("Body").encode()
    digest = hashlib.sha256(body)
    name = upload_name("us-east-1:2f9b", digest.hexdigest())
    checksum = base64.b64encode(digest.digest()).decode()
    assert put == {"Bucket": "contents", "Key": name, "ChecksumSHA256": checksum}
    assert ref == {"object": name, "bytes": len(body)}
    request = decode(record.encode())
    assert (request.data, request.ref and request.ref.object) == ({}, name)


@pytest.mark.parametrize("key", ["content/42", "content/Sea & sky/a+b", "content/*!'()~-_. %", "content/gr\u00fc"])
def test_a_photo_is_named_as_the_contract_says(key: str) -> None:
    uploading = "".join(blocks("Uploading", PHONE_PHOTOS))
    name = told(
        f"""
        const outputs = {{ContentBucketName: "contents"}};
        class PutObjectCommand {{ constructor(input) {{ this.input = input; }} }}
        {uploading}
        const s3 = {{send: async ({{input}}) => console.log(JSON.stringify(input.Key))}};
        await uploadPhoto(s3, "us-east-1:2f9b", {json.dumps(key)}, "");
        """
    )
    assert name == photo_name("us-east-1:2f9b", key)
