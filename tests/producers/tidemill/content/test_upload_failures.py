"""Uploads that are killed, refused, closed, forked amid, interrupted by a signal, or made from many threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.conftest import Names
from tests.producers.tidemill.content.photos import Overheard, photo
from tests.tree import ROOT
from tidemill import NotUploaded, Producer, ProducerClosed
from tidemill.content.token import PART_BYTES
from tidemill_local.emulator import Emulator

LARGE = photo(2 * PART_BYTES + 1)


@pytest.fixture
def s3(emulator: Emulator) -> Any:
    return emulator.client("s3")


@pytest.fixture
def make(emulator: Emulator, stream: str, bucket: str, s3: Any) -> Iterator[Callable[..., Producer]]:
    made: list[Producer] = []

    def one(**given: Any) -> Producer:
        kinesis = emulator.client("kinesis")
        made.append(Producer(stream, **({"kinesis": kinesis, "s3": s3, "bucket": bucket, "client": "ann"} | given)))
        return made[-1]

    yield one
    for each in made:
        each.close()


KILLED = """
import boto3, sys
from tests.producers.tidemill.content.photos import Overheard
from tidemill import Producer
from tidemill.content import upload

def hear(name, arguments):
    if name == "upload_part" and arguments["PartNumber"] == 3:
        print("third", flush=True)
        sys.stdin.read()

upload.PARTS_AT_ONCE = 1
_, stream, bucket, path = sys.argv
with Producer(stream, s3=Overheard(boto3.client("s3"), hear), bucket=bucket, client="ann") as producer:
    producer.upload(path, key="content/1", progress=lambda done, total, resume: print(done, resume, flush=True))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_after_a_kill_another_process_sends_what_is_not_there(
    emulator: Emulator, make: Callable[..., Producer], s3: Any, stream: str, bucket: str, tmp_path: Path
) -> None:
    path = tmp_path / "photo"
    path.write_bytes(LARGE)
    env = os.environ | {"AWS_ENDPOINT_URL": emulator.endpoint_url, "AWS_REGION": "us-east-1", "PYTHONPATH": "."}
    env |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test") | {"AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-c", KILLED, stream, bucket, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes) as killed:  # type: ignore[call-overload]
        lines: list[str] = []
        while "third\n" not in lines or not any(line.startswith(f"{2 * PART_BYTES} ") for line in lines):
            lines.append(killed.stdout.readline())
            assert lines[-1], "it ended by itself"
        killed.kill()
    assert killed.returncode == -signal.SIGKILL
    token = next(line for line in reversed(lines) if line != "third\n").partition(" ")[2].strip()
    sent: list[int] = []
    resuming = Overheard(s3, lambda name, given: sent.append(given["PartNumber"]) if name == "upload_part" else None)
    done = make(s3=resuming).upload(path, key="content/1", resume=token)
    assert sent == [3]
    assert s3.get_object(Bucket=bucket, Key=done.name)["Body"].read() == LARGE


def allowed(emulator: Emulator, name: str, *statements: dict[str, Any]) -> Any:
    """An S3 client of a role that may do what is stated."""
    iam = emulator.client("iam")
    trust = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
    documents = [json.dumps({"Version": "2012-10-17", "Statement": said}) for said in ([trust], [*statements])]
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=documents[0])["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=documents[1])
    keys = emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    session = emulator.session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    return session.client("s3")


def test_a_role_that_may_put_below_its_own_prefix_alone(
    emulator: Emulator, make: Callable[..., Producer], bucket: str, names: Names
) -> None:
    own = f"arn:aws:s3:::{bucket}/photos/ann/*"
    s3 = allowed(emulator, names("puts"), {"Effect": "Allow", "Action": "s3:PutObject", "Resource": own})
    assert make(s3=s3).upload(photo(10), key="content/1").bytes == 10
    others = make(s3=s3, client="ben")
    for data in (photo(10), LARGE):
        with pytest.raises(NotUploaded, match=r"AccessDenied.*photos/ben/content/1.*user's identity, which") as failed:
            others.upload(data, key="content/1")
        assert (failed.value.code, failed.value.resume) == ("AccessDenied", None)


def test_a_role_that_may_not_list_parts_is_told_and_keeps_its_token(
    emulator: Emulator, make: Callable[..., Producer], bucket: str, names: Names
) -> None:
    own = f"arn:aws:s3:::{bucket}/photos/ann/*"
    s3 = allowed(emulator, names("puts"), {"Effect": "Allow", "Action": "s3:PutObject", "Resource": own})

    def cut(name: str, arguments: dict[str, Any]) -> None:
        if name == "complete_multipart_upload":
            raise ConnectionResetError("cut")

    with pytest.raises(NotUploaded, match="ConnectionResetError") as failed:
        make(s3=Overheard(s3, cut)).upload(LARGE, key="content/1")
    token = failed.value.resume
    assert token
    with pytest.raises(NotUploaded, match=r"AccessDenied.*s3:ListMultipartUploadParts to go on") as refused:
        make(s3=s3).upload(LARGE, key="content/1", resume=token)
    assert refused.value.resume == token


@pytest.mark.parametrize("size", [10, PART_BYTES + 1])
def test_a_bucket_of_another_region_is_found(
    emulator: Emulator, make: Callable[..., Producer], s3: Any, names: Names, size: int
) -> None:
    """boto3 follows S3 to the bucket's region."""
    bucket = names("elsewhere")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    done = make(bucket=bucket).upload(photo(size), key="content/1")
    assert s3.head_object(Bucket=bucket, Key=done.name)["ContentLength"] == size


@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_closing_ends_an_upload_of_another_thread(make: Callable[..., Producer], s3: Any, size: int) -> None:
    began, closed, errors = Event(), Event(), list[BaseException]()

    def hear(name: str, arguments: dict[str, Any]) -> None:
        if name in ("put_object", "upload_part"):
            began.set()
            assert closed.wait(60)

    producer = make(s3=Overheard(s3, hear))

    def work() -> None:
        try:
            producer.upload(photo(size), key="content/1")
        except NotUploaded as error:
            errors.append(error)

    thread = Thread(target=work)
    thread.start()
    assert began.wait(60)
    producer.close()
    thread.join(60)
    closed.set()
    [error] = errors
    assert isinstance(error, NotUploaded)
    assert (error.code, error.resume is not None) == ("Closed", size == len(LARGE))
    with pytest.raises(ProducerClosed):
        producer.upload(photo(10), key="content/1")


def test_many_threads_upload_at_once(make: Callable[..., Producer], s3: Any, bucket: str) -> None:
    producer, done = make(), list[str]()

    def work(number: int) -> None:
        for turn in range(3):
            size = PART_BYTES + 1 if (number, turn) in ((0, 0), (1, 1)) else 1000 + number
            done.append(producer.upload(photo(size, number + 8 * turn), key=f"content/{number}/{turn}").name)

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(done) == [f"photos/ann/content/{number}/{turn}" for number in range(8) for turn in range(3)]
    for name in done:
        number, turn = map(int, name.split("/")[-2:])
        body = s3.get_object(Bucket=bucket, Key=name)["Body"].read()
        assert body == photo(len(body), number + 8 * turn)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_amid_an_upload_a_child_uploads_by_itself_and_the_parent_goes_on(
    make: Callable[..., Producer], s3: Any, bucket: str
) -> None:
    began, forked = Event(), Event()

    def hear(name: str, arguments: dict[str, Any]) -> None:
        if name == "upload_part" and not forked.is_set():
            began.set()
            assert forked.wait(60)

    producer, done = make(s3=Overheard(s3, hear)), list[int]()
    thread = Thread(target=lambda: done.append(producer.upload(LARGE, key="content/parent").bytes))
    thread.start()
    assert began.wait(60)
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            forked.set()
            producer.upload(photo(PART_BYTES + 1), key="content/child")
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    forked.set()
    thread.join(60)
    assert done == [len(LARGE)]
    for key, size in (("parent", len(LARGE)), ("child", PART_BYTES + 1)):
        body = s3.get_object(Bucket=bucket, Key=f"photos/ann/content/{key}")["Body"].read()
        assert body == photo(size)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_the_waiting_thread_forks_does_not_wait_for_the_parents_upload(
    make: Callable[..., Producer], s3: Any, bucket: str
) -> None:
    forked, children = Event(), list[int]()

    def hear(name: str, arguments: dict[str, Any]) -> None:
        assert name != "upload_part" or forked.wait(60)

    def progress(done: int, total: int, resume: str | None) -> None:
        if not children:
            children.append(os.fork())
            forked.set()

    producer = make(s3=Overheard(s3, hear))
    try:
        done = producer.upload(LARGE, key="content/1", progress=progress)
    except BaseException as error:
        if children != [0]:
            raise
        os._exit(0 if isinstance(error, ProducerClosed) else 2)
    if children == [0]:
        os._exit(1)
    assert os.waitpid(children[0], 0)[1] == 0
    assert s3.get_object(Bucket=bucket, Key=done.name)["Body"].read() == LARGE


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals")
@pytest.mark.parametrize("size", [10, PART_BYTES + 1])
def test_a_signal_handler_uploads_while_an_upload_waits(
    make: Callable[..., Producer], s3: Any, bucket: str, size: int
) -> None:
    turns, uploaded = [1], Event()

    def hear(name: str, arguments: dict[str, Any]) -> None:
        if arguments["Key"].endswith("waits") and name in ("put_object", "create_multipart_upload"):
            while not uploaded.wait(0.1):  # Python hears late of a signal that came just before it waits for a lock
                os.kill(os.getpid(), signal.SIGUSR1)

    def handle(*_: object) -> None:
        try:
            turns.pop()
        except IndexError:  # a later signal, which interrupts the first one's handler
            return
        producer.upload(photo(size), key="content/handler")
        uploaded.set()

    producer = make(s3=Overheard(s3, hear))
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        producer.upload(photo(size), key="content/waits")
    finally:
        signal.signal(signal.SIGUSR1, before)
    for key in ("waits", "handler"):
        assert s3.head_object(Bucket=bucket, Key=f"photos/ann/content/{key}")["ContentLength"] == size
