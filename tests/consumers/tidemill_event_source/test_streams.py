"""How a stream is asked for: by name where that is enough, page by page, and by its own clock."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tidemill_event_source import EventSource, MappingConfig, in_process
from tidemill_event_source.decisions.checkpoint import Start
from tidemill_event_source.files import UnreadableFile
from tidemill_event_source.streams import KinesisStream, skew_of
from tidemill_event_source.troubles import is_lasting

Becomes = Callable[[Callable[[], bool]], bool]
ARN = "arn:aws:kinesis:us-east-1:111122223333:stream/large"
SEQUENCES = {"StartingSequenceNumber": "1"}
KEYS = {"StartingHashKey": "0", "EndingHashKey": "1"}


class Service:
    """A Kinesis of one stream, with 1,001 shards, as strict as AWS about what goes together."""

    def __init__(self) -> None:
        self.arn = ARN
        self.names, self.arns = True, True
        """Whether it knows streams by name, and by ARN."""
        self.ahead = 0.0
        """Seconds that its clock is ahead."""
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def answer(self, operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((operation, body))
        if ("StreamName" in body and not self.names) or ("StreamARN" in body and not self.arns):
            return 400, {"__type": "ResourceNotFoundException", "message": "no such stream"}
        match operation:
            case "DescribeStreamSummary":
                return 200, {"StreamDescriptionSummary": {"StreamARN": self.arn, "StreamCreationTimestamp": 1.0}}
            case "ListShards":
                return self._shards(body)
            case "GetShardIterator":
                return 200, {"ShardIterator": "i"}
        return 200, {"Records": [], "NextShardIterator": "i", "MillisBehindLatest": 0}

    def _shards(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "NextToken" in body and len(body) > 1:
            return 400, {"__type": "InvalidArgumentException", "message": "NextToken goes alone"}
        numbers, more = (range(1_000, 1_001), {}) if "NextToken" in body else (range(1_000), {"NextToken": "t"})
        shards = [
            {"ShardId": f"shardId-{n:012}", "HashKeyRange": KEYS, "SequenceNumberRange": SEQUENCES} for n in numbers
        ]
        return 200, {"Shards": shards, **more}


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def kinesis(service: Service) -> Iterator[Any]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = service.answer(self.headers["X-Amz-Target"].partition(".")[2], body)
            data = json.dumps(answer).encode()
            self.send_response_only(status)
            self.send_header("Date", formatdate(time.time() + service.ahead, usegmt=True))
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        client: Any = boto3.client(
            "kinesis",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )
        yield client
        client.close()
        server.shutdown()
        thread.join()


def test_more_shards_than_a_page_holds_are_all_found(kinesis: Any) -> None:
    stream = KinesisStream(kinesis, MappingConfig(ARN))
    stream.identity()
    assert len(stream.shards()) == 1_001


def addresses(service: Service) -> set[str]:
    """By what the stream was asked for, in all calls but the first."""
    return {name for _, body in service.asked[1:] for name in ("StreamName", "StreamARN") if name in body}


def test_a_stream_is_asked_for_by_its_name(kinesis: Any, service: Service) -> None:
    service.arns = False  # as kinesalite
    stream = KinesisStream(kinesis, MappingConfig(ARN))
    stream.identity()
    stream.shards()
    stream.reader("shardId-000000000000", Start("TRIM_HORIZON"), None).read(10)
    stream.identity()
    assert addresses(service) == {"StreamName"}


@pytest.mark.parametrize("names", [True, False])
def test_another_accounts_is_asked_for_by_its_arn(kinesis: Any, service: Service, names: bool) -> None:
    service.names = names  # with one of that name of one's own, and without
    other = ARN.replace("111122223333", "444455556666")
    stream = KinesisStream(kinesis, MappingConfig(other))
    stream.identity()
    stream.shards()
    stream.reader("shardId-000000000000", Start("TRIM_HORIZON"), None).read(10)
    stream.identity()
    assert addresses(service) == {"StreamARN"}


def test_one_that_is_made_later_is_found_by_its_name_then(kinesis: Any, service: Service) -> None:
    service.names = service.arns = False
    stream = KinesisStream(kinesis, MappingConfig(ARN))
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        stream.identity()
    service.names = True
    service.asked.clear()
    stream.identity()
    stream.shards()
    assert {name for _, body in service.asked for name in body} == {"StreamName", "NextToken"}


def test_what_does_not_pass_by_itself_is_told(
    kinesis: Any, service: Service, becomes: Becomes, caplog: pytest.LogCaptureFixture
) -> None:
    service.names = service.arns = False
    with EventSource(kinesis, in_process(print), MappingConfig(ARN)) as source:
        assert becomes(lambda: "ResourceNotFoundException" in source.counts.last_result)
        assert source.counts.last_result.startswith("PROBLEM: ")
    first = caplog.records[0]
    assert (first.levelno, "it does not pass by itself" in first.getMessage()) == (logging.ERROR, True)


def test_which_errors_pass() -> None:
    assert is_lasting(botocore_error("AccessDeniedException"))
    assert not is_lasting(botocore_error("ProvisionedThroughputExceededException"))
    assert not is_lasting(botocore_error("InternalFailure"))
    assert not is_lasting(OSError("no route"))


def botocore_error(code: str) -> Exception:
    return ClientError({"Error": {"Code": code, "Message": "m"}}, "GetRecords")


NOON = 1_764_072_000.0


@pytest.mark.parametrize(
    ("ahead", "asked", "answered", "skew"),
    [
        (0, 0.0, 0.1, 0.0),
        (1, 0.0, 0.1, 0.0),
        (300, 0.0, 0.2, 300.4),
        (-300, 0.0, 0.2, -299.6),
        (30, 0.0, 60.0, 0.0),  # an answer that took a minute tells nothing
    ],
)
def test_a_clock_that_is_wrong_is_told_by_the_services(ahead: int, asked: float, answered: float, skew: float) -> None:
    date = formatdate(NOON + ahead, usegmt=True)
    assert skew_of(date, NOON + asked, NOON + answered) == pytest.approx(skew)


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_without_a_date_the_clocks_are_taken_for_one(date: str) -> None:
    assert skew_of(date, NOON, NOON) == 0.0


def test_a_mapping_goes_by_the_streams_clock(kinesis: Any, service: Service, becomes: Becomes, tmp_path: Path) -> None:
    service.ahead = 7_200.0
    file = tmp_path / "checkpoints.json"
    began = time.time()
    latest = MappingConfig(ARN, starting_position="LATEST")
    with EventSource(kinesis, in_process(print), latest, checkpoints=file):
        assert becomes(lambda: file.exists() and "shardId-000000000000" in file.read_text())
    start = next(iter(json.loads(file.read_text())["shards"].values()))["start"]
    assert 7_190 < start["timestamp"] - began < 7_260


def test_a_file_that_holds_no_checkpoints_ends_the_start(kinesis: Any, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.json"
    path.write_bytes(b"\xff")
    with pytest.raises(UnreadableFile, match=r"checkpoints\.json holds no checkpoints"):
        EventSource(kinesis, in_process(print), MappingConfig(ARN), checkpoints=path).start()
