"""What a signed request takes along when it is redriven, and when it would prove nothing any more."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from tidemill.contract.request import REDRIVE, OriginalSignature, RefusedRequest, Request, encode
from tidemill.contract.signature import Signer
from tidemill_consumers.core.emits import EMITTER
from tidemill_consumers.core.trust import INCOMPLETE, Seals, what_it_was

STREAM = "requests"
SEALS = Seals(STREAM, ["s" * 43])
OLD = Seals(STREAM, ["o" * 43])
BOTH = Seals(STREAM, ["s" * 43, "o" * 43])
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(b"a" * 32), stream=STREAM)
REQUEST = Request(id="1", cmd="pay", key="k", client="ada", writer="w", counter=5, data={"to": "bob"})
SIGNED = SIGNER.sign(REQUEST)
SIGNATURE = SIGNED.sig or ""


def refusal(request: Request, payload: bytes | None = None, seals: Seals | None = SEALS) -> str:
    with pytest.raises(RefusedRequest) as refused:
        what_it_was(request, payload or encode(request), seals)
    return str(refused.value)


def test_an_unsigned_one_takes_nothing_along() -> None:
    assert what_it_was(REQUEST, encode(REQUEST), None) is None
    assert what_it_was(REQUEST, b"as somebody else writes it", SEALS) is None


def test_a_signed_one_takes_its_writer_its_counter_and_its_signature() -> None:
    assert what_it_was(SIGNED, encode(SIGNED), SEALS) == OriginalSignature("w", 5, SIGNATURE)


def test_without_a_secret_nothing_signed_is_redriven() -> None:
    assert refusal(SIGNED, seals=None).startswith("signed: give the application's secret")


@pytest.mark.parametrize(
    ("request_", "payload"),
    [
        (SIGNED, b" " + encode(SIGNED)),
        (replace(SIGNED, was=OriginalSignature("v", 4, SIGNATURE)), None),
    ],
)
def test_one_that_is_written_otherwise_is_refused(request_: Request, payload: bytes | None) -> None:
    why = "signed, but not written as the SDK writes it: its signature would not hold again"
    assert refusal(request_, payload) == why


@pytest.mark.parametrize("without", ["writer", "counter"])
def test_one_without_a_writer_or_a_counter_is_refused(without: str) -> None:
    assert refusal(replace(SIGNED, **{without: None})) == INCOMPLETE


def test_the_applications_own_takes_its_seal_and_one_that_was_redriven_what_it_took_before() -> None:
    emitted = SEALS.seal(replace(REQUEST, writer=EMITTER + "x"))
    assert what_it_was(emitted, encode(emitted), SEALS) == OriginalSignature(EMITTER + "x", 5, emitted.sig or "")
    was = OriginalSignature("w", 5, SIGNATURE)
    redriven = SEALS.seal(replace(REQUEST, writer=REDRIVE + "s-1-0", counter=1, was=was))
    assert what_it_was(redriven, encode(redriven), SEALS) == was


def test_a_seal_that_is_made_up_or_of_a_secret_that_is_not_given_is_refused() -> None:
    emitted = replace(REQUEST, writer=EMITTER + "x", sig=SIGNATURE)
    for forged in (emitted, OLD.seal(emitted)):
        assert refusal(forged) == "its seal is made up, or made with a secret that is not given"
    assert what_it_was(OLD.seal(emitted), encode(OLD.seal(emitted)), BOTH)


def test_a_seal_is_of_the_request_without_it_and_by_the_first_secret() -> None:
    emitted = replace(REQUEST, writer=EMITTER + "x")
    sealed = SEALS.seal(emitted)
    assert SEALS.seal(replace(emitted, sig="another")) == SEALS.seal(sealed) == BOTH.seal(emitted) == sealed
    assert SEALS.hold(sealed)
    assert BOTH.hold(OLD.seal(emitted))
    assert not SEALS.hold(OLD.seal(emitted))
    assert not SEALS.hold(emitted)
    for changed in (replace(sealed, key="l"), replace(sealed, counter=6), replace(sealed, data={})):
        assert not SEALS.hold(changed)


def test_secrets_stand_in_a_setting_with_commas_and_are_long_enough() -> None:
    assert Seals.read(STREAM, "") is None
    read = Seals.read(STREAM, f"{'s' * 43},{'o' * 43}")
    assert read
    assert read.hold(OLD.seal(replace(REQUEST, writer=EMITTER + "x")))
    for setting in ("short", f"{'s' * 43},", f"{'s' * 43},short"):
        with pytest.raises(ValueError, match="characters or more, or several with commas"):
            Seals.read(STREAM, setting)
    with pytest.raises(ValueError, match="characters or more"):
        Seals(STREAM, [])
