"""What signatures and seals prove, and what does not pass for one. Values only."""

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace

from tidemill.contract.request import EVENT, REDRIVE, OriginalSignature, RefusedRequest, Request, encode
from tidemill.contract.signature import Signer
from tidemill.contract.validation import to_payload
from tidemill_consumers.core.batch import Arrival, Position, Proof, with_request
from tidemill_consumers.core.emits import EMITTER, PROVEN_EMITTER
from tidemill_consumers.core.trust import (
    INCOMPLETE,
    LEAST_SECRET,
    LONGEST_WRITER,
    MALFORMED,
    NO_SECRET,
    NOT_SEALED,
    VERIFIED,
    Claim,
    Seals,
    disproven,
    examine,
    is_marked,
    is_of_verified,
    is_proven,
    what_it_was,
)

STREAM = "requests"
KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
EVES = Ed25519PrivateKey.from_private_bytes(b"e" * 32)
SIGNER = Signer(KEY, stream=STREAM)
SECRET, OLD_SECRET = "s" * 43, "o" * 43
SEALS = Seals(STREAM, [SECRET])

REQUEST = Request(id="1", cmd="pay", key="k", client="ada", writer="w", counter=5, data={"to": "bob"})
SIGNED = SIGNER.sign(REQUEST)
EMITTED = msgspec.structs.replace(REQUEST, writer=EMITTER + "other", client=None)
OWN = Proof(is_own=True)
"""The application's word, which proves no client."""


def arrival(request: Request, payload: bytes | None = None) -> Arrival:
    return Arrival("s", Position(1, 0), 1000.0, request.key or "", request, payload or encode(request))


def outcome(request: Request, *, payload: bytes | None = None, seals: Seals | None = SEALS) -> Arrival:
    """The arrival as it is planned, where KEY is registered for its client."""
    arrived = arrival(request, payload)
    if not (is_marked(request) if seals else request.sig):
        return arrived
    examined = examine(arrived, STREAM, seals)
    return settled(examined, KEY) if isinstance(examined, Claim) else examined


def settled(claim: Claim, *keys: Ed25519PrivateKey, overfull: bool = False) -> Arrival:
    registered = [key.public_key() for key in keys]
    return claim.proven if is_proven(claim, registered) else disproven(claim, registered, overfull)


def problem(request: Request, **given: Any) -> str:
    found = outcome(request, **given)
    assert found.proof, "taken for unsigned"
    assert found.proof.problem, "taken for proven"
    assert found.request == request, "what is quarantined is what came"
    return found.proof.problem


def changed(request: Request, **changes: Any) -> Request:
    return msgspec.structs.replace(request, **changes)


def redriven(request: Request, *, place: str = "s-1-0", seals: Seals = SEALS, **changes: Any) -> Request:
    """As an operator puts it back."""
    was = OriginalSignature(request.writer, request.counter, request.sig) if request.sig else None  # type: ignore[arg-type] # signed
    return seals.seal(changed(request, writer=REDRIVE + place, counter=1, was=was, sig=None, **changes))


# ---- a client's signature


@pytest.mark.parametrize("seals", [None, SEALS])
def test_a_signature_proves_its_client(seals: Seals | None) -> None:
    found = outcome(SIGNED, seals=seals)
    assert found.proof == Proof(client="ada")
    assert changed(found.request, writer="w") == REQUEST
    assert replace(with_request(found, SIGNED), proof=None) == arrival(SIGNED)
    assert found.encoded == encode(found.request)


def test_without_a_signature_nothing_is_looked_at() -> None:
    assert not is_marked(REQUEST)
    assert is_marked(EMITTED)
    assert is_marked(SIGNED)


@pytest.mark.parametrize(
    "forged",
    [
        Signer(EVES, stream=STREAM).sign(REQUEST),
        Signer(KEY, stream="other").sign(REQUEST),
        changed(SIGNED, id="2"),
        changed(SIGNED, client="eve"),
        changed(SIGNED, client="eve", id="2"),
        changed(SIGNED, cmd="close"),
        changed(SIGNED, key="k2"),
        changed(SIGNED, writer="v"),
        changed(SIGNED, counter=6),
        changed(SIGNED, data={"to": "eve"}),
        changed(REQUEST, sig=Signer(KEY, stream=STREAM).sign(changed(REQUEST, counter=4)).sig),
    ],
)
def test_a_forged_one_is_a_problem_never_unsigned(forged: Request) -> None:
    assert "by none of the keys registered for" in problem(forged)


def test_the_partition_key_counts() -> None:
    """A signed request cannot be moved to another entity by leaving its key out of the body."""
    bare = changed(REQUEST, key=None)
    body = encode(bare)
    payload = body[:-1] + encode(SIGNED)[-96:]
    assert "by none of the keys" in problem(changed(SIGNED, key="elsewhere"), payload=payload)


def test_a_client_without_keys_is_told_so() -> None:
    examined = examine(arrival(SIGNED), STREAM, None)
    assert isinstance(examined, Claim)
    assert settled(examined).proof == Proof("signed, but no key is registered for 'ada'")


@pytest.mark.parametrize("characters", [79, 80, 81, 128])
@pytest.mark.parametrize(
    ("keys", "overfull", "said"),
    [
        ((), False, "signed, but no key is registered for {}"),
        ((EVES,), False, "signed, by none of the keys registered for {}"),
        ((), True, "signed, but more is registered for {} than keys of devices: none counts"),
    ],
)
def test_of_a_long_name_its_first_80_characters_are_told(
    characters: int, keys: tuple[Ed25519PrivateKey, ...], overfull: bool, said: str
) -> None:
    examined = examine(arrival(SIGNER.sign(changed(REQUEST, client="a" * characters))), STREAM, None)
    assert isinstance(examined, Claim)
    name = "'" + "a" * min(characters, 80) + "'"
    assert settled(examined, *keys, overfull=overfull).proof == Proof(said.format(name))


def test_a_client_of_whom_nothing_counts_is_told_so() -> None:
    examined = examine(arrival(SIGNED), STREAM, None)
    assert isinstance(examined, Claim)
    problem = "signed, but more is registered for 'ada' than keys of devices: none counts"
    assert settled(examined, overfull=True).proof == Proof(problem)


def test_any_of_a_clients_keys_will_do() -> None:
    examined = examine(arrival(SIGNED), STREAM, None)
    assert isinstance(examined, Claim)
    assert settled(examined, EVES, KEY).proof == Proof(client="ada")


@pytest.mark.parametrize("sig", ["", "A", "A" * 85, "A" * 87, "A" * 85 + "=", "é" * 86, "A" * 85 + "B"])
def test_a_malformed_signature_is_a_problem(sig: str) -> None:
    assert problem(changed(REQUEST, sig=sig)) == MALFORMED
    assert problem(redriven(changed(REQUEST, sig=sig or "-"))) == MALFORMED


def test_so_is_one_in_another_place() -> None:
    payload = encode(SIGNED)
    assert problem(SIGNED, payload=payload.replace(b',"sig"', b', "sig"')) == MALFORMED


@pytest.mark.parametrize("field", ["client", "writer", "counter"])
def test_a_signature_needs_what_it_is_of(field: str) -> None:
    assert problem(changed(SIGNED, **{field: None})) == INCOMPLETE


def test_only_the_application_says_what_a_request_was() -> None:
    assert problem(changed(SIGNED, was=OriginalSignature("w", 5, SIGNED.sig or ""))) == MALFORMED


# ---- a verified client's writers are its own


def test_the_writer_of_a_verified_client_is_nobody_elses() -> None:
    adas = outcome(SIGNED).request.writer
    assert adas
    assert is_of_verified(adas)
    assert not is_of_verified("w" * 128), "the longest that an unsigned request may have"
    eves = outcome(SIGNER.sign(changed(REQUEST, client="eve"))).request.writer
    assert adas != eves
    assert outcome(SIGNER.sign(changed(REQUEST, counter=9, id="2"))).request.writer == adas


@given(some.text(min_size=1, max_size=6), some.text(min_size=1, max_size=6), some.integers(1, 11))
def test_however_client_and_writer_are_cut(client: str, writer: str, place: int) -> None:
    joined = client + writer
    one, other = (client, writer), (joined[:place], joined[place:])
    if not all(other):
        return
    names = {outcome(SIGNER.sign(changed(REQUEST, client=c, writer=w))).request.writer for c, w in {one, other}}
    assert len(names) == len({one, other})


# ---- the application's seal


def test_a_sealed_emit_is_the_applications_word() -> None:
    found = outcome(SEALS.seal(EMITTED))
    assert found.proof == OWN
    assert found.request == EMITTED


EMITTED_FOR = changed(EMITTED, client="ada")
PROVEN_FOR = changed(EMITTED_FOR, writer=PROVEN_EMITTER + "other")


def test_a_seal_proves_a_client_only_if_the_cause_did() -> None:
    """A rule may emit for a client that nobody has proven, and so may one from before emits told."""
    assert outcome(SEALS.seal(EMITTED_FOR)).proof == OWN
    assert outcome(SEALS.seal(PROVEN_FOR)).proof == Proof(client="ada", is_own=True)
    assert outcome(SEALS.seal(changed(PROVEN_FOR, client=None))).proof == OWN
    # An entity's counters are the same, proven or not: so is its writer.
    assert outcome(SEALS.seal(PROVEN_FOR)).request == EMITTED_FOR
    assert outcome(redriven(SEALS.seal(EMITTED_FOR))).proof == OWN
    assert outcome(redriven(SEALS.seal(PROVEN_FOR))).proof == Proof(client="ada", is_own=True)


def test_a_request_on_an_event_is_the_applications_word_and_proves_no_client() -> None:
    sealed = SEALS.seal(changed(REQUEST, writer=EVENT + "of", counter=1))
    assert outcome(sealed).proof == outcome(redriven(sealed)).proof == OWN
    assert outcome(sealed).request.writer == EVENT + "of"
    assert problem(changed(sealed, sig=None)) == problem(SIGNER.sign(changed(sealed, sig=None))) == NOT_SEALED


def test_nobody_but_the_application_says_that_a_client_is_proven() -> None:
    sealed = SEALS.seal(EMITTED_FOR)
    assert problem(PROVEN_FOR) == NOT_SEALED
    assert problem(changed(sealed, writer=PROVEN_FOR.writer)) == NOT_SEALED
    assert problem(changed(SEALS.seal(PROVEN_FOR), client="eve")) == NOT_SEALED
    assert problem(redriven(changed(sealed, writer=PROVEN_FOR.writer))) == NOT_SEALED
    assert problem(SIGNER.sign(PROVEN_FOR)) == NOT_SEALED
    assert outcome(PROVEN_FOR, seals=None).proof is None


def test_an_unsealed_one_is_believed_only_without_a_secret() -> None:
    assert problem(EMITTED) == NOT_SEALED
    assert problem(changed(EMITTED, writer=REDRIVE + "s-1-0")) == NOT_SEALED
    assert outcome(EMITTED, seals=None).proof is None
    assert problem(SEALS.seal(EMITTED), seals=None) == NO_SECRET


@pytest.mark.parametrize(
    "forged",
    [
        Seals(STREAM, [OLD_SECRET]).seal(EMITTED),
        Seals("other", [SECRET]).seal(EMITTED),
        SIGNER.sign(changed(EMITTED, client="ada")),
        changed(SEALS.seal(EMITTED), counter=6),
        changed(SEALS.seal(EMITTED), key="k2"),
        changed(SEALS.seal(EMITTED), cmd="close"),
        changed(SEALS.seal(EMITTED), client="ada"),
        changed(SEALS.seal(EMITTED), data={}),
        changed(SEALS.seal(EMITTED), writer=EMITTER + "k"),
        changed(SEALS.seal(EMITTED), writer=REDRIVE + "s-1-0"),
        changed(SEALS.seal(EMITTED), was=OriginalSignature("w", 1, "")),
        changed(EMITTED, sig=""),
        changed(EMITTED, sig="A" * 86),
    ],
)
def test_a_forged_seal_is_a_problem(forged: Request) -> None:
    assert problem(forged) == NOT_SEALED


def test_a_seal_is_no_clients_signature() -> None:
    assert "by none of the keys" in problem(SEALS.seal(REQUEST))


def test_secrets_can_be_changed_one_after_the_other() -> None:
    old, both = Seals(STREAM, [OLD_SECRET]), Seals(STREAM, [SECRET, OLD_SECRET])
    assert both.seal(EMITTED) == SEALS.seal(EMITTED)
    for sealed in (old.seal(EMITTED), SEALS.seal(EMITTED)):
        # The request is the same then, too: a repeat that is sealed anew is not another request under its counter.
        assert outcome(sealed, seals=both) == replace(
            outcome(SEALS.seal(EMITTED), seals=both), payload=to_payload(sealed)
        )


def test_a_setting_names_them() -> None:
    assert Seals.read(STREAM, "") is None
    seals = Seals.read(STREAM, f"{SECRET},{OLD_SECRET}")
    assert seals
    assert seals.hold(Seals(STREAM, [OLD_SECRET]).seal(EMITTED))
    for short in ("s" * 42, f"{SECRET},", f"{SECRET},short"):
        with pytest.raises(ValueError, match="43 characters"):
            Seals.read(STREAM, short)


# ---- redriven


def test_a_redriven_request_proves_its_client_still() -> None:
    found = outcome(redriven(SIGNED))
    assert found.proof == Proof(client="ada")
    assert found.request.writer
    assert found.request.writer.startswith(REDRIVE)
    assert not is_of_verified(found.request.writer)
    assert changed(found.request, writer="w", counter=5) == REQUEST


def test_it_is_known_by_what_it_was_wherever_it_lay() -> None:
    """Of two copies that were quarantined, one is applied."""
    one, other = outcome(redriven(SIGNED, place="s-1-0")), outcome(redriven(SIGNED, place="s-2-0"))
    assert one.request == other.request
    third = outcome(redriven(SIGNER.sign(changed(REQUEST, counter=6))))
    assert third.request.writer != one.request.writer


def test_one_that_was_unsigned_is_unsigned_still() -> None:
    found = outcome(redriven(REQUEST))
    assert found.proof is None
    assert found.request == changed(REQUEST, writer=REDRIVE + "s-1-0", counter=1)


def test_an_emit_that_was_sealed_is_the_applications_word_still() -> None:
    assert outcome(redriven(SEALS.seal(EMITTED))).proof == OWN
    assert outcome(redriven(EMITTED)).proof is None
    forged = Seals(STREAM, [OLD_SECRET]).seal(EMITTED)
    assert problem(redriven(forged)) == NOT_SEALED


# ---- another stream over the same table


def from_other(request: Request) -> Arrival | Claim:
    return examine(arrival(request), "other", SEALS)


def test_a_signature_is_for_the_stream_that_it_came_by() -> None:
    here, there = from_other(SIGNED), from_other(Signer(KEY, stream="other").sign(REQUEST))
    assert isinstance(here, Claim)
    assert isinstance(there, Claim)
    assert (is_proven(here, [KEY.public_key()]), is_proven(there, [KEY.public_key()])) == (False, True)


def test_the_application_seals_for_its_own_stream_only() -> None:
    """What stands there may be copied onto another by whoever reads the one and may put on the other."""
    for sealed in (SEALS.seal(EMITTED), redriven(SIGNED)):
        found = from_other(sealed)
        assert isinstance(found, Arrival)
        assert found.proof == Proof(NOT_SEALED)
        with pytest.raises(RefusedRequest, match="made up"):
            what_it_was(sealed, encode(sealed), SEALS, "other")
        what_it_was(sealed, encode(sealed), SEALS, STREAM)


def test_what_was_signed_for_another_stream_is_redriven_to_the_own_and_proves_its_client_still() -> None:
    signed = Signer(KEY, stream="other").sign(REQUEST)
    was = what_it_was(signed, encode(signed), SEALS, "other")
    assert was == OriginalSignature("w", 5, signed.sig or "", "other")
    put_back = SEALS.seal(changed(signed, writer=REDRIVE + "s-1-0", counter=1, was=was, sig=None))
    assert outcome(put_back).proof == Proof(client="ada")
    assert b"stream" not in encode(redriven(SIGNED)), "the usual one does not say"
    assert what_it_was(SIGNED, encode(SIGNED), SEALS, STREAM) == what_it_was(SIGNED, encode(SIGNED), SEALS)
    elsewhere = SEALS.seal(changed(put_back, was=replace(was, stream=None), sig=None))
    assert "by none of the keys" in problem(elsewhere)


@pytest.mark.parametrize(
    "forged",
    [
        redriven(Signer(EVES, stream=STREAM).sign(REQUEST)),
        redriven(SIGNED, data={"to": "eve"}),
        redriven(SIGNED, client="eve"),
        redriven(SIGNED, key="k2"),
        redriven(SIGNED, id="2"),
        redriven(changed(SIGNED, counter=6)),
        redriven(changed(SIGNED, writer="v")),
    ],
)
def test_the_seal_of_an_operator_does_not_stand_for_the_client(forged: Request) -> None:
    assert "by none of the keys registered for" in problem(forged)


@pytest.mark.parametrize(
    "replayed",
    [
        changed(redriven(SIGNED), sig=None),
        changed(redriven(SIGNED), sig=SIGNED.sig),
        changed(redriven(SIGNED), writer=REDRIVE + "s-9-0"),
        changed(redriven(SIGNED), was=None),
        redriven(SIGNED, seals=Seals(STREAM, [OLD_SECRET])),
        changed(SIGNED, writer=REDRIVE + "s-1-0", counter=1),
        SIGNER.sign(changed(REQUEST, writer=REDRIVE + "s-1-0", counter=1)),
    ],
)
def test_nobody_else_redrives(replayed: Request) -> None:
    """A signed request that was applied does not come again under a writer that is made up."""
    assert problem(replayed) == NOT_SEALED
    if replayed.sig:
        assert problem(replayed, seals=None) == NO_SECRET


def test_a_seal_is_the_same_for_ever() -> None:
    """What was sealed before an update is on the stream, and in the quarantine, after it."""
    seal = "SLIkP5Pnxse8XLLv9Sij5srhBcAynB28kh6zlnK_2cirh5z2ieL5kJRlhPVgzXgatb2vVDavtE8kMCaoinlpQw"
    assert SEALS.seal(EMITTED).sig == seal


def test_a_secret_has_32_bytes_and_a_verified_writer_is_longer_than_any_on_the_wire() -> None:
    assert (LEAST_SECRET, LONGEST_WRITER, VERIFIED) == (43, 128, "verified/")
    assert INCOMPLETE == "signed, but a signature without client, writer and counter proves nothing"
    assert NO_SECRET == "sealed, but the application has no secret to know its seal by"
    assert NOT_SEALED == "its writer is the application's own, but it does not bear the application's seal"


@pytest.mark.parametrize("lacking", [["key"], ["counter"], ["key", "counter"]])
def test_what_claims_to_be_the_applications_own_and_lacks_something_is_a_problem_like_any_other(
    lacking: list[str],
) -> None:
    """Whoever puts records on the stream may leave out what the application always writes."""
    for sig in (None, "", "A" * 86):
        assert problem(changed(EMITTED, sig=sig, **dict.fromkeys(lacking))) == NOT_SEALED


def test_what_a_request_lacks_is_sealed_as_empty() -> None:
    assert (
        SEALS.seal(Request(id="1", cmd="c", data={})).sig
        == "WraoSghQErbSIfgmsCM0sscsSvRnxWWaIyB4QHU98H6JPjpdrhAtN_W9qztKOlWjDMoIliF9mI-eK8AVikCnig"
    )
