"""The archive's lines as `tidemill smoke` reads them: requests, and what Firehose would leave if it did less."""

from __future__ import annotations

from collections.abc import Sequence

from aws_kinesis_agg.aggregator import RecordAggregator

from tidemill.contract.request import PROBE, Request, encode
from tidemill_cli.commands.smoke.archived import Seen

RUN = "smoke/0123456789ab"
OTHERS = b'{"v":1,"id":"another","cmd":"item.restock","data":{}}\n'


def payloads(count: int = 3) -> list[bytes]:
    names = [f"{RUN}/sdk-{number}" for number in range(count)]
    return [encode(Request(id=name, cmd=PROBE, key=f"{RUN}/sdk", client=RUN, data={})) for name in names]


def seen(lines: Sequence[bytes]) -> Seen:
    found = Seen(RUN)
    found.read(lines)
    return found


def test_a_line_each_is_as_it_should_be_and_other_lines_are_passed_over() -> None:
    found = seen([OTHERS, *(one + b"\n" for one in payloads()), b"\xff\xfe no request\n"])
    assert found.ids == {f"{RUN}/sdk-{number}" for number in range(3)}
    assert found.fault is None


def test_requests_without_a_delimiter_are_told() -> None:
    found = seen([b"".join(payloads()) + b"\n"])
    assert found.ids == set()
    assert "no delimiter" in str(found.fault)


def test_a_record_that_is_not_taken_apart_is_told() -> None:
    aggregator = RecordAggregator()
    for one in payloads():
        aggregator.add_user_record(f"{RUN}/sdk", one)
    _, _, data = aggregator.clear_and_get().get_contents()
    found = seen((data + b"\n").splitlines(keepends=True))
    assert found.ids == set()
    assert "did not take it apart" in str(found.fault)
