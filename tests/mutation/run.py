"""Changes of the modules that decide, at random: does a test notice?

    python tests/mutation/run.py [--seed 7] [--mutants 400] [--only wire] [--jobs 2]

Each mutant is one small change of one module (changes.py). It is imported in a process of its own, in which the
module's tests (modules.py) run; no file is touched. Those judged to change nothing that a user could see stand in
equivalent.toml, each with its reason. Fails when fewer than 95% of the others are noticed.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.mutation.changes import Edit, compiles, edits  # after the path is set
from tests.mutation.equivalent import Equivalents, entry
from tests.mutation.modules import ROOT, TESTS, module_name
from tests.mutation.noticing import chosen
from tests.mutation.trial import Ran, Run, each

ENOUGH = 0.95
PATIENCE = 6.0
"""How many times as long as the module's tests usually take a mutant's may."""
LEAST_SECONDS, LEAST_WAITING = 10.0, 60.0
"""Seconds of the processor's time, and of the clock, that any may take."""
LONGEST = 900.0
"""Seconds that the tests of a module as it is may take."""
LOG = ROOT / "build" / "mutation" / "last.log"


@dataclass(frozen=True)
class Mutant:
    """One edit of one module."""

    path: str
    text: bytes
    edit: Edit

    @property
    def title(self) -> str:
        """Where it stands."""
        return f"{self.path}:{self.edit.lines(self.text)[0]}"

    def diff(self) -> str:
        """The change, as a patch without context."""
        before, after = (one.decode().splitlines() for one in (self.text, self.edit.apply(self.text)))
        patch = list(difflib.unified_diff(before, after, n=0, lineterm=""))[3:]
        return "\n".join([f"{self.title} ({self.edit.function or 'module'})", *patch])


def sample(paths: Sequence[str], number: int, seed: int) -> list[Mutant]:
    """Mutants at random, each of another place; fewer when there are not so many places."""
    chance = random.Random(seed)
    by_place: dict[tuple[str, tuple[int, int, str]], list[Mutant]] = {}
    for path in paths:
        text = (ROOT / path).read_bytes()
        for edit in edits(text):
            by_place.setdefault((path, edit.place), []).append(Mutant(path, text, edit))
    found: list[Mutant] = []
    for place in chance.sample(sorted(by_place), len(by_place)):
        mutant = chance.choice(by_place[place])
        if len(found) < number and compiles(mutant.edit.apply(mutant.text)):
            found.append(mutant)
    return found


def usual(paths: Sequence[str], jobs: int) -> dict[str, Ran]:
    """How the tests of each module end with the module as it is, and which call what; they must pass."""
    found = {}
    for ran in each([_run(path, (ROOT / path).read_bytes(), watch=True) for path in paths], jobs, LOG):
        path = str(ran.run.path.relative_to(ROOT))
        if not ran.passed:
            raise SystemExit(f"{path}: its tests do not pass as it is (pytest: {ran.code}); see {LOG}")
        found[path] = ran
    return found


def attack(mutants: Sequence[Mutant], as_it_is: Mapping[str, Ran], jobs: int) -> Iterator[tuple[Mutant, Ran]]:
    """Each mutant with how its tests ended."""
    by_text = {(one.path, one.edit.apply(one.text)): one for one in mutants}
    runs = (
        replace(
            _run(path, text),
            seconds=max(LEAST_SECONDS, PATIENCE * as_it_is[path].seconds),
            waiting=max(LEAST_WAITING, PATIENCE * as_it_is[path].waited),
            chosen=chosen(_watched(path), mutant.edit.function),
        )
        for (path, text), mutant in by_text.items()
    )
    for ran in each(runs, jobs, LOG):
        yield by_text[str(ran.run.path.relative_to(ROOT)), ran.run.text], ran


def _run(path: str, text: bytes, watch: bool = False) -> Run:
    watched = _watched(path) if watch else None
    return Run(module_name(path), ROOT / path, text, TESTS[path], LONGEST, LONGEST, watched=watched)


def _watched(path: str) -> Path:
    return LOG.parent / f"{module_name(path)}.json"


def main() -> int:
    """Attack, and tell: 0 when enough were noticed."""
    given = _options()
    seed = random.randrange(10**6) if given.seed is None else given.seed
    paths = [path for path in TESTS if not given.only or any(part in path for part in given.only)]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    begun = time.monotonic()
    equivalents = Equivalents.read()
    mutants = sample(paths, given.mutants, seed)
    print(f"seed {seed}: {len(mutants)} mutants of {len(paths)} modules", flush=True)
    judged = [mutant for mutant in mutants if equivalents.has(mutant.path, mutant.edit, mutant.text)]
    ended = _attacked([mutant for mutant in mutants if mutant not in judged], given.jobs)
    survivors = [mutant for mutant, ran in ended if ran.passed]
    if given.entries:
        given.entries.write_text("".join(entry(one.path, one.edit, one.text) for one in survivors))
    _tell([mutant for mutant, _ in ended], judged, survivors)
    print(", ".join(f"{number} {end}" for end, number in Counter(ran.end for _, ran in ended).most_common()))
    for stale in equivalents.stale(paths):
        print(f"equivalent.toml: nothing stands in {stale} any more")
    noticed = 1 - len(survivors) / len(ended) if ended else 1.0
    print(f"{noticed:.1%} noticed of {len(ended)} that are not equivalent, in {time.monotonic() - begun:.0f} s")
    return 0 if noticed >= ENOUGH else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None, help="of the choice; another one each time by default")
    parser.add_argument("--mutants", type=int, default=400)
    parser.add_argument("--only", nargs="*", default=[], help="modules whose path has one of these in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--entries", type=Path, help="a file for the survivors, in the form of equivalent.toml")
    return parser.parse_args()


def _attacked(mutants: Sequence[Mutant], jobs: int) -> list[tuple[Mutant, Ran]]:
    """How each ended; survivors are shown at once. Interrupted, it leaves it at those so far."""
    ended: list[tuple[Mutant, Ran]] = []
    with contextlib.suppress(KeyboardInterrupt):
        as_it_is = usual(sorted({mutant.path for mutant in mutants}), jobs)
        for mutant, ran in attack(mutants, as_it_is, jobs):
            ended.append((mutant, ran))
            if ran.passed:
                print(f"SURVIVED {mutant.diff()}", flush=True)
    return ended


def _tell(attacked: Sequence[Mutant], judged: Sequence[Mutant], survivors: Sequence[Mutant]) -> None:
    total, same, alive = (Counter(one.path for one in group) for group in (attacked, judged, survivors))
    print(f"{'module':<58}{'mutants':>8}{'killed':>8}{'alive':>7}{'equivalent':>12}")
    for path in sorted(total | same):
        print(f"{path:<58}{total[path]:>8}{total[path] - alive[path]:>8}{alive[path]:>7}{same[path]:>12}")


if __name__ == "__main__":
    sys.exit(main())
