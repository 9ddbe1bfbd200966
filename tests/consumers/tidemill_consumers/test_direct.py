"""One request by HTTP: applied once by the same rules, answered by status and body, and nothing lost in between."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import msgspec
import pytest

from tidemill.contract.aggregation import unpack
from tidemill.contract.attempts import marked
from tidemill.contract.claim_check import claim_check
from tidemill.contract.request import Document, ReplyMessage, Request, decode, encode
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.content.uploads import GONE, Uploads
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import Entities, Unloadable
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.adapters.metrics import Metrics
from tidemill_consumers.adapters.quarantine import Quarantine
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.adapters.streams import Streams
from tidemill_consumers.adapters.trust import Trust
from tidemill_consumers.codec.metrics import lines_in
from tidemill_consumers.composition import Application
from tidemill_consumers.core.batch import (
    Accepted,
    Blob,
    Emit,
    Entity,
    Position,
    Rejected,
    Rule,
    Rules,
    State,
    Time,
    Verified,
    ref,
)
from tidemill_consumers.core.folding.fold import WHY_UNTOLD
from tidemill_consumers.core.folding.writers import counter_of, hash_of
from tidemill_consumers.direct import HttpEvent, HttpResponse, direct
from tidemill_consumers.isolation.time_limit import TimeLimit
from tidemill_local.emulator import Emulator

Heard: TypeAlias = Callable[[], list[ReplyMessage]]

NOW = 1_764_000_000_000


def append(state: State, request: Request) -> Accepted:
    return Accepted({"ids": [*(state or {"ids": []})["ids"], request.id], "client": request.client})


def take(state: State, request: Request) -> Accepted | Rejected:
    left = (state or {"left": 2})["left"]
    return Accepted({"left": left - 1}, {"left": left - 1}) if left else Rejected("sold out")


def tell(state: State, request: Request) -> Accepted:
    told = (state or {"told": 0})["told"] + 1
    return Accepted({"told": told}, emits=(Emit("append", "ear", {"n": told}),))


def explode(state: State, request: Request) -> Accepted:
    raise RuntimeError("boom")


def scribble(state: State, request: Request) -> Accepted:
    """Changes all that it is given, as far as anything can be changed."""
    seen = dict(request.data)
    request.data["x"] = 1
    for name in ("id", "client", "writer", "key", "cmd"):
        msgspec.structs.force_setattr(request, name, "nobody's")
    msgspec.structs.force_setattr(request, "counter", 99)
    return Accepted({"data": seen, "n": (state or {"n": 0})["n"] + 1})


def loop(state: State, request: Request) -> Accepted:
    while True:
        pass


class Mute(Exception):
    def __str__(self) -> str:
        raise self


def raising(error: BaseException) -> Rule:
    def rule(state: State, request: Request) -> Accepted:
        raise error

    return rule


ODD: Rules = {
    "scribble": scribble,
    "loop": loop,
    "exit": raising(SystemExit(3)),
    "interrupt": raising(KeyboardInterrupt()),
    "base": raising(BaseException("base")),
    "mute": raising(Mute()),
}


def draw(state: State, request: Request) -> Accepted:
    picture = Blob(b"picture")
    return Accepted({"picture": ref(picture)}, objects=(picture,))


@pytest.fixture
def app(
    emulator: Emulator, table: str, forgotten_table: str, bucket: str, content_bucket: str, topic: str, stream: str
) -> Application:
    return Application(
        rules={
            **ODD,
            "draw": draw,
            "append": append,
            "take": take,
            "explode": explode,
            "tell": tell,
            "pay": Verified(append),
        },
        retention=86_400.0,
        entities=Entities(emulator.client("dynamodb"), table),
        quarantine=Quarantine(emulator.client("s3"), bucket),
        objects=ObjectStore(emulator.client("s3"), content_bucket, 86_400.0),
        replies=Replies(emulator.client("sns"), topic),
        emits=Emits(emulator.client("kinesis"), stream, pause=lambda seconds: None),
        streams=Streams(emulator.client("kinesis"), stream),
        forgotten=ForgottenWriters(emulator.client("dynamodb"), forgotten_table, 3600.0),
    )


@pytest.fixture
def emitted(emulator: Emulator, stream: str) -> Callable[[], list[int]]:
    """What the requests on the stream say, repeats included."""
    kinesis = emulator.client("kinesis")

    def read() -> list[int]:
        (shard,) = kinesis.list_shards(StreamName=stream)["Shards"]
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = kinesis.get_records(ShardIterator=iterator)["Records"]
        return [decode(one.data).data["n"] for found in records for one in unpack(found["Data"])]

    return read


class LosesAnswers(Entities):
    """A table that saves and does not say so, as often as it is told."""

    losses = 1

    def save(self, writes: Any) -> dict[str, str | None]:
        failed = super().save(writes)
        self.losses -= 1
        return failed if self.losses < 0 else {write.key: None for write in writes}


def request(number: int, cmd: str = "append", *, writer: str = "w", client: str | None = None) -> Request:
    return Request(id=f"r{number}", cmd=cmd, key="k", client=client, writer=writer, counter=number, data={})


def event(body: Request | str | bytes, now: int = NOW, **context: Any) -> HttpEvent:
    text = encode(body).decode() if isinstance(body, Request) else body
    known: Any = {"timeEpoch": now, **context}
    if isinstance(text, bytes):
        return {"requestContext": known, "body": b64encode(text).decode(), "isBase64Encoded": True}
    return {"requestContext": known, "body": text, "isBase64Encoded": False}


def said(response: HttpResponse) -> tuple[int, Document]:
    assert response["headers"]["content-type"] == "application/json"
    return response["statusCode"], json.loads(response["body"])


def document(app: Application, key: str = "k") -> State:
    return app.entities.load([key])[key].document


def test_each_outcome_has_its_status(app: Application) -> None:
    answers = [said(direct(event(request(n, "take")), app)) for n in (1, 2, 3)]
    assert answers == [
        (200, {"id": "r1", "status": "accepted", "data": {"left": 1}}),
        (200, {"id": "r2", "status": "accepted", "data": {"left": 0}}),
        (409, {"id": "r3", "status": "rejected", "error": "sold out"}),
    ]


def test_a_request_that_can_never_be_applied_is_kept_whole(app: Application, emulator: Emulator, bucket: str) -> None:
    for number in (1, 2):
        status, body = said(direct(event(request(number, "explode")), app))
        assert (status, body["status"]) == (422, "quarantined")
    s3 = emulator.client("s3")
    kept = [
        json.loads(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read())
        for one in s3.list_objects_v2(Bucket=bucket)["Contents"]
    ]
    assert {one["id"] for one in kept} == {"r1", "r2"}
    assert kept[0]["shard"] == "direct"


def test_large_data_is_read_from_the_content_bucket(app: Application, emulator: Emulator, bucket: str) -> None:
    """Of a request that names no client too: it is its caller's."""
    s3 = emulator.client("s3")
    app = replace(app, rules={"keep": lambda state, request: Accepted({"size": len(request.data["text"])})})
    app = replace(app, uploads=Uploads(s3, bucket))
    large = msgspec.json.encode({"text": "x" * 300_000})
    ref = claim_check("us-east-1:ann", large)
    sent = msgspec.structs.replace(request(1, "keep"), client=None, ref=ref)
    caller: Any = {"authorizer": {"iam": {"cognitoIdentity": {"identityId": "us-east-1:ann"}}}}
    down = replace(app, uploads=Uploads(s3, f"{bucket}-nowhere"))
    assert direct(event(sent, **caller), down)["statusCode"] == 503
    s3.put_object(Bucket=bucket, Key=ref.object, Body=large)
    assert direct(event(sent, **caller), app)["statusCode"] == 200
    assert document(app) == {"size": 300_000}
    missing = msgspec.structs.replace(request(2, "keep"), client="ann", ref=claim_check("ann", b"{}"))
    assert said(direct(event(missing), app)) == (422, {"id": "r2", "status": "quarantined", "error": GONE})


def test_only_what_an_alarm_looks_at_has_a_line_of_metrics(app: Application) -> None:
    lines: list[str] = []
    watched = replace(app, metrics=Metrics("direct", lines.append))
    direct(event(request(1, "append")), watched)
    assert lines == []
    direct(event(request(2, "explode")), watched)
    (line,) = lines_in(lines[0])
    assert line.metrics == {"Quarantined": (1.0,), "EvictedMarks": (0.0,), "UntoldRepeats": (0.0,), "EmitLoops": (0.0,)}


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", "no JSON", b"\xff\xfe", encode(Request(id="r", cmd="append", data={})).decode(), "\ud800"]
)
def test_what_is_no_request_is_refused_and_nothing_is_kept(app: Application, emulator: Emulator, body: str) -> None:
    status, answer = said(direct(event(body), app))
    assert status == 400
    assert answer["error"]


def test_a_command_for_verified_clients_is_quarantined_unsigned(app: Application) -> None:
    assert direct(event(request(1, "pay")), app)["statusCode"] == 422


def test_a_signature_that_proves_nothing_is_quarantined(app: Application) -> None:
    signed = msgspec.structs.replace(request(1, client="ann"), sig="A" * 86)
    status, body = said(direct(event(signed), app))
    assert (status, body["status"]) == (422, "quarantined")
    assert "signed" in body["error"]


def test_no_body_is_no_request(app: Application) -> None:
    assert direct({"requestContext": {"timeEpoch": NOW}}, app)["statusCode"] == 400


def test_a_body_may_come_as_base64(app: Application) -> None:
    assert direct(event(encode(request(1))), app)["statusCode"] == 200


def test_it_is_answered_in_the_response_and_nowhere_else(app: Application, heard: Heard) -> None:
    direct(event(request(1, client="c")), app)
    assert heard() == []


def test_who_sends_is_who_says_so_else_who_signed(app: Application) -> None:
    iam = {"userArn": "arn:someone", "cognitoIdentity": {"identityId": "us-east-1:1"}}
    clients = []
    for number, (client, who) in enumerate([("c", iam), (None, iam), (None, {**iam, "cognitoIdentity": None})]):
        direct(event(request(number, client=client), authorizer={"iam": who}), app)
        clients.append((document(app) or {})["client"])
    assert clients == ["c", "us-east-1:1", "arn:someone"]


@pytest.mark.parametrize("clock", [0, -5_000])
def test_a_repeat_changes_nothing_and_is_answered_alike(app: Application, clock: int) -> None:
    """Also when the API's clock has gone back."""
    first = [said(direct(event(request(n, "take")), app)) for n in (1, 2, 3)]
    again = said(direct(event(request(3, "take"), NOW + clock), app))
    assert again == first[-1]
    assert document(app) == {"left": 0}


def test_a_repeat_whose_outcome_is_not_kept_is_told_so(app: Application) -> None:
    direct(event(request(1)), app)
    assert said(direct(event(request(1)), app)) == (208, {"id": "r1"})
    assert (document(app) or {})["ids"] == ["r1"]


def test_one_that_was_overtaken_is_not_told_that_all_is_well(app: Application) -> None:
    direct(event(request(2)), app)
    status, body = said(direct(event(request(1)), app))
    assert (status, body.get("status")) == (409, None)
    assert "not applied" in body["error"]
    assert (document(app) or {})["ids"] == ["r2"]


def test_a_save_whose_answer_is_lost_is_found_and_answered(app: Application, emulator: Emulator, table: str) -> None:
    losing = replace(app, entities=LosesAnswers(emulator.client("dynamodb"), table))
    assert said(direct(event(request(1)), losing)) == (200, {"id": "r1", "status": "accepted"})
    assert (document(app) or {})["ids"] == ["r1"]


def test_two_at_a_time_are_both_applied(app: Application, emulator: Emulator, table: str) -> None:
    class Overtaken(Entities):
        """Another request of the key is saved between this one's load and save."""

        def save(self, writes: Any) -> dict[str, str | None]:
            if others:
                direct(event(others.pop()), app)
            return super().save(writes)

    others = [request(8, writer="other"), request(7, writer="other")]

    overtaken = replace(app, entities=Overtaken(emulator.client("dynamodb"), table))
    assert direct(event(request(1)), overtaken)["statusCode"] == 200
    assert (document(app) or {})["ids"] == ["r7", "r8", "r1"]


def test_a_rule_is_asked_no_more_once_the_time_is_over(app: Application, emulator: Emulator, table: str) -> None:
    class Refuses(Entities):
        rounds = 0

        def save(self, writes: Any) -> dict[str, str | None]:
            self.rounds += 1
            return {write.key: None for write in writes}

    refuses = Refuses(emulator.client("dynamodb"), table)
    response = direct(event(request(1)), replace(app, entities=refuses), Time(lambda: 2.0, 1.0))
    assert (response["statusCode"], refuses.rounds) == (503, 1)


@pytest.mark.parametrize("cmd", ["exit", "interrupt", "base", "mute"])
def test_whatever_a_rule_raises_is_its_requests_fate(app: Application, cmd: str) -> None:
    status, body = said(direct(event(request(1, cmd)), app))
    assert (status, body["status"]) == (422, "quarantined")
    assert body["error"].startswith("the rule raised")


def test_a_rule_that_takes_too_long_is_stopped(app: Application) -> None:
    limited = replace(app, limit=TimeLimit(0.1))
    status, body = said(direct(event(request(1, "loop")), limited))
    assert (status, body["status"]) == (422, "quarantined")
    assert body["error"].startswith("the rule took longer than 0.1 s")


def test_a_rule_that_changes_what_it_was_given_changes_that_alone(
    app: Application, emulator: Emulator, table: str
) -> None:
    """Also when it is asked twice, and whomever it makes of the request."""
    losing = replace(app, entities=LosesAnswers(emulator.client("dynamodb"), table))
    assert said(direct(event(request(1, "scribble")), losing)) == (200, {"id": "r1", "status": "accepted"})
    assert said(direct(event(request(1, "scribble")), app)) == (208, {"id": "r1"})
    assert document(app) == {"data": {}, "n": 1}
    assert app.entities.load(["k"])["k"].writers[:8] == hash_of("w")


class TakesNone(Entities):
    """A table that never takes some documents, and says why."""

    reason = "ValidationException: Item size to update has exceeded the maximum allowed size"
    takes_marks = True

    def save(self, writes: Any) -> dict[str, str | None]:
        (write,) = writes
        if self.takes_marks and write.new_entity.document is None:
            return super().save(writes)
        return {write.key: self.reason}


@pytest.mark.parametrize("takes_marks", [True, False])
def test_what_the_table_never_takes_is_quarantined(
    app: Application, emulator: Emulator, table: str, bucket: str, takes_marks: bool
) -> None:
    refusing = TakesNone(emulator.client("dynamodb"), table)
    refusing.takes_marks = takes_marks
    status, body = said(direct(event(request(1)), replace(app, entities=refusing)))
    assert (status, body["status"]) == (422, "quarantined")
    assert body["error"] == f"the table does not take what comes of it: {TakesNone.reason}"
    (kept,) = emulator.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert kept["Key"].startswith("quarantine/dt=2025-11-24/direct/")
    found = app.entities.load(["k"])
    assert [entity.document for entity in found.values()] == [None] * takes_marks


def test_a_table_that_takes_nothing_at_all_is_for_later(
    app: Application, emulator: Emulator, table: str, bucket: str
) -> None:
    refusing = TakesNone(emulator.client("dynamodb"), table)
    refusing.reason, refusing.takes_marks = "ValidationException: the key has another name", False
    assert direct(event(request(1)), replace(app, entities=refusing))["statusCode"] == 503
    assert "Contents" not in emulator.client("s3").list_objects_v2(Bucket=bucket)
    refusing.has_saved = True
    assert direct(event(request(1)), replace(app, entities=refusing))["statusCode"] == 422


@pytest.mark.parametrize("client", ["\t", "\x00", "\ufffe", "a\nb"])
def test_a_client_whom_sns_cannot_name_is_answered(app: Application, client: str) -> None:
    assert said(direct(event(request(1, client=client)), app)) == (200, {"id": "r1", "status": "accepted"})


def test_a_signature_that_cannot_be_looked_at_is_for_later(app: Application, emulator: Emulator) -> None:
    class Trusting(Trust):
        def verified(self, arrivals: Any, is_of_stage: bool = False) -> Any:
            return ()

    assert direct(event(request(1)), replace(app, trust=Trusting()))["statusCode"] == 503


def test_what_nobody_foresaw_is_told_so(app: Application, emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Entities):
        def load(self, keys: Any) -> dict[str, Entity]:
            raise LookupError("nobody foresaw this")

    status, body = said(direct(event(request(1)), replace(app, entities=Odd(emulator.client("dynamodb"), "t"))))
    assert (status, body) == (500, {"error": "it may be applied or not"})
    assert "nobody foresaw this" in caplog.text


def test_what_is_no_base64_is_no_request(app: Application) -> None:
    bad: Any = {"requestContext": {"timeEpoch": NOW}, "body": "a", "isBase64Encoded": True}
    assert direct(bad, app)["statusCode"] == 400


def test_a_key_that_stays_contended_is_for_later(app: Application, emulator: Emulator, table: str) -> None:
    class Refuses(Entities):
        def save(self, writes: Any) -> dict[str, str | None]:
            return {write.key: None for write in writes}

    refuses = replace(app, entities=Refuses(emulator.client("dynamodb"), table))
    response = direct(event(request(1)), refuses)
    assert said(response) == (503, {"error": "not now"})
    assert response["headers"]["retry-after"] == "1"


def test_a_table_that_does_not_answer_is_for_later(app: Application, emulator: Emulator) -> None:
    class Down(Entities):
        def load(self, keys: Any) -> dict[str, Entity]:
            raise Unloadable("items stay unprocessed")

    down = replace(app, entities=Down(emulator.client("dynamodb"), "t"))
    assert direct(event(request(1)), down)["statusCode"] == 503
    nowhere = replace(app, entities=Entities(emulator.client("dynamodb"), "nowhere"))
    assert direct(event(request(1)), nowhere)["statusCode"] == 503


def test_a_quarantine_that_is_down_is_for_later_and_nothing_is_saved(app: Application, emulator: Emulator) -> None:
    down = replace(app, quarantine=Quarantine(emulator.client("s3"), "nowhere"))
    assert direct(event(request(1, "explode")), down)["statusCode"] == 503
    assert app.entities.load(["k"]) == {}


def test_an_object_is_stored_before_its_document(app: Application, emulator: Emulator, content_bucket: str) -> None:
    down = replace(app, objects=ObjectStore(emulator.client("s3"), "nowhere", 86_400.0))
    assert direct(event(request(1, "draw")), down)["statusCode"] == 503
    assert app.entities.load(["k"]) == {}
    assert direct(event(request(1, "draw")), app)["statusCode"] == 200
    document = app.entities.load(["k"])["k"].document
    assert document == {"picture": ref(Blob(b"picture"))}
    found = emulator.client("s3").get_object(Bucket=content_bucket, Key=document["picture"]["object"])
    assert found["Body"].read() == b"picture"


def test_what_a_rule_emits_goes_onto_the_stream(app: Application, emitted: Callable[[], list[int]]) -> None:
    direct(event(request(1, "tell")), app)
    assert emitted() == [1]


def test_what_did_not_leave_leaves_before_anything_else_of_its_key(
    app: Application, emulator: Emulator, emitted: Callable[[], list[int]]
) -> None:
    class Fails(Emits):
        def send(self, emitted: Any) -> list[Position]:
            return [one.position for one in emitted]

    down = replace(app, emits=Fails(emulator.client("kinesis"), "nowhere"))
    assert direct(event(request(1, "tell")), down)["statusCode"] == 503
    assert direct(event(request(2, "tell")), down)["statusCode"] == 503, "it would overtake the first"
    assert emitted() == []
    assert direct(event(request(3, "tell")), app)["statusCode"] == 200
    assert emitted() == [1, 2]
    assert document(app) == {"told": 2}


# ── Re-sends ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_that_says_it_was_tried_is_known_by_the_table_once_its_entity_forgot_it(app: Application) -> None:
    for n in range(60):
        assert said(direct(event(request(1, writer=f"phone-{n}"), NOW + n), app))[0] == 200
    assert counter_of(app.entities.load(["k"])["k"].writers, "phone-0") == -1
    body = marked(encode(request(1, writer="phone-0")), NOW)
    assert said(direct(event(body, NOW + 1000), app)) == (208, {"id": "r1"})
    assert said(direct(event(marked(encode(request(2, writer="phone-0")), NOW), NOW + 1001), app))[0] == 200
    tried = msgspec.structs.replace(request(1, writer="phone-1"), tried=NOW - 3_600_001)
    status, answer = said(direct(event(tried, NOW + 1002), app))
    assert (status, answer["error"]) == (422, WHY_UNTOLD)


def test_it_is_not_now_if_the_table_of_forgotten_writers_does_not_answer(app: Application, emulator: Emulator) -> None:
    blind = replace(app, forgotten=ForgottenWriters(emulator.client("dynamodb"), "nowhere", 3600.0))
    answers = [said(direct(event(request(1, writer=f"phone-{n}"), NOW + n), blind))[0] for n in range(60)]
    assert set(answers) == {200, 503}
    assert answers[:5] == [200] * 5
    assert len(document(app)["ids"]) == answers.count(200)  # type: ignore[index]


def test_what_was_not_saved_is_applied_when_it_is_put_again(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing delivers it again, so it must not be found where it was put before the save that failed."""
    for n in range(100):  # an entity full of writers that it keeps before others
        assert said(direct(event(marked(encode(request(1, writer=f"phone-{n}")), NOW - 5_000), NOW + n), app))[0] == 200
    late = request(1, writer="late")
    with monkeypatch.context() as patched:
        patched.setattr(Entities, "save", lambda _, writes: {one.key: None for one in writes})
        assert said(direct(event(late, NOW + 200), app))[0] == 503
    for n in range(20):
        direct(event(request(1, writer=f"another-{n}"), NOW + 300 + n), app)
    before = len(document(app)["ids"])  # type: ignore[index]
    assert said(direct(event(marked(encode(late), NOW), NOW + 400), app))[0] == 200
    assert len(document(app)["ids"]) == before + 1  # type: ignore[index]


def test_what_the_key_s_last_request_emitted_is_marked_when_it_is_sent_again(app: Application) -> None:
    sent: list[Any] = []

    class Notes(Emits):
        def send(self, emitted: Any) -> list[Position]:
            sent.extend(emitted)
            return []

    nobody: Any = None
    noting = replace(app, emits=Notes(nobody, "s"))
    for n in (1, 2):
        assert said(direct(event(request(n, "tell"), NOW + n), noting))[0] == 200
    assert [round((one.since + 1.0) * 1000) for one in sent] == [NOW + 1, NOW + 1, NOW + 2]
