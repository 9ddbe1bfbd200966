"""What each format's lines say: when, who, and what was asked for. The lines are those of the formats' own pages."""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_cli.commands import cost
from tidemill_load.logs import Columns, Fields, Log, TraceError, read_log
from tidemill_load.logs.columns import listed, together
from tidemill_load.logs.detect import recognise
from tidemill_load.logs.unfit import why

HASH = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"

ALB = (
    "https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.1 "
    '0.037 200 200 0 57 "GET https://www.example.com:443/a/b?q=1 HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 '
    "TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "
    '"Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/1" 1 '
    '2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234\n'
    "http 2018-07-02T22:23:01.5Z app/my-loadbalancer/50dc6c495c0c9188 2001:db8::7:2817 - -1 -1 -1 502 - 34 366 "
    '"POST http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - - arn:aws:x "Root=1" "-" "-" 0 '
    '2018-07-02T22:22:48.364000Z "forward" "-" "-" "-" "-" "-" "-"\n'
)
CLASSIC = (
    "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.00007 0.0010 0.00005 200 200 0 29 "
    '"GET http://www.example.com:80/x HTTP/1.1" "curl" - -\n'
)
S3 = (
    f"{HASH} amzn-s3-demo-bucket1 [06/Feb/2019:00:01:57 +0000] 192.0.2.3 {HASH} DD6CC733AEXAMPLE REST.PUT.OBJECT "
    's3-dg.pdf "PUT /amzn-s3-demo-bucket1/s3-dg.pdf HTTP/1.1" 200 - - 4406583 41754 28 "-" "S3Console/0.4" - 10S62Zv= '
    "SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com TLSV1.2 - -\n"
    f"{HASH} amzn-s3-demo-bucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 {HASH} 3E57427F3EXAMPLE REST.GET.VERSIONING - "
    '"GET /amzn-s3-demo-bucket1?versioning HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" - s9lzHYrFp= SigV4 '
    "ECDHE-RSA-AES128-GCM-SHA256 AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com TLSV1.2 - Yes\n"
)
CLOUDFRONT = (
    "#Version: 1.0\n"
    "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent) cs-uri-query\n"
    "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t-\tMozilla/5.0\t"
    "a=1\n"
    "2019-12-04\t21:02:32\tLAX1\t392\t2001:db8::1\tPOST\td111111abcdef8.cloudfront.net\t/x\t403\t-\tMozilla/5.0\t-\n"
)
CLOUDFRONT_V2 = (
    "#Version: 1.0\n#Fields: timestamp(ms) c-ip cs-method cs-uri-stem sc-status\n"
    "1575493351123\t192.0.2.100\tGET\t/i\t200\n"
)
IIS = (
    "#Software: IIS\n#Fields: date time cs-method cs-uri-stem c-ip\n"
    "2002-05-02 17:42:15 GET /a 172.22.255.255\n"
    "#Fields: date time c-ip cs-uri-stem\n2002-05-02 17:42:16 172.22.0.1 /b\n"
)
GATEWAY_CLF = (
    '192.0.2.9 - - [15/Jul/2020:10:00:00 +0000] "GET /pets/{id} HTTP/1.1" 200 42 c6af9ac6-7b61 QQ1yAHbmIAMFn=\n'
    'QQ1yAHbmIAMFn= 192.0.2.8 - ada [15/Jul/2020:10:00:01 +0000] "GET /pets HTTP/1.1" 200 - c6af\n'
    "192.0.2.7 - - [15/Jul/2020:10:00:02 +0000] POST /pets HTTP/1.1 201 3 c6af QQ1=\n"
    '2020-07-15T10:00:03.001Z 192.0.2.6 - - [15/Jul/2020:10:00:03 +0000] "GET /pets HTTP/1.1" 200 42 c6af\n'
)
GATEWAY_JSON = (
    '{ "requestId":"c6", "ip": "192.0.2.9", "caller":"-", "user":"-", "requestTime":"15/Jul/2020:10:00:00 +0000", '
    '"httpMethod":"GET", "resourcePath":"/pets/{id}", "status":"200", "protocol":"HTTP/1.1", "responseLength":"42" }\n'
    '{"requestTimeEpoch":"1594807201000","ip":"192.0.2.8","routeKey":"POST /pets","status":201,"responseLength":3}\n'
    '2020-07-15T10:00:02.001Z {"requestTime":"15/Jul/2020:10:00:02 +0000","ip":"192.0.2.7","httpMethod":"GET",'
    '"path":"/pets/7","resourcePath":"/pets/{id}"}\n'
)
NGINX = (
    '203.0.113.9 - ada [01/Aug/2024:00:00:03 +0200] "GET /a?b HTTP/2.0" 200 12 "https://example.org/" "Mozilla/5.0"\n'
    '2001:db8::9 - - [01/Aug/2024:00:00:04 +0200] "GET /b HTTP/1.1" 200 12 "-" "-" "198.51.100.1"\n'
)
VHOST = 'www.example.org:80 203.0.113.9 - - [01/Aug/2024:00:00:03 +0200] "GET /a HTTP/1.1" 200 12 "-" "curl"\n'


def log(folder: Path, text: str, fields: Fields | None = None, name: str = "a.log") -> Log:
    (folder / name).write_text(text)
    return read_log([folder / name], fields)


def rows(columns: Columns) -> list[tuple[float, str, str]]:
    texts = zip(columns.times.tolist(), columns.clients, columns.keys, strict=True)
    return [(time, client.decode(), key.decode()) for time, client, key in texts]


def only(its: Log) -> Columns:
    columns = together(list(its))
    assert its.unreadable == 0, its.first_unreadable
    return columns


EXPECTED = {
    "alb": (ALB, [(1530570180.186641, "192.168.131.39", "/a/b"), (1530570181.5, "2001:db8::7", "/")]),
    "classic": (CLASSIC, [(1431560383.945958, "192.168.131.39", "/x")]),
    "s3": (
        S3,
        [
            (1549411238.0, "192.0.2.3", "/amzn-s3-demo-bucket1"),
            (1549411317.0, "192.0.2.3", "/amzn-s3-demo-bucket1/s3-dg.pdf"),
        ],
    ),
    "cloudfront": (
        CLOUDFRONT,
        [(1575493351.0, "192.0.2.100", "/index.html"), (1575493352.0, "2001:db8::1", "/x")],
    ),
    "cloudfront-v2": (CLOUDFRONT_V2, [(1575493351.123, "192.0.2.100", "/i")]),
    "iis": (IIS, [(1020361335.0, "172.22.255.255", "/a"), (1020361336.0, "172.22.0.1", "/b")]),
    "gateway-clf": (
        GATEWAY_CLF,
        [
            (1594807200.0, "192.0.2.9", "/pets/{id}"),
            (1594807201.0, "192.0.2.8", "/pets"),
            (1594807202.0, "192.0.2.7", "/pets"),
            (1594807203.0, "192.0.2.6", "/pets"),
        ],
    ),
    "gateway-json": (
        GATEWAY_JSON,
        [
            (1594807200.0, "192.0.2.9", "/pets/{id}"),
            (1594807201.0, "192.0.2.8", "/pets"),
            (1594807202.0, "192.0.2.7", "/pets/7"),
        ],
    ),
    "nginx": (NGINX, [(1722463203.0, "203.0.113.9", "/a"), (1722463204.0, "2001:db8::9", "/b")]),
    "apache-vhost": (VHOST, [(1722463203.0, "203.0.113.9", "/a")]),
}


@pytest.mark.parametrize(("text", "expected"), EXPECTED.values(), ids=EXPECTED)
def test_time_client_and_key_of_each_format(tmp_path: Path, text: str, expected: list[tuple[float, str, str]]) -> None:
    found = rows(only(log(tmp_path, text)))
    assert [(client, key) for _, client, key in found] == [(client, key) for _, client, key in expected]
    assert [time for time, _, _ in found] == pytest.approx([time for time, _, _ in expected], abs=1e-6)


@pytest.mark.parametrize("text", [text for text, _ in EXPECTED.values()], ids=EXPECTED)
def test_gzip_windows_line_ends_and_a_missing_last_one_change_nothing(tmp_path: Path, text: str) -> None:
    expected = rows(only(log(tmp_path, text)))
    (tmp_path / "a.gz").write_bytes(gzip.compress(text.encode()) + gzip.compress(b""))
    assert rows(only(read_log([tmp_path / "a.gz"]))) == expected
    (tmp_path / "b.log").write_bytes(text.replace("\n", "\r\n").encode())
    assert rows(only(read_log([tmp_path / "b.log"]))) == expected
    assert sorted(rows(only(log(tmp_path, text.rstrip("\n"))))) == expected, "S3 sorts blocks"


def test_methods_urls_statuses_and_sizes_for_a_replay(tmp_path: Path) -> None:
    columns = only(log(tmp_path, ALB))
    assert columns.methods == (b"GET", b"POST")
    assert columns.urls == (b"https://www.example.com:443/a/b?q=1", b"http://www.example.com:80/")
    assert (columns.statuses, columns.sizes) == ((b"200", b"502"), (b"57", b"366"))
    columns = only(log(tmp_path, CLOUDFRONT))
    assert columns.urls == [b"/index.html?a=1", b"/x"]
    columns = only(log(tmp_path, GATEWAY_JSON))
    assert list(columns.methods) == [b"GET", b"POST", b"GET"]


@pytest.mark.parametrize(
    ("text", "bad", "reason"),
    [
        (ALB, ALB.splitlines()[0].replace("GET https", "- http"), "not an HTTP request"),
        (ALB, "http 2018-07-02T22", "not an access log of a load balancer"),
        (ALB, ALB.splitlines()[0].replace("2018-07-02T22:23", "2018-07-02T25:23"), "not a time"),
        (S3, "x y z", "not an S3 server access log"),
        (S3, S3.splitlines()[0].replace("Feb", "Foo"), "not a time"),
        (CLOUDFRONT, "2019-12-04\t21:02:31", "2 columns, and #Fields names 12"),
        (CLOUDFRONT, CLOUDFRONT.splitlines()[2].replace("21:02", "29:02"), "the time hold none"),
        (GATEWAY_JSON, '{"ip": "x"', "not an object of JSON"),
        (GATEWAY_JSON, '{"ip": "x"}', "a field is missing"),
        (GATEWAY_JSON, '{"time": "noon", "path": "/"}', "'noon' is not a time"),
    ],
)
def test_a_line_that_holds_no_request_is_counted_with_its_reason(
    tmp_path: Path, text: str, bad: str, reason: str
) -> None:
    its = log(tmp_path, f"{text}{bad}\n\n{text}")
    read = sum(map(len, its))
    assert read == 2 * len(only(log(tmp_path, text)))
    assert its.unreadable == 1
    assert its.first_unreadable[0].line == text.count("\n") + 1
    assert reason in its.first_unreadable[0].reason


NDJSON = (
    '{"at": "2024-08-01T00:00:03.5Z", "user": {"id": 7}, "item": "a"}\n'
    '{"at": "2024-08-01T02:00:04+02:00", "user": {"id": 8}, "item": "b", "user.id": "own"}\n'
    '{"at": 1722470405, "item": 9}\n'
)


def test_json_of_ones_own_by_the_names_of_its_fields(tmp_path: Path) -> None:
    found = rows(only(log(tmp_path, NDJSON, Fields("at", "item", "user.id"))))
    assert found == [(1722470403.5, "7", "a"), (1722470404.0, "own", "b"), (1722470405.0, "-", "9")]
    assert [client for _, client, _ in rows(only(log(tmp_path, NDJSON, Fields("at", "item"))))] == ["-", "-", "-"]


@pytest.mark.parametrize(
    "count", ["1722470405", "1722470405.25", "1722470405250", "1722470405250000", "1722470405250000000"]
)
def test_a_count_since_1970_in_any_unit(tmp_path: Path, count: str) -> None:
    ((time, _, _),) = rows(only(log(tmp_path, f'{{"t": {count}, "k": "x"}}\n', Fields("t", "k"))))
    assert time == pytest.approx(1722470405.25, abs=0.26)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_by_the_names_of_its_columns(tmp_path: Path, delimiter: str) -> None:
    table = 'when,who,"what"\n2024-08-01 00:00:03,ada,"a, or\nb"\n2024-08-01 00:00:04,bob,c\n'
    table = table.replace(",", delimiter).replace(f"a{delimiter} or", "a, or")
    found = rows(only(log(tmp_path, table, Fields("when", "what", "who"))))
    assert found == [(1722470403.0, "ada", "a, or\nb"), (1722470404.0, "bob", "c")]


def test_csv_without_a_header_by_the_numbers_of_its_columns(tmp_path: Path) -> None:
    found = rows(only(log(tmp_path, "1722470403,a,ada\n1722470404,b,bob\n", Fields("1", "2", "3"))))
    assert found == [(1722470403.0, "ada", "a"), (1722470404.0, "bob", "b")]


def test_bad_rows_of_csv_are_counted(tmp_path: Path) -> None:
    its = log(tmp_path, "t,k\n1,a\nnoon,b\n3\n4,\n5,c\n", Fields("t", "k"))
    assert [key for columns in its for _, _, key in rows(columns)] == ["a", "c"]
    assert [(one.line, one.reason) for one in its.first_unreadable] == [
        (3, "'noon' is not a time"),
        (4, "1 cells, and 2 are needed"),
        (5, "the key is empty"),
    ]


def test_a_field_that_no_line_has_is_refused(tmp_path: Path) -> None:
    refused = (
        r"a\.log holds no request in JSON or CSV with such fields: line 1: .*: no when in it; it has at, user, item$"
    )
    with pytest.raises(TraceError, match=refused):
        log(tmp_path, NDJSON, Fields("when", "item"))


def test_a_column_that_no_header_names_is_refused_with_those_it_names(tmp_path: Path) -> None:
    table = "when;order id;who\n1;2;3\n"
    with pytest.raises(TraceError, match=r"line 1: no wen and no key in it; it has when, order id, who$"):
        log(tmp_path, table, Fields("wen", "key", "who"))


@pytest.mark.parametrize(
    ("text", "names"), [(NDJSON, "at, user, item"), ("\ufeffwhen,order id\r\n1,2\r\n", "when, order id")]
)
def test_of_json_and_csv_it_says_which_fields_can_be_named(tmp_path: Path, text: str, names: str) -> None:
    hint = f"line 1: no format fits; of JSON or CSV, name time and key by --trace-time and --trace-key: it has {names}$"
    with pytest.raises(TraceError, match=hint):
        log(tmp_path, text)


@pytest.mark.parametrize("fields", [None, Fields("when", "what")])
@pytest.mark.parametrize("line", [b"a\rb,c", b"\xff\xfea\0,\0b\0\r\0", b"x" * 200_000, b'a,"' + b"x" * 200_000])
def test_a_first_line_that_csv_cannot_hold_is_no_header(tmp_path: Path, line: bytes, fields: Fields | None) -> None:
    (tmp_path / "a.log").write_bytes(line + b"\n1,2\n")
    with pytest.raises(TraceError, match="holds no request"):
        read_log([tmp_path / "a.log"], fields)


@pytest.mark.parametrize("text", ["hello", "2024-01-01,1", "a,,b", "x" * 41 + ",b", '{"a": 1', "[1]", " "])
def test_what_names_no_fields_is_only_unknown(text: str) -> None:
    assert why(text.encode(), None) == "no format fits"
    assert why(b"when,what\n", Fields("when", "what")) == "no format fits", "all of them are there"


def test_many_fields_are_told_in_part() -> None:
    every = json.dumps({f"{number}" * 41: 0 for number in range(10, 23)}).encode()
    assert listed(json.loads(every)) == ", ".join([f"{number}" * 20 for number in range(10, 22)] + ["…"])
    assert listed([]) == "none"


def test_a_log_of_two_bytes_a_character_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(VHOST.encode("utf-16"))
    with pytest.raises(TraceError, match=r"line 1: UTF-16, which is not read; write it as UTF-8$"):
        read_log([tmp_path / "a.log"])


@pytest.mark.parametrize("text", [text for text, _ in EXPECTED.values()], ids=EXPECTED)
def test_the_cost_of_each_format_is_answered(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.log").write_text(text)
    parser = argparse.ArgumentParser()
    cost.add_arguments(parser)
    assert cost.run(parser.parse_args(["--trace", str(tmp_path)])) == 0
    shown = capsys.readouterr().out
    many = len(only(read_log([tmp_path])))
    assert f": {many} request{'s' * (many > 1)}, " in shown
    assert "Every line is readable." in shown
    assert "Direct is cheaper here" in shown


READERS = {name: text.encode() for name, (text, _) in EXPECTED.items()} | {
    "own": NDJSON.encode(),
    "csv": b"at,item\n1,a\n",
}


@pytest.mark.parametrize("name", READERS)
@given(st.lists(st.binary(max_size=80), max_size=8))
def test_no_bytes_break_a_reader_and_each_line_is_a_request_or_told(name: str, lines: list[bytes]) -> None:
    fields = Fields("at", "item") if name in ("own", "csv") else None
    reader = recognise(READERS[name], fields)
    assert reader
    junk = b"".join(line.replace(b"\n", b"").replace(b'"', b"").replace(b"\r", b"") + b"\n" for line in lines)
    columns, bad = reader.read(READERS[name] + junk)
    whole, none = recognise(READERS[name], fields).read(READERS[name])  # type: ignore[union-attr] # as above
    assert not none
    passed_over = sum(not line.strip() or line.startswith(b"#") for line in junk.split(b"\n"))
    assert len(whole) <= len(columns) <= len(whole) + len(lines)
    assert len(columns) - len(whole) + len(bad) >= len(lines) - passed_over - junk.count(b"\x0b") - junk.count(b"\x0c")
