"""``vtc07 simulate``: deliveries in which everything goes wrong, on a virtual clock."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import Any

import click

from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.simulation.defects import DEFECTS
from vtc07.simulation.doubles import REAL
from vtc07.simulation.exhaustive import PAIRED, Count, first_cuts, plan_of, run_pairs, run_singles
from vtc07.simulation.issued import TokenKind
from vtc07.simulation.plan import Plan, draw
from vtc07.simulation.powered import COMPANIONS, DIRECT
from vtc07.simulation.run import Run
from vtc07.simulation.shrinking import shrink
from vtc07.simulation.story import describe, tell
from vtc07.simulation.tally import Tally, first_caught, run_seeds

_CHUNK = 50  # seeds a worker takes at a time
_MOST_JOBS = 61  # as many processes as one can wait for on every system
_MOST_TOLD = 3  # failing seeds that are told as stories


@click.command(
    epilog=examples(
        "vtc07 simulate --seeds 2000",
        "vtc07 simulate --seeds 200000 --jobs 2",
        "vtc07 simulate --seed 1234",
        "vtc07 simulate --seeds 2000 --defect blind-resend",
        "vtc07 simulate --exhaustive --jobs 2",
        "vtc07 simulate --seeds 2000 --companion electricity-mode-c",
    )
)
@click.option("--seeds", type=click.IntRange(1), help="How many seeds to run; by default 1000.")
@click.option("--start", type=click.IntRange(0), default=0, show_default=True, help="First seed.")
@click.option(
    "--jobs",
    type=click.IntRange(1, _MOST_JOBS),
    default=1,
    show_default=True,
    help="Processes that share the work.",
)
@click.option(
    "--seed", type=click.IntRange(0), help="Run one seed and tell it, message by message."
)
@click.option(
    "--exhaustive",
    is_flag=True,
    help="Instead of seeds: every cut and every loss of power, for every kind of token.",
)
@click.option(
    "--companion",
    type=click.Choice(COMPANIONS),
    default=DIRECT,
    show_default=True,
    help="The meter's companion, and with it the sign-on.",
)
@click.option("--pairs", is_flag=True, help="With --exhaustive: cuts in pairs as well (long).")
@click.option(
    "--defect",
    type=click.Choice(list(DEFECTS)),
    metavar="NAME",
    help="Use a double with a deliberate defect, to see it found.",
)
@click.option(
    "--defects",
    is_flag=True,
    help="List the deliberate defects; with --seeds, and the first seed that finds each.",
)
@json_option
@click.pass_obj
def simulate(
    output: Output,
    *,
    seeds: int | None,
    start: int,
    jobs: int,
    seed: int | None,
    exhaustive: bool,
    companion: str,
    pairs: bool,
    defect: str | None,
    defects: bool,
) -> int:
    """Run deliveries with faults under one virtual clock and check that nothing false comes of it.

    Real hand-held units and real meters, with a simulated line, supply, disk and journal. Each
    seed is one run: a meter, tokens, and what goes wrong. The same seed is the same run. A seed
    that comes to a violation is made as small as it can be and told; the exit code is 1 then.
    After Ctrl-C the sums so far are printed, with the seed to go on from.
    """
    if defects:
        if seed is not None or start or exhaustive or pairs or defect:
            raise Failure("--defects lists; only --seeds, --jobs and --companion go with it")
        return _defects(output, seeds, jobs, companion)
    if defect is not None and companion != DIRECT and not DEFECTS[defect].in_mode_c:
        raise Failure(f"the defect {defect} is one of a meter with a direct line")
    if seed is not None and (seeds is not None or start or exhaustive or jobs > 1):
        raise Failure("--seed tells one run: leave out --seeds, --start, --jobs and --exhaustive")
    if pairs and not exhaustive:
        raise Failure("--pairs goes with --exhaustive")
    if exhaustive and (seeds is not None or start or defect):
        raise Failure("--exhaustive draws nothing: leave out --seeds, --start and --defect")
    if seed is not None:
        return _tell(draw(seed, companion), defect, output)
    if exhaustive:
        return _exhaustive(output, jobs=jobs, pairs=pairs, companion=companion)
    return _seeds(output, start, seeds or 1000, jobs=jobs, defect=defect, companion=companion)


# --- one seed -----------------------------------------------------------------------------------


def _tell(plan: Plan, defect: str | None, output: Output) -> int:
    parts = REAL if defect is None else DEFECTS[defect].parts
    run, story = tell(plan, parts)
    if output.as_json:
        output.document(_failure_document(plan, run, story))
    else:
        for line in (*describe(plan), *story):
            output.line(line)
        output.line(run.violation or "no violation")
    if run.violation is not None:
        raise Failure(f"seed {plan.seed} came to a violation", ExitCode.REFUSED)
    return ExitCode.DONE


def _failure_document(plan: Plan, run: Run, story: list[str]) -> dict[str, Any]:
    return {
        "seed": plan.seed,
        "violation": run.violation,
        "plan": describe(plan),
        "story": story,
    }


# --- many seeds ---------------------------------------------------------------------------------


def _seeds(
    output: Output,
    start: int,
    number: int,
    *,
    jobs: int,
    defect: str | None,
    companion: str,
) -> int:
    parts = REAL if defect is None else DEFECTS[defect].parts
    tally, ended = Tally(companion), dict[int, int]()
    began = time.perf_counter()
    interrupted = False
    chunks = (
        (first, min(_CHUNK, start + number - first), defect, companion)
        for first in range(start, start + number, _CHUNK)
    )
    with _progress(output, "seeds", number) as advance:
        try:
            for first, found in _spread(_run_chunk, chunks, jobs):
                tally.merge(found)
                ended[first] = found.runs
                advance(found.runs, len(tally.failures))
                if defect is not None and tally.failures:
                    break
        except KeyboardInterrupt:
            interrupted = True
    took = time.perf_counter() - began
    tally.failures.sort()
    to_tell = [] if interrupted else tally.failures[:_MOST_TOLD]
    if output.as_json:
        told = [_told(shrink(draw(seed, companion), parts), defect) for seed, _ in to_tell]
        output.document(_tally_document(tally, start, took, jobs) | {"told": told})
    else:
        _show(output, tally, took, jobs)
        for seed, sentence in to_tell:
            _show_failure(output, shrink(draw(seed, companion), parts), sentence, defect)
    if interrupted:
        following = start
        while following in ended:
            following += ended[following]
        raise Failure(
            f"interrupted after {tally.runs} runs, {_violations(len(tally.failures))}; "
            f"--start {following} goes on",
            ExitCode.INTERRUPTED,
        )
    if tally.failures:
        raise Failure(f"{_violations(len(tally.failures))} in {tally.runs} runs", ExitCode.REFUSED)
    return ExitCode.DONE


def _violations(number: int) -> str:
    return "1 violation" if number == 1 else f"{number} violations"


def _collect_rarely() -> None:
    """Let this process look for circles of garbage less often: a fifth of its time goes there.

    A run leaves little behind, and what the modules hold stays for good.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _begin_worker() -> None:
    """Leave Ctrl-C to the process that gave the work; it ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _collect_rarely()


def _run_chunk(first: int, number: int, defect: str | None, companion: str) -> tuple[int, Tally]:
    parts = REAL if defect is None else DEFECTS[defect].parts
    return first, run_seeds(first, number, parts, companion)


def _by_count(counts: Counter[str]) -> dict[str, int]:
    """Return counts from the greatest, in the same order whichever process was first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _show(output: Output, tally: Tally, took: float, jobs: int) -> None:
    used, rows = tally.rows
    processes = "1 process" if jobs == 1 else f"{jobs} processes"
    output.pairs(
        [
            ("runs", f"{tally.runs}"),
            ("runs a second", f"{tally.runs / took:.0f} with {processes}"),
            ("tokens executed", f"{tally.tokens_executed}"),
            ("commits", f"{tally.commits}"),
            ("losses of power", f"{tally.power_losses}"),
            ("characters", f"{tally.characters}"),
            ("time on the line", f"{tally.line_ns / 3.6e12:.1f} h"),
            ("rows of the state tables", f"{used} of {rows}"),
            ("violations", f"{len(tally.failures)}"),
        ]
    )
    output.line()
    output.table(
        ["fault", ">struck"],
        [[kind, f"{count}"] for kind, count in _by_count(tally.faults).items()],
    )
    output.line()
    output.table(
        ["reported", ">times"],
        [[words, f"{count}"] for words, count in _by_count(tally.outcomes).items()],
    )
    for row in tally.unused:
        output.line(f"not reached: {row}")


def _tally_document(tally: Tally, start: int, took: float, jobs: int) -> dict[str, Any]:
    used, rows = tally.rows
    return {
        "start": start,
        "runs": tally.runs,
        "runs_per_second": round(tally.runs / took),
        "jobs": jobs,
        "faults": _by_count(tally.faults),
        "reported": _by_count(tally.outcomes),
        "rows_used": used,
        "rows": rows,
        "rows_not_reached": tally.unused,
        "tokens_executed": tally.tokens_executed,
        "commits": tally.commits,
        "power_losses": tally.power_losses,
        "characters": tally.characters,
        "violations": [{"seed": seed, "violation": said} for seed, said in tally.failures],
    }


def _told(plan: Plan, defect: str | None) -> dict[str, Any]:
    run, story = tell(plan, REAL if defect is None else DEFECTS[defect].parts)
    return _failure_document(plan, run, story)


def _show_failure(output: Output, plan: Plan, sentence: str, defect: str | None) -> None:
    run, story = tell(plan, REAL if defect is None else DEFECTS[defect].parts)
    output.line()
    output.line(f"seed {plan.seed}: {sentence}")
    again = f"vtc07 simulate --seed {plan.seed}" + (f" --defect {defect}" if defect else "")
    again += "" if plan.companion == DIRECT else f" --companion {plan.companion}"
    output.line(f"the whole of it: {again}; here as small as it can be:")
    for line in (*describe(plan), *story):
        output.line(line)
    if run.violation is not None and run.violation != sentence:
        output.line(f"(the small one: {run.violation})")


# --- deliberate defects -------------------------------------------------------------------------


def _defects(output: Output, seeds: int | None, jobs: int, companion: str) -> int:
    found: dict[str, tuple[int, str] | None] = {}
    direct = companion == DIRECT
    defects = {name: each for name, each in DEFECTS.items() if direct or each.in_mode_c}
    if seeds is not None:
        wanted = [(name, seeds, companion) for name in defects]
        with _progress(output, "defects", len(wanted)) as advance:
            for name, caught in _spread(_find, wanted, jobs):
                found[name] = caught
                advance(1, 0)
    rows = [
        (name, defect.does, *(found.get(name) or (None, None))) for name, defect in defects.items()
    ]
    missed = [name for name, caught in found.items() if caught is None]
    if output.as_json:
        names = ("name", "does", "seed", "violation")
        output.document([dict(zip(names, row, strict=True)) for row in rows])
    elif seeds is None:
        output.table(["defect", "what it does"], [[name, does] for name, does, *_ in rows])
    else:
        shown = [["" if cell is None else f"{cell}" for cell in row] for row in rows]
        output.table(["defect", "what it does", ">seed", "found as"], shown)
    if missed:
        raise Failure(f"not found within {seeds} seeds: {', '.join(missed)}", ExitCode.REFUSED)
    return ExitCode.DONE


def _find(name: str, seeds: int, companion: str) -> tuple[str, tuple[int, str] | None]:
    return name, first_caught(DEFECTS[name].parts, seeds, companion)


# --- everything there is ------------------------------------------------------------------------


def _exhaustive(output: Output, *, jobs: int, pairs: bool, companion: str) -> int:
    kinds = list(TokenKind)
    work: list[tuple[Any, ...]] = [(kind, None, companion) for kind in kinds]
    if pairs:
        for kind in PAIRED:
            plan = plan_of(kind, executing=False, companion=companion)
            work += [(kind, cut, companion) for cut in first_cuts(plan)]
    counts = {kind: Count(kind) for kind in kinds}
    failures: list[Run] = []
    began = time.perf_counter()
    interrupted = False
    with _progress(output, "deliveries and first cuts", len(work)) as advance:
        try:
            for count, failed in _spread(_run_part, work, jobs):
                counts[count.kind] += count
                failures += failed
                advance(1, len(failures))
        except KeyboardInterrupt:
            interrupted = True
    took = time.perf_counter() - began
    total = sum(c.cuts + c.power_losses + c.pairs for c in counts.values())
    to_tell = [] if interrupted else failures[:_MOST_TOLD]
    if output.as_json:
        output.document(
            {
                "runs": total,
                "kinds": [
                    {
                        "token": c.kind.value,
                        "cuts": c.cuts,
                        "power_losses": c.power_losses,
                        "pairs": c.pairs,
                    }
                    for c in counts.values()
                ],
                "violations": [run.violation for run in failures],
                "told": [_told(run.plan, None) for run in to_tell],
            }
        )
    else:
        output.table(
            ["token", ">cuts", ">losses of power", ">pairs of cuts"],
            [
                [c.kind.value, f"{c.cuts}", f"{c.power_losses}", f"{c.pairs}"]
                for c in counts.values()
            ],
        )
        output.line(f"{total} runs in {took:.0f} s, {_violations(len(failures))}")
        for run in to_tell:
            _show_failure(output, run.plan, run.violation or "", None)
    if interrupted:
        raise Failure("interrupted: the counts are of what was done", ExitCode.INTERRUPTED)
    if failures:
        raise Failure(f"{_violations(len(failures))} in {total} runs", ExitCode.REFUSED)
    return ExitCode.DONE


def _run_part(kind: TokenKind, first: Any, companion: str) -> tuple[Count, list[Run]]:
    if first is None:
        return run_singles(kind, companion=companion)
    return run_pairs(kind, first, companion=companion)


# --- processes and progress ---------------------------------------------------------------------


def _spread(
    function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], jobs: int
) -> Iterator[Any]:
    """Give the results as they come; with more than one job from processes of their own.

    Where the results are wanted no more, what is under way is given up at once.
    """
    if jobs == 1:
        _collect_rarely()
        for each in arguments:
            yield function(*each)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin_worker)
    waiting: set[Future[Any]] = set()
    try:
        for each in arguments:
            if len(waiting) >= 2 * jobs:  # a few are ready, never all of a long run
                ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in ended)
            with _no_interrupt():  # nor in a process that is started here
                waiting.add(pool.submit(function, *each))
        while waiting:
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in ended)
    except BaseException:
        for process in active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Put Ctrl-C off, where the system can; a process started meanwhile never gets it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _progress(output: Output, what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Show how far it is, on a terminal; give what is to be told of each step."""
    if output.as_json or not sys.stderr.isatty():
        yield lambda _done, _failures: None
        return
    from rich.console import Console  # noqa: PLC0415 - on a terminal only
    from rich.progress import (  # noqa: PLC0415 - likewise
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failures]} violations"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, failures=0)
        yield lambda done, failures: bar.update(task, advance=done, failures=failures)
