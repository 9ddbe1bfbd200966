"""What a replay relies on when it reads somebody's access log."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tree import NASA
from tidemill.contract.request import MAX_KEY_CHARACTERS
from tidemill_load.workloads.trace import HEADER, MAX_LINE_BYTES, REASONS_KEPT, Trace, TraceError, read_trace

if TYPE_CHECKING:
    from tidemill_load.workloads.scheduled_request import ScheduledRequest


COMMON = b'in24.inetnebr.com - - [01/Aug/1995:00:00:01 -0400] "GET /shuttle/sts-68.txt HTTP/1.0" 200 1839\n'
COMBINED = (
    b'203.0.113.9 - ada [01/Aug/1995:00:00:03 -0400] "POST /api/items?x=1 HTTP/1.1" 201 12'
    b' "https://example.org/" "Mozilla/5.0 (\\"quoted\\")"\n'
)
TABS = (
    b"\t".join(name.encode() for name in HEADER) + b"\n"
    b"pppa006.compuserve.com\t-\t807256800\tGET\t/images/launch-logo.gif\t200\t1713\t\t\n"
    b"vcc7.langara.bc.ca\t-\t807256804\tHEAD\t/shuttle/\t200\t-\t\t\n"
)


def trace_of(folder: Path, content: bytes) -> Trace:
    path = folder / "access.log"
    path.write_bytes(content)
    return read_trace(path)


def log_line(
    host: str = "h",
    time: str = "01/Aug/1995:00:00:01 -0400",
    request: str = "GET / HTTP/1.0",
    rest: str = "200 1",
) -> bytes:
    return f'{host} - - [{time}] "{request}" {rest}\n'.encode("latin-1")


def test_a_get_is_a_view_of_its_page(tmp_path: Path) -> None:
    (view,) = trace_of(tmp_path, COMMON)

    assert (view.at, view.cmd, view.key) == (0.0, "content.view", "content/shuttle/sts-68.txt")
    assert view.data == {"status": 200, "bytes": 1839}


def test_another_method_is_an_event_and_keeps_its_url(tmp_path: Path) -> None:
    _, event = trace_of(tmp_path, COMMON + COMBINED)

    assert (event.at, event.cmd, event.key) == (2.0, "event.track", "event/api/items")
    assert event.data == {"method": "POST", "url": "/api/items?x=1", "status": 201, "bytes": 12}


def test_tab_separated_values_are_recognised_by_their_header(tmp_path: Path) -> None:
    view, event = trace_of(tmp_path, TABS)

    assert (view.at, view.key) == (0.0, "content/images/launch-logo.gif")
    assert (event.at, event.cmd, event.key) == (4.0, "event.track", "event/shuttle/")
    assert event.data == {"method": "HEAD", "url": "/shuttle/", "status": 200}, "a dash is no number of bytes"


@pytest.mark.parametrize("content", [COMMON, COMBINED, TABS], ids=["common", "combined", "tsv"])
def test_gzip_is_recognised_by_content_and_changes_nothing(tmp_path: Path, content: bytes) -> None:
    assert list(trace_of(tmp_path, gzip.compress(content))) == list(trace_of(tmp_path, content))


def test_hosts_are_hashed_the_same_every_time_and_never_shown(tmp_path: Path) -> None:
    log = log_line("Secret.example.org") + log_line("secret.example.org") + log_line("other.example.org")
    first, again, other = trace_of(tmp_path, log)

    assert first.client == again.client != other.client
    assert "example" not in repr((first, again, other)).lower()
    assert first.client == "539cfa41322025c4", "a client keeps its name from one release to the next"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("/a?q=1#f", "content/a"),
        ("/", "content/"),
        ("http://www.example.org/a/b?c", "content/a/b"),
        ("//double/slash", "content//double/slash"),
        ("http://[", "content/http://["),
        ("index.html", "content/index.html"),
        ("/caf\xe9", "content/caf\xe9"),
    ],
)
def test_the_key_is_the_path_of_the_url(tmp_path: Path, url: str, key: str) -> None:
    (view,) = trace_of(tmp_path, log_line(request=f"GET {url} HTTP/1.0"))

    assert view.key == key


def test_long_paths_make_distinct_keys_within_the_limit(tmp_path: Path) -> None:
    log = b"".join(log_line(request=f"GET /{'x' * 400}{end} HTTP/1.1") for end in "aab")
    keys = [scheduled.key for scheduled in trace_of(tmp_path, log)]

    assert {len(key) for key in keys} == {MAX_KEY_CHARACTERS}
    assert keys[0] == keys[1] != keys[2]


def test_lines_out_of_order_keep_their_place_and_time_never_goes_back(tmp_path: Path) -> None:
    seconds = (5, 9, 7, 3, 10)
    log = b"".join(log_line(f"h{s}", f"01/Aug/1995:00:00:{s:02} -0400", f"GET /{s} HTTP/1.0") for s in seconds)
    scheduled = list(trace_of(tmp_path, log))

    assert [p.key for p in scheduled] == [f"content/{s}" for s in seconds]
    assert [p.at for p in scheduled] == [0.0, 4.0, 4.0, 4.0, 5.0]


def test_time_zones_count(tmp_path: Path) -> None:
    log = log_line(time="01/Aug/1995:00:00:00 -0400") + log_line(time="01/Aug/1995:05:00:00 +0100")

    assert [scheduled.at for scheduled in trace_of(tmp_path, log)] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense\n", "not Common or Combined"),
        (log_line(request="-"), "not an HTTP request"),
        (log_line(request="\x16\x03\x01"), "not an HTTP request"),
        (log_line(time="01/Foo/1995:00:00:01 -0400"), "not a time"),
        (log_line(time="01/Aug/1995:00:00 -0400"), "not a time"),
        (b"a\0b\n", "binary"),
        (b"x" * (MAX_LINE_BYTES * 2 + 7) + b"\n", "longer than"),
    ],
)
def test_an_unreadable_line_is_counted_and_the_next_one_is_read(tmp_path: Path, line: bytes, reason: str) -> None:
    trace = trace_of(tmp_path, COMMON + line + COMBINED)

    assert [scheduled.cmd for scheduled in trace] == ["content.view", "event.track"]
    assert (trace.requests, trace.unreadable) == (2, 1)
    (noted,) = trace.first_unreadable
    assert noted.line == 2
    assert reason in noted.reason


@pytest.mark.parametrize("row", [b"h\t-\tnoon\tGET\t/\t200\t1\t\t\n", b"h\t-\t1\tGET\n", b"h\t-\t1\t\t/\t200\t1\t\t\n"])
def test_an_unreadable_row_is_counted_too(tmp_path: Path, row: bytes) -> None:
    trace = trace_of(tmp_path, TABS + row)

    assert (len(list(trace)), trace.unreadable) == (2, 1)


def test_only_the_first_unreadable_lines_are_kept(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, COMMON + b"?\n" * 100)

    assert (len(list(trace)), trace.unreadable) == (1, 100)
    assert [noted.line for noted in trace.first_unreadable] == list(range(2, 2 + REASONS_KEPT))


def test_old_logs_quotes_and_latin_1_are_read(tmp_path: Path) -> None:
    (view,) = trace_of(tmp_path, log_line(request='GET /"caf\xe9".html HTTP/1.0', rest="404 -"))

    assert view.key == 'content/"caf\xe9".html'
    assert view.data == {"status": 404}


def test_a_damaged_gzip_gives_what_was_readable_and_says_so(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(log_line(f"h{n}", request=f"GET /{n * n} HTTP/1.0") for n in range(5000)))
    trace = trace_of(tmp_path, packed[: len(packed) // 2])

    assert 0 < len(list(trace)) < 5000
    assert "damaged" in trace.first_unreadable[-1].reason


def test_a_trace_can_be_read_again(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, COMMON + b"?\n" + COMBINED)

    assert list(trace) == list(trace)
    assert (trace.requests, trace.unreadable) == (2, 1)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"no log\n", bytes(range(256)), TABS.splitlines()[0]])
def test_a_file_without_a_request_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TraceError, match=r"access\.log holds no request"):
        trace_of(tmp_path, content)


def test_a_missing_file_and_an_empty_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"no file .*missing\.log"):
        read_trace(tmp_path / "missing.log")
    with pytest.raises(TraceError, match="no file in the folder"):
        read_trace(tmp_path)


@pytest.fixture(scope="module")
def nasa() -> list[ScheduledRequest]:
    if not NASA.exists():
        pytest.skip(f"the real trace is not at {NASA}")
    return list(read_trace(NASA))


def test_every_line_of_the_real_trace_is_a_request(nasa: list[ScheduledRequest]) -> None:
    events = [scheduled for scheduled in nasa if scheduled.cmd == "event.track"]

    assert len(nasa) == 30_969
    assert [sum(event.data["method"] == method for event in events) for method in ("HEAD", "POST")] == [95, 1]
    assert len({scheduled.client for scheduled in nasa}) == 2_365
    assert 12.8 < nasa[-1].at / 3600 < 12.9
    assert all(earlier.at <= later.at for earlier, later in itertools.pairwise(nasa))
    assert all(scheduled.key.startswith(("content/", "event/")) for scheduled in nasa)
    json.dumps([scheduled.data for scheduled in nasa], allow_nan=False)
