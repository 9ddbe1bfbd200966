"""A result in sentences: the saving, its price in time, the costs, and whether the figures can be trusted.

Room: load, report; pure. Texts of the result (notes, reasons) are handed on as they are; whoever shows them escapes
them.
Tests: tests/producers/tidemill_load/report/test_report.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tidemill_load.assessment.comparison import comparisons, invoked, per_million, shown
from tidemill_load.results.result import Measurement, Result
from tidemill_load.wording import a_second, counted, dollars, duration, listed, number, times

Tone: TypeAlias = Literal["failure", "warning", "note", "plain"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, or two, and how grave it is."""

    text: str
    tone: Tone = "plain"


def how(result: Result) -> str:
    """How the figures were found."""
    return "simulated" if result.target == "simulated" else "measured"


def headline(result: Result) -> str:
    """What the run showed: the saving and its price, in time and where it is so in dollars."""
    chosen = shown(result)
    if chosen is None:
        return "Nothing was measured."
    best, direct = chosen.best, chosen.direct
    at = a_second(chosen.rate)
    if best is None:
        one = chosen.ran[0]
        return f"{one.requests:,} requests at {at} ({one.mode}); there is nothing to compare with."
    saved = f"{best.requests:,} requests → {counted(best.invocations or 0, 'invocation')} ({best.mode})"
    if direct is None or not direct.invocations:
        return f"{saved} at {at}; direct was not measured, so there is nothing to compare with."
    saving = f"{saved}: {_fewer(invoked(direct) / invoked(best))} than direct at {at}."
    return " ".join([saving, _latency(best, direct), *_dearer(best, direct)])


def findings(result: Result) -> tuple[Finding, ...]:
    """What else is to be said, the gravest first."""
    found = (*_failures(result), *_warnings(result), *_costs(result), *_proofs(result))
    return tuple(sorted(found, key=lambda one: get_args(Tone).index(one.tone)))


def _fewer(ratio: float) -> str:
    return f"{times(ratio)} fewer" if ratio >= 1 else f"{times(1 / ratio)} more"


def _latency(best: Measurement, direct: Measurement) -> str:
    if not best.latency.count or not direct.latency.count:
        return "How long answers took was not measured."
    ours, theirs = best.latency.p99, direct.latency.p99
    price = "The price is time" if ours > theirs else "It is no slower"
    return f"{price}: p99 {duration(ours)} instead of {duration(theirs)}."


def _dearer(best: Measurement, direct: Measurement) -> Iterator[str]:
    ours, theirs = per_million(best), per_million(direct)
    if ours is not None and theirs is not None and ours > theirs:
        yield f"Direct is cheaper: {dollars(theirs)} a million against {dollars(ours)}."


def _where(one: Measurement) -> str:
    return f"{one.mode} at {a_second(one.rate)}"


def _failures(result: Result) -> Iterator[Finding]:
    kinds = (("lost", "lost"), ("duplicates", "applied twice"), ("reordered", "applied out of order"))
    for one in result.measurements:
        bad = [f"{number(found)} {what}" for name, what in kinds if (found := getattr(one, name))]
        if bad:
            yield Finding(f"{_where(one)}: of {one.requests:,} requests, {listed(bad)}.", "failure")


def _warnings(result: Result) -> Iterator[Finding]:
    if result.stopped:
        yield Finding("The run was stopped before its end; these are the figures there were by then.", "warning")
    # A mode is skipped at every rate for the same reason.
    for mode, why in dict.fromkeys((one.mode, one.skipped) for one in result.measurements if one.skipped is not None):
        yield Finding(f"{mode} was skipped: {why}", "warning")
    for one in result.measurements:
        if one.errors:
            yield Finding(f"{_where(one)}: {counted(one.errors, 'request')} failed.", "warning")
    for note in result.notes:
        yield Finding(note, "note")


def _costs(result: Result) -> Iterator[Finding]:
    for one in comparisons(result):
        direct = per_million(one.direct) if one.direct else None
        priced = [(cost, best) for best in one.streamed if (cost := per_million(best)) is not None]
        if direct is None or not priced:
            continue
        cost, best = min(priced, key=lambda pair: pair[0])
        where = f"At {a_second(one.rate)}"
        if cost < direct:
            saving = f"{dollars(cost)} a million instead of {dollars(direct)}, {times(direct / cost)} cheaper"
            yield Finding(f"{where}, {best.mode} costs {saving} than direct.")
        else:
            price = f"{dollars(direct)} a million against {dollars(cost)} ({best.mode})"
            yield Finding(f"{where}, direct is cheaper: {price}. A shard costs the same however little it carries.")


def _proofs(result: Result) -> Iterator[Finding]:
    ran = [one for comparison in comparisons(result) for one in comparison.ran]
    known = [one for one in ran if None not in (one.lost, one.duplicates, one.reordered)]
    clean = [one for one in known if not (one.lost or one.duplicates or one.reordered)]
    if clean and len(clean) == len(known):
        modes = listed(list(dict.fromkeys(one.mode for one in clean)))
        yield Finding(
            f"Of {sum(one.requests for one in clean):,} requests ({modes}) none was lost, doubled or reordered."
        )
