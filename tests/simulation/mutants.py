"""Bugs of the protocol, each a small change of the real code: the simulation must catch every one.

    python tests/simulation/mutants.py [NAME …]

A mutant names a function (or a constant) of a module and a small edit of its source. The function must be there, and
the text that is edited must stand in it exactly once: a mutant cannot outlive the code that it changes. The edit is
made as the module is imported, in a process of its own: no file is touched.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

HERE = Path(__file__).resolve()
SEEDS = range(1, 201)
"""A bug that two hundred seeds do not show is not caught."""

FLEETS = range(10, 801, 10)
"""Seeds with fleets."""

UPLOADS = range(2, 403, 5)
"""Seeds with uploads."""

FOLD = "tidemill_consumers.core.folding.fold"
CLASSIFY = "tidemill_consumers.core.folding.classify"
MARKS = "tidemill_consumers.core.folding.marks"
WRITERS = "tidemill_consumers.core.folding.writers"
OUTCOMES = "tidemill_consumers.core.folding.outcomes"
FOLD_EMITS = "tidemill_consumers.core.folding.emits"
ASKING = "tidemill_consumers.core.calling.asking"
DELIVERIES = "tidemill_consumers.core.calling.deliveries"
ELIMINATING = "tidemill_consumers.core.calling.eliminating"
STATEMENTS = "tidemill_consumers.codec.statements"
ENTITIES = "tidemill_consumers.adapters.entities"
REMEMBERED = "tidemill_consumers.codec.entity_cache"
EMITS = "tidemill_consumers.adapters.emits"
APPLY = "tidemill_consumers.apply"
BATCH = "tidemill_consumers.core.batch"
CLAIM_CHECK = "tidemill.contract.claim_check"
UPLOADS_READ = "tidemill_consumers.adapters.content.uploads"
UPLOADS_IN_PLACE = "tidemill_consumers.codec.uploads"
COMPOSITION = "tidemill_consumers.composition"
SETTLE = "tidemill_consumers.core.settle"
QUARANTINE = "tidemill_consumers.adapters.quarantine"
PROGRESS = "tidemill_consumers.isolation.progress"
REDRIVE = "tidemill_consumers.operations.redrive"
STREAMS = "tidemill_consumers.core.streams"
TRUST = "tidemill_consumers.core.trust"
LOOKING = "tidemill_consumers.adapters.streams"
SEVERAL = "tidemill_consumers.core.several"
EMITTING = "tidemill_consumers.core.emits"
DEPTH = "tidemill_consumers.core.folding.depth"
FORGOTTEN = "tidemill_consumers.adapters.forgotten"
OBJECTS = "tidemill_consumers.adapters.content.objects"
FOLD_OBJECTS = "tidemill_consumers.core.folding.objects"
SWEEP = "tidemill_consumers.operations.sweep"
DOUBTS = "tidemill_consumers.core.folding.doubts"
CORE = "tidemill.delivery.core"
RECORDS = "tidemill.sending.records"
WIRE = "tidemill.delivery.put_records"
LANE = "tidemill.sending.lane"
SCHEDULER = "tidemill.sending.scheduler"
ATTEMPTS = "tidemill_event_source.decisions.attempts"
CHECKPOINT = "tidemill_event_source.decisions.checkpoint"
SHARD = "tidemill_event_source.decisions.shard"


@dataclass(frozen=True)
class Mutant:
    """An edit of one function, or of one constant.

    Attributes:
        function: its qualified name within the module, as `Class.method`, or the constant's name.
        old: text that stands once in the function.
        seeds: those that may show it.
        simulation: the module whose `simulate` has to notice it.
    """

    name: str
    module: str
    function: str
    old: str
    new: str
    seeds: range = SEEDS
    simulation: str = "tests.simulation.run"

    def applied(self, text: str) -> str:
        """The module's text with the edit made; exits if the function or the text within it is gone."""
        found = [node for name, node in _definitions(ast.parse(text)) if name == self.function]
        if len(found) != 1:
            raise SystemExit(f"{self.name}: {self.module} has {len(found)} definitions of {self.function}")
        lines = text.splitlines(keepends=True)
        begin, end = found[0].lineno - 1, found[0].end_lineno
        source = "".join(lines[begin:end])
        if source.count(self.old) != 1:
            raise SystemExit(f"{self.name}: its text stands {source.count(self.old)} times in {self.function}")
        return "".join([*lines[:begin], source.replace(self.old, self.new), *lines[end:]])


def _definitions(scope: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """Functions, methods and constants with their qualified names."""
    for node in scope.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield prefix + name, node
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name, node
            case ast.ClassDef(name=name):
                yield from _definitions(node, f"{prefix}{name}.")


MUTANTS = [
    Mutant(
        "a rule's BaseException passes", ASKING, "ask", "except BaseException as error:", "except Exception as error:"
    ),
    Mutant(
        "rules get the document itself",
        ASKING,
        "ask",
        "rule(document.copy(), arrival.request)",
        "rule(document, arrival.request)",
    ),
    Mutant(
        "the checksum is of what a rule left",
        WRITERS,
        "checksum",
        "zlib.crc32(arrival.encoded)",
        "zlib.crc32(repr(arrival.request).encode())",
    ),
    Mutant("deliveries are not counted", DELIVERIES, "begin", "before.begun + 1 if", "1 if"),
    Mutant(
        "the killer's neighbours are condemned",
        ELIMINATING,
        "noting",
        "            if place in condemned:\n",
        "            if any(one.sequence == place.sequence for one in condemned):\n",
    ),
    Mutant("what waits for the killer is dropped", ELIMINATING, "_untouched", "stopped=first)", "stopped=None)"),
    Mutant("the condition is dropped", STATEMENTS, "_update", " WHERE pk = ? AND ver = ?'", " WHERE pk = ?'"),
    Mutant(
        "a failed key is taken for saved",
        ENTITIES,
        "Entities._save_page",
        "            if not _is_saved(outcome)\n",
        "            if not _is_saved(outcome) and write.expected_version < 0\n",
    ),
    Mutant(
        "a call whose fate is unknown is taken for saved",
        ENTITIES,
        "Entities._not_saved",
        "return {write.key: reason for write in writes}\n",
        "return {}\n",
    ),
    Mutant(
        "sequences are compared as text",
        CLASSIFY,
        "classify",
        "if arrival.position <= marks.last:",
        "if (str(arrival.position.sequence), arrival.position.sub) <= (str(marks.last.sequence), marks.last.sub):",
    ),
    Mutant(
        "marks are kept per key and not per shard",
        MARKS,
        "MarkJournal.of",
        "mark = before.get(shard)",
        "mark = max(before.values(), key=lambda mark: mark.position, default=None)",
    ),
    Mutant(
        "the place within an aggregate is ignored",
        CLASSIFY,
        "classify",
        "arrival.position <= marks.last:",
        "arrival.position.sequence <= marks.last.sequence:",
    ),
    Mutant("marks know the shard id alone", STREAMS, "shard_of", 'return f"{stream}/{shard_id}"', "return shard_id"),
    Mutant(
        "a stream is known by its ARN alone",
        STREAMS,
        "life_text",
        'return f"{arn} {round(created * 1000)}"',
        "return arn",
    ),
    Mutant(
        "which stream it is is asked once",
        LOOKING,
        "Streams.of",
        "if known is None or first > known.seen + GAP_SECONDS or first > known.looked + KEPT_SECONDS:",
        "if known is None:",
    ),
    Mutant(
        "one stream's outcomes displace another's",
        SEVERAL,
        "has_other_streams",
        "return not {_stream_of(shard)}.issuperset(map(_stream_of, entity.marks))",
        "return False",
    ),
    Mutant(
        "what two streams cause to be emitted has one writer",
        EMITTING,
        "emitter",
        "{stream_of_shard(shard)}/{name}",
        "any/{name}",
    ),
    Mutant(
        "a seal proves whatever client it names",
        TRUST,
        "_word_of",
        "return Proof(client=made.client if is_of_proven(made) else None, is_own=True)",
        "return Proof(client=made.client, is_own=True)",
    ),
    Mutant("redeliveries are applied", CLASSIFY, "classify", "if arrival.position <= marks.last:", "if False:"),
    Mutant(
        "producers' repeats are applied",
        CLASSIFY,
        "classify",
        "    if counter > highest:\n",
        "    if counter != highest or checksum(arrival) == writers.checksum_of_highest(writer):\n",
    ),
    Mutant(
        "writers are forgotten without a note",
        WRITERS,
        "WriterJournal.after",
        "return left + now",
        "return now or left",
    ),
    Mutant(
        "receipts are dropped for what is skipped",
        FOLD,
        "_Folding._answer_again",
        "if outcome is not None and arrival",
        "if False and arrival",
    ),
    Mutant(
        "a redelivery's plain outcome is not answered",
        OUTCOMES,
        "OutcomeJournal.again",
        'return Reply(request_id, "accepted")',
        "return None",
    ),
    Mutant(
        "older redeliveries are answered as accepted",
        FOLD,
        "_Folding._take_redelivery",
        "if mark and arrival.position >= mark.since:",
        "if mark:",
    ),
    Mutant(
        "outcomes of the delivery at hand are not kept",
        OUTCOMES,
        "OutcomeJournal.after",
        "return _latest(left, self.now, max_bytes)",
        "return _latest(left, {}, max_bytes)",
    ),
    Mutant(
        "quarantine does not advance the mark",
        FOLD,
        "_Folding.take",
        "        marks.latest, marks.last = arrival, position\n",
        "        if arrival.request.cmd in self._rules:\n            marks.latest, marks.last = arrival, position\n",
    ),
    Mutant(
        "the mark passes what could not be quarantined",
        COMPOSITION,
        "save",
        "not_stored = {one.arrival.key for one in app.quarantine.store(quarantined)}",
        "not_stored = {one.arrival.key for one in app.quarantine.store(quarantined) if not one}",
    ),
    Mutant(
        "objects are stored after the save",
        COMPOSITION,
        "save",
        "    if storing := [write for write in changed if write.objects]:\n",
        "    unsaved = dict.fromkeys(not_stored) | app.entities.save(changed)\n"
        "    stored = [write for write in changed if write.key not in unsaved]\n"
        "    return unsaved | dict.fromkeys(app.objects.store(stored))\n"
        "    if storing := [write for write in changed if write.objects]:\n",
    ),
    Mutant(
        "a document is saved whose object could not be stored",
        COMPOSITION,
        "save",
        "not_stored |= app.objects.store(storing)",
        "app.objects.store(storing)",
    ),
    Mutant(
        "what earlier states named is put too",
        FOLD_OBJECTS,
        "named_by",
        "[one for name, one in objects.items() if name in names]",
        "[one for one in objects.values() if names]",
    ),
    Mutant(
        "what the state before the batch named is put",
        FOLD,
        "_Folding.entity",
        "named_by(self._document, self.objects)",
        "named_by(before.document, self.objects)",
    ),
    Mutant(
        "an object that is there is stored, however old",
        OBJECTS,
        "ObjectStore._is_young",
        "return self._clock() -",
        "return True or self._clock() -",
    ),
    Mutant(
        "a sweep deletes by name", SWEEP, "Sweep.delete", '{"Key": one.name, "VersionId": one.id}', '{"Key": one.name}'
    ),
    Mutant("a sweep takes whatever nothing names", SWEEP, "Sweep.__init__", "retention + slack", "0.0"),
    Mutant(
        "a sweep reads the first page of the table",
        SWEEP,
        "Sweep._strike",
        'if not page.get("LastEvaluatedKey"):',
        "if page:",
    ),
    Mutant(
        "what a sweep deletes is reckoned after the table was read",
        SWEEP,
        "Sweep.unnamed",
        "self._listed(old.before, digit, time)",
        "self._listed(self._clock(), digit, time)",
    ),
    Mutant(
        "bytes that could not be quarantined are not reported",
        APPLY,
        "_refuse",
        "return [*failed, *app.replies",
        "return [*app.replies",
    ),
    Mutant(
        "what is no request is answered before it is in the quarantine",
        APPLY,
        "_refuse",
        "if Position(one.position.sequence, 0) not in failed]",
        "]",
    ),
    Mutant(
        "what is no request is not answered",
        SETTLE,
        "refusals",
        "        if one.asker is not None\n",
        "        if one.asker is not None and one.asker.id is None\n",
    ),
    Mutant(
        "replies that could not be sent are not reported",
        APPLY,
        "_apply",
        "positions += [*verdict.retry_from, *app.replies.send(verdict.receipts)]",
        "app.replies.send(verdict.receipts)\n        positions += verdict.retry_from",
    ),
    Mutant(
        "failed keys are not reported",
        APPLY,
        "_apply",
        "positions += [*verdict.retry_from, *app.replies.send(verdict.receipts)]",
        "positions += app.replies.send(verdict.receipts)",
    ),
    Mutant(
        "replies leave before the commit",
        SETTLE,
        "settle",
        "done = [write for write in plan.writes if write.key not in failed_keys]",
        "done = list(plan.writes)",
    ),
    Mutant(
        "what has not begun when the time is over is not reported back",
        APPLY,
        "_in_pieces",
        "again = lowest(failed) if failed else piece.rest",
        "again = lowest(failed)",
    ),
    Mutant(
        "keys that were not begun when the time was over are not reported back",
        SETTLE,
        "settle",
        " | dict(plan.not_begun),",
        ",",
    ),
    Mutant(
        "what is noted as done is not",
        APPLY,
        "_in_pieces",
        "app.progress.note(first.shard, again)",
        "app.progress.note(first.shard, Position(again.sequence, again.sub + 1))",
    ),
    Mutant(
        "a note is taken for another record's",
        PROGRESS,
        "Progress.of",
        'if noted and noted.get("sequence") == str(sequence) else None',
        "if noted else None",
    ),
    Mutant("the highest failed sequence is reported", SETTLE, "lowest", "return min(positions", "return max(positions"),
    Mutant(
        "a conflict is planned again without loading again",
        APPLY,
        "_commit",
        "        entities, unread, left = app.entities.recall(arrival.key for arrival in pending)\n",
        "        stale = locals().get('entities', {})\n"
        "        entities, unread, left = app.entities.recall(arrival.key for arrival in pending)\n"
        "        renew = __import__('msgspec').structs.replace\n"
        "        entities = {key: renew(stale.get(key, one), version=one.version) for key, one in entities.items()}\n",
    ),
    Mutant(
        "what is remembered sends to the quarantine, though no write proves it",
        SETTLE,
        "is_proven_when_saved",
        "return is_compared_or_has_no_effect and not write.quarantine",
        "return is_compared_or_has_no_effect",
    ),
    Mutant(
        "what was recalled is not forgotten",
        REMEMBERED,
        "EntityCache.take",
        "taken = {key: held.pop(key) for key in keys if key in held}",
        "taken = {key: held[key] for key in keys if key in held}",
    ),
    Mutant(
        "follow-up requests that were not acknowledged are not reported",
        APPLY,
        "_apply",
        "        positions += app.emits.send(verdict.emits)\n",
        "        app.emits.send(verdict.emits)\n",
    ),
    Mutant(
        "a redelivery's follow-up requests are not sent again",
        FOLD,
        "_Folding._take_redelivery",
        "            self.emits.add_again(arrival)\n",
        "",
    ),
    Mutant(
        "follow-up requests are not kept",
        FOLD,
        "_Folding.entity",
        "            emits,\n",
        "            (),\n",
    ),
    Mutant(
        "follow-up requests are counted anew",
        FOLD,
        "_Folding.__init__",
        "EmitJournal(self.budget, entity.emitted, entity.emits)",
        "EmitJournal(self.budget, 0, entity.emits)",
    ),
    Mutant(
        "a lane goes on though its follow-up requests were refused",
        EMITS,
        "Emits._put",
        "one._replace(again=True)",
        "one._replace(again=False)",
    ),
    Mutant("a depth is not passed on", EMITTING, "follow_ups", "depth=cause.depth + 1,", "depth=1,"),
    Mutant("emits go round without an end", DEPTH, "counted", "request.depth <= most else None", "True else None"),
    Mutant(
        "emits end one too early", DEPTH, "counted", "arrival if request.depth <=", "arrival if request.depth + 1 <="
    ),
    Mutant(
        "a client's word of its depth counts",
        DEPTH,
        "counted",
        '(request.writer or "").startswith(REDRIVE)',
        "True",
    ),
    Mutant("what looped and is redriven is too deep again", DEPTH, "counted", "if is_emitted(request):", "if True:"),
    Mutant(
        "a redriven request's depth is as it was, however deep",
        DEPTH,
        "counted",
        "is_kept = request.depth <= most and",
        "is_kept =",
    ),
    Mutant(
        "a request is redriven under the writer that it had",
        QUARANTINE,
        "redriven",
        "(request, writer=writer, counter=1, ",
        "(request, ",
    ),
    Mutant(
        "a request is redriven as one without a writer",
        QUARANTINE,
        "redriven",
        "writer=writer, counter=1,",
        "writer=None, counter=None,",
    ),
    Mutant(
        "a redriven request's first outcome is told again",
        OUTCOMES,
        "OutcomeJournal.note",
        "if not is_usual or request_id in self.now or request_id in self.before:",
        "if not is_usual:",
    ),
    Mutant(
        "what was redriven is never moved",
        REDRIVE,
        "_redrive",
        "        elif problem := wait():\n",
        "        elif problem := wait() or 'x':\n",
    ),
    Mutant(
        "two records of a lane are on their way",
        LANE,
        "Lane.advance",
        "if self.out is None and self.full:",
        "if self.full:",
    ),
    Mutant(
        "a retry goes behind the lane's other records",
        SCHEDULER,
        "Scheduler._take_outcome",
        "            lane.retry(throttled, soon, now, until, self._chance)\n"
        "            self._giving_up.deadline = min(self._giving_up.deadline, record.deadline)\n"
        "            return\n",
        "            lane.full.append(record)\n"
        "            lane.out = None\n"
        "            self._calls.board(lane)\n"
        "            return\n",
    ),
    Mutant(
        "a refused entry is given up",
        SCHEDULER,
        "Scheduler._take_outcome",
        "if isinstance(outcome, Refused) and outcome.again:",
        "if isinstance(outcome, Refused) and outcome.again and outcome.code == 'ThrottlingException':",
    ),
    Mutant(
        "a partial failure's rest is taken for done",
        ATTEMPTS,
        "Attempts.succeeded",
        "        if done < len(batch.records):\n",
        "        if done < len(batch.records) and not done:\n",
    ),
    Mutant(
        "a re-send is not marked",
        RECORDS,
        "Record.entry",
        "self.marked_entry if self.maybe_stored else self._entry",
        "self._entry",
        FLEETS,
    ),
    Mutant(
        "a client's that retries by itself are not marked",
        WIRE,
        "Wire.entries",
        "record.marked_entry if self._repeats else record.entry",
        "record.entry",
        FLEETS,
    ),
    Mutant(
        "the spool does not note what is put",
        CORE,
        "Core._note",
        "number: one.tried or 0 for one in call.records for number in one.spooled.values()",
        "number: 0 for one in call.records[:0] for number in one.spooled.values()",
        FLEETS,
    ),
    Mutant(
        "the first attempt is by the client's clock, which is two hours fast",
        SCHEDULER,
        "Scheduler.next_call",
        "self._clock.at(now)",
        "self._clock.at(now) + 7_200_000",
        FLEETS,
    ),
    Mutant(
        "a mark tells of the last attempt",
        SCHEDULER,
        "Scheduler.next_call",
        "            if record.tried is None:\n",
        "            if True:\n",
        FLEETS,
    ),
    Mutant(
        "an overtaken delivery's follow-up requests are not marked",
        EMITS,
        "Emits.send",
        "maybe_stored=True",
        "maybe_stored=False",
        FLEETS,
    ),
    Mutant(
        "what was forgotten is not noted",
        FOLD,
        "_Folding._fitting",
        "max(entity.forgotten, until)",
        "entity.forgotten",
        FLEETS,
    ),
    Mutant(
        "forgotten writers are not put into the table",
        COMPOSITION,
        "save",
        "app.forgotten.keep(forgetting)",
        "set()",
        FLEETS,
    ),
    Mutant(
        "what could not be put into the table is saved as forgotten",
        COMPOSITION,
        "save",
        "not_stored |= app.forgotten.keep(forgetting)",
        "app.forgotten.keep(forgetting)",
        FLEETS,
    ),
    Mutant(
        "forgotten writers are put into the table after the save",
        COMPOSITION,
        "save",
        "        not_stored |= app.forgotten.keep(forgetting)\n"
        "        changed = [write for write in changed if write.key not in not_stored]\n"
        "    return dict.fromkeys(not_stored) | app.entities.save(changed)\n",
        "        unsaved = dict.fromkeys(not_stored) | app.entities.save(changed)\n"
        "        saved = [write for write in forgetting if write.key not in unsaved]\n"
        "        return dict.fromkeys(app.forgotten.keep(saved)) | unsaved\n"
        "    return dict.fromkeys(not_stored) | app.entities.save(changed)\n",
        FLEETS,
    ),
    Mutant(
        "a re-send finds itself in the table, as its save failed",
        WRITERS,
        "WriterJournal.note",
        "if arrival.tried is not None:",
        "if False:",
        FLEETS,
    ),
    Mutant(
        "only the batch's own shard is asked",
        DOUBTS,
        "_question",
        "tuple(dict.fromkeys((*entity.marks, arrival.shard)))",
        "(arrival.shard,)",
        FLEETS,
    ),
    Mutant(
        "one page of the table is read",
        FORGOTTEN,
        "ForgottenWriters._pages",
        'if not answer.get("LastEvaluatedKey"):',
        "if True:",
        FLEETS,
    ),
    Mutant(
        "the table is asked about what it may have deleted",
        DOUBTS,
        "doubts",
        " or question.since < oldest",
        "",
        FLEETS,
    ),
    Mutant(
        "it is applied when it cannot be told",
        CLASSIFY,
        "_of_resent",
        'return "cannot be told"',
        'return "new"',
        FLEETS,
    ),
    Mutant(
        "what is surely new is quarantined",
        CLASSIFY,
        "is_doubtful",
        "0.0 < writers.forgotten >= arrival.tried",
        "0.0 < writers.forgotten",
        FLEETS,
    ),
    Mutant(
        "a first attempt that comes after its re-send is taken for new",
        WRITERS,
        "WriterJournal.after",
        "                counter |= AWAITED\n",
        "                pass\n",
        FLEETS,
    ),
    Mutant(
        "writers whose first attempt may yet come are put where nobody looks for them",
        FORGOTTEN,
        "ForgottenWriters.keep",
        "(*_parts(every), *_parts(awaited_of(every)))",
        "_parts(every)",
        FLEETS,
    ),
    Mutant(
        "copies of what cannot be told are applied",
        WRITERS,
        "WriterJournal.note_untold",
        "        self.note(writer, counter, arrival)\n",
        "        return\n",
        FLEETS,
    ),
    Mutant(
        "S3's own failure quarantines the request",
        UPLOADS_READ,
        "Uploads._read",
        """                return UNREADABLE[code]
            self._troubles.note(ref.object, error)
""",
        """                return UNREADABLE[code]
            return code
""",
        UPLOADS,
    ),
    Mutant(
        "an upload whose answer was lost is taken for none",
        UPLOADS_READ,
        "Uploads._read",
        """  # no answer, or one that cannot be read
            self._troubles.note(ref.object, error)
""",
        """
            return GONE
""",
        UPLOADS,
    ),
    Mutant(
        "a ref of another's prefix is read",
        CLAIM_CHECK,
        "problem_of",
        "if ref.object != upload_name(request.client, digest):",
        "if False:",
        UPLOADS,
    ),
    Mutant(
        "the hash of an upload is not compared",
        CLAIM_CHECK,
        "read_data",
        """if sha256(found).hexdigest() != ref.object.rpartition("/")[2]:""",
        "if False:",
        UPLOADS,
    ),
    Mutant(
        "later requests of a key go on while its upload cannot be read",
        UPLOADS_IN_PLACE,
        "redeemed",
        """            held.add(one.key)
""",
        "",
        UPLOADS,
    ),
    Mutant(
        "uploads that could not be read are not reported",
        APPLY,
        "_in_pieces",
        """        failed += unread
""",
        "",
        UPLOADS,
    ),
    Mutant(
        "a copy whose upload is gone is quarantined, though the request was applied",
        FOLD,
        "_Folding.take",
        "kind = classify(arrival, self.marks, self.writers, self.outcomes)",
        'kind = "new" if arrival.request.ref else classify(arrival, self.marks, self.writers, self.outcomes)',
        UPLOADS,
    ),
    Mutant(
        "a request that is planned again has lost its upload",
        BATCH,
        "fresh",
        "if isinstance(arrival.upload, bytes):",
        "if False:",
        UPLOADS,
    ),
    Mutant(
        "the checkpoint passes what is not done",
        CHECKPOINT,
        "Progress.checkpoint",
        "after = first.before if first else self.last\n",
        "after = self.last\n",
    ),
    Mutant(
        "children are read before their parents are drained",
        SHARD,
        "readable",
        "if shard not in drained and all(parent in drained or parent not in shards for parent in parents)",
        "if shard not in drained",
    ),
    Mutant(
        "a merged shard is read when one of its parents is drained",
        SHARD,
        "readable",
        "and all(parent in drained or parent not in shards for parent in parents)",
        "and (not parents or any(parent in drained or parent not in shards for parent in parents))",
    ),
]


def every_mutant() -> list[Mutant]:
    """All of them, those of the functions on events and of the analytics stage included."""
    sys.path.insert(0, str(HERE.parents[2]))
    from tests.simulation.photos.mutants import MUTANTS as OF_PHOTOS
    from tests.simulation.staging.mutants import MUTANTS as OF_STAGE

    return [*MUTANTS, *OF_PHOTOS, *OF_STAGE]


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module with the mutant's change made to its text."""

    mutant: Mutant

    def get_data(self, path: str) -> bytes:
        return self.mutant.applied(super().get_data(path).decode()).encode()

    def get_code(self, fullname: str) -> CodeType:
        # Not from the cache, which holds the module as it is.
        return compile(self.get_data(self.path), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{self._mutant.name}: no module {fullname}")
        loader = _Loader(fullname, spec.origin)
        loader.mutant = self._mutant
        return importlib.util.spec_from_loader(fullname, loader)


def attack(name: str) -> int:
    """In a process of its own: the simulation with the mutant; 0 when it was caught."""
    mutant = next(one for one in every_mutant() if one.name == name)
    sys.meta_path.insert(0, _Finder(mutant))
    simulate = importlib.import_module(mutant.simulation).simulate
    for seed in mutant.seeds:
        result = simulate(seed)
        if not result.holds:
            print(f"seed {seed}: {result.summary}")
            return 0
    print("survived")
    return 1


def main(names: Sequence[str]) -> int:
    """Attack with all mutants, or those named; 0 when all are caught."""
    wanted = [one.name for one in every_mutant() if not names or any(part in one.name for part in names)]
    begun = time.monotonic()

    def run(name: str) -> bool:
        command = [sys.executable, str(HERE), "--attack", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        caught = done.returncode == 0
        said = (done.stdout + done.stderr).strip().splitlines() or ["no word"]
        print(f"{'caught' if caught else 'SURVIVED':<9} {name}: {said[-1]}", flush=True)
        return caught

    with ThreadPoolExecutor(2) as workers:
        caught = list(workers.map(run, wanted))
    print(f"caught {sum(caught)}/{len(caught)} in {time.monotonic() - begun:.0f} s")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--attack"]:
        sys.exit(attack(sys.argv[2]))
    sys.exit(main(sys.argv[1:]))
