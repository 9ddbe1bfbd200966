"""Whose requests a guarded rule takes. Values only."""

import pytest

from tidemill.contract.request import EVENT, REDRIVE, Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Internal, Position, Proof, State, Verified
from tidemill_consumers.core.calling.admission import not_for
from tidemill_consumers.core.emits import EMITTER, PROVEN_EMITTER


def rule(state: State, request: Request) -> Accepted:
    return Accepted(state)


def arrival(proof: Proof | None, writer: str | None = "w", client: str | None = "c") -> Arrival:
    request = Request(id="i", cmd="pay", key="k", client=client, writer=writer, counter=1, data={})
    return Arrival("s", Position(1, 0), 1000.0, "k", request, encode(request), proof)


@pytest.mark.parametrize(
    ("proof", "client", "why"),
    [
        (Proof(client="c"), "c", None),
        (Proof(client="c", is_own=True), "c", None),
        (Proof(is_own=True), None, None),
        (Proof(is_own=True), "c", "sealed, but nobody has proven its client"),
        (Proof(client="d"), "c", "sealed, but nobody has proven its client"),
        (None, "c", "unsigned"),
        (None, None, "unsigned"),
    ],
)
def test_a_verified_rule_takes_the_very_client_that_is_proven(
    proof: Proof | None, client: str | None, why: str | None
) -> None:
    said = why and f"{why}, and pay takes requests of verified clients only"
    assert not_for(Verified(rule), arrival(proof, client=client)) == said


@pytest.mark.parametrize("proof", [Proof(is_own=True), Proof(client="c", is_own=True)])
def test_an_internal_rule_takes_what_the_application_sealed(proof: Proof) -> None:
    assert not_for(Internal(rule), arrival(proof, REDRIVE + "hash")) is None, "redriven too"


@pytest.mark.parametrize("writer", [EVENT + "hash", EMITTER + "s/k", PROVEN_EMITTER + "s/k"])
def test_without_a_secret_the_writer_is_all_that_tells(writer: str) -> None:
    assert not_for(Internal(rule), arrival(None, writer)) is None


@pytest.mark.parametrize(
    ("proof", "writer"),
    [
        (Proof(client="c"), "verified/hash"),
        (Proof(client="c"), EVENT + "hash"),
        (None, "w"),
        (None, None),
        (None, "eventual"),
        (None, REDRIVE + "place"),
    ],
)
def test_an_internal_rule_takes_no_client_and_nothing_of_a_client_that_was_redriven(
    proof: Proof | None, writer: str | None
) -> None:
    assert not_for(Internal(rule), arrival(proof, writer)) == (
        "not of the application itself, and pay takes its requests only"
    )
