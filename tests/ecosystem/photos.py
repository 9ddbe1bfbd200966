"""docs/phone-photos.md word for word in Node, its functions in Chromium, and what its user may not do.

Run by `make test-ecosystem`.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Queue

import pytest
from PIL import Image

from tests.browser.devtools import CHROMIUM
from tests.ecosystem.browsers import Answers, shown, website
from tests.ecosystem.secured import secured
from tests.pages import PHONE, PHONE_PHOTOS, blocks_of
from tests.signing_in import PASSWORD
from tidemill import reply_queue
from tidemill_local.platform import Platform

pytestmark = pytest.mark.timeout(900)

PARAMETERS = {"Photos": "on", "ApplicationSecret": "s" * 43, "BatchingWindowSeconds": "1", "ShardCount": "1"}

TRIED = """
const {DeleteObjectCommand, ListObjectsV2Command} = await import("@aws-sdk/client-s3");
const {ScanCommand} = await import("@aws-sdk/client-dynamodb");
await signUp("eve@example.com", "Correct-horse-9");
const eve = await signIn("eve@example.com", "Correct-horse-9");
await uploadPhoto(new S3Client({...at, credentials: eve.credentials}), eve.identity, key, readFileSync("sea.jpg"));
const table = {TableName: outputs.TableName};
const get = (Key) => s3.send(new GetObjectCommand({Bucket, Key}));
const store = (Key) => s3.send(new PutObjectCommand({Bucket, Key, Body: "{}"}));
const remove = (Key) => s3.send(new DeleteObjectCommand({Bucket, Key}));
const item = (key, more) => dynamodb.send(new GetItemCommand({...table, Key: {pk: {S: key}}, ...more}));
const {object: sent} = await upload(s3, identity, {});
const tried = {
  "another's original": get(`photos/${eve.identity}/${path(key)}`),
  "in place of it": store(`photos/${eve.identity}/${path(key)}`),
  "away with it": remove(`photos/${eve.identity}/${path(key)}`),
  "another's upload": store(sent.replace(identity, eve.identity)),
  "an upload, read": get(sent),
  "the index": store("index/all/manifest.json"),
  "away with the index": remove("index/all/manifest.json"),
  "a thumbnail": store(mine.thumbnails[0].name),
  "away with a thumbnail": remove(mine.thumbnails[0].name),
  "a cached thumbnail": store(mine.thumbnails[0].name.replace("thumbnails", "cached")),
  "an object of a rule": store("objects/" + "0".repeat(64)),
  "the list of the bucket": s3.send(new ListObjectsV2Command({Bucket})),
  "the list of the own photos": s3.send(new ListObjectsV2Command({Bucket, Prefix: `photos/${identity}/`})),
  "who sent what": item(key, {}),
  "a user": item("user/bob", {ProjectionExpression: "doc"}),
  "all contents": dynamodb.send(new ScanCommand(table)),
};
const became = async ([what, done]) => [what, await done.then(() => "allowed", ({name}) => name)];
const refusals = Object.fromEntries(await Promise.all(Object.entries(tried).map(became)));
const unsigned = (await fetch(`${outputs.ThumbnailsUrl}/${path(key)}/128.webp`)).status;
const original = (await (await get(`photos/${identity}/${path(key)}`)).Body.transformToByteArray()).length;
console.log(JSON.stringify({refusals, unsigned, original}));
"""
"""By Bob, who has a photo of a content; and so has Eve, of the same."""


SETTINGS = """
const {endpoint, outputs, username, password} = await (await fetch("settings")).json();
const region = outputs.IdentityPoolId.split(":")[0];
const at = {region, endpoint};
"""
"""In place of the page's first block, which reads a file."""

IN_A_BROWSER = """
const post = async (path, value) => (await fetch(path, {method: "POST", body: JSON.stringify(value)})).text();

async function run() {
  const {credentials, identity} = await signIn(username, password);
  const [s3, dynamodb, sqs] = [S3Client, DynamoDBClient, SQSClient].map((Client) => new Client({...at, credentials}));
  const queue = await post("identity", identity);
  const key = "content/Sea & sky";
  const ref = await upload(s3, identity, {title: "Sea", more: "x".repeat(300_000)});
  await put(connect({...at, credentials}), record("content.publish", key, {}, identity, ref));
  await uploadPhoto(s3, identity, key, await (await fetch("sea.jpg")).blob());
  for await (const {data, error} of hear(sqs, queue)) {
    if (error) throw new Error(error);
    if (data?.key === key) break;
  }
  let mine;
  while (!mine) for await (const entry of contents(s3, identity)) if (entry.key === key) mine = entry;
  const small = await createImageBitmap(await thumbnail(s3, mine, 256));
  const image = new Image();
  image.src = await thumbnailUrl(credentials, key, 128);
  await image.decode();
  const other = await fetch(await thumbnailUrl(credentials, key, 64, "jpeg"));
  const none = await fetch(await thumbnailUrl(credentials, key, 65));
  const {title, photo} = await contentOf(dynamodb, key);
  return {
    title, status: photo.status, small: [small.width, small.height], image: [image.naturalWidth, image.naturalHeight],
    other: [other.status, other.headers.get("content-type")], none: [none.status, await none.json()],
  };
}

run().catch((error) => ({error: `${error.name}: ${error.message}`})).then((outcome) => post("outcome", outcome));
"""


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(0, PARAMETERS) as running:
        yield running


def sea() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4032, 3024), "blue").save(file, "JPEG")
    return file.getvalue()


def script(page: Path) -> list[str]:
    """A page's blocks of JavaScript."""
    return [block for block in blocks_of(page.read_text()) if not block.startswith(("npm", "export"))]


def run(node: Path, platform: Platform, folder: Path, code: str) -> str:
    """What the code prints."""
    emulator = platform.emulator
    (folder / "node_modules").symlink_to(node / "node_modules")
    (folder / "app.mjs").write_text(code)
    (folder / "sea.jpg").write_bytes(sea())
    (folder / "up.json").write_text(json.dumps({"endpoint": emulator.endpoint_url, "outputs": dict(platform.outputs)}))
    environment = {"PATH": os.environ["PATH"], "NODE_NO_WARNINGS": "1", **emulator.environment}
    command = ["node", "app.mjs"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_the_pages_app_runs_as_printed_and_its_user_may_do_no_more(
    node: Path, platform: Platform, tmp_path: Path
) -> None:
    *code, printed = script(PHONE)[:-1] + script(PHONE_PHOTOS)
    *lines, told = run(node, platform, tmp_path, "".join([*code, TRIED])).splitlines()
    assert lines == printed.splitlines()
    found = json.loads(told)
    assert set(found["refusals"].values()) == {"AccessDenied", "AccessDeniedException"}, found["refusals"]
    assert (found["unsigned"], found["original"]) == (403, len(sea()))


@pytest.fixture
def bundle(node: Path, browser: Path, tmp_path: Path) -> bytes:
    """The pages' functions and a run of them as one script."""
    (tmp_path / "node_modules").symlink_to(node / "node_modules")
    functions = script(PHONE)[1:-1] + [block for block in script(PHONE_PHOTOS)[:-2] if "node:dns" not in block]
    (tmp_path / "app.mjs").write_text("".join([SETTINGS, *functions, IN_A_BROWSER]))
    esbuild = [str(browser / "node_modules/.bin/esbuild"), "app.mjs", "--bundle", "--format=esm", "--outfile=bundle.js"]
    subprocess.run([*esbuild, "--log-level=error"], cwd=tmp_path, timeout=60, check=True)
    return (tmp_path / "bundle.js").read_bytes()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; CHROMIUM names one elsewhere")
def test_the_pages_functions_run_in_a_browser(bundle: bytes, platform: Platform, tmp_path: Path) -> None:
    emulator, outputs = platform.emulator, dict(platform.outputs)
    users, name = emulator.client("cognito-idp"), "carol@example.com"
    users.admin_create_user(UserPoolId=outputs["UserPoolId"], Username=name, MessageAction="SUPPRESS")
    users.admin_set_user_password(UserPoolId=outputs["UserPoolId"], Username=name, Password=PASSWORD, Permanent=True)
    settings = {"endpoint": emulator.endpoint_url, "outputs": outputs, "username": name, "password": PASSWORD}
    outcomes: Queue[bytes] = Queue()
    with ExitStack() as opened:

        def make_queue(identity: bytes) -> bytes:
            hears = json.loads(identity)
            topic, tags = outputs["RepliesTopicArn"], {"identity": hears}
            return opened.enter_context(reply_queue(topic, hears, client_of=emulator.client, tags=tags)).encode()

        def take(outcome: bytes) -> bytes:
            outcomes.put(outcome)
            return b""

        answers: Answers = {
            "settings": lambda _: json.dumps(settings).encode(),
            "sea.jpg": lambda _: sea(),
            "identity": make_queue,
            "outcome": take,
        }
        port = int(emulator.endpoint_url.rpartition(":")[2])
        front = opened.enter_context(secured(port, tmp_path))
        url = opened.enter_context(website(bundle, answers))
        opened.enter_context(shown(url, front, tmp_path / "profile"))
        outcome = json.loads(outcomes.get(timeout=120))
    assert outcome == {
        "title": "Sea",
        "status": "ready",
        "small": [256, 192],
        "image": [128, 96],
        "other": [200, "image/jpeg"],
        "none": [404, {"error": "thumbnails are not made of 65 pixels"}],
    }
