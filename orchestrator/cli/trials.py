"""`outreach test`: the tests that authors wrote beside their journeys."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from bot import router
from orchestrator.cli.folders import AlsoProjectOption
from orchestrator.cli.show import plain
from orchestrator.core.errors import OutreachError
from orchestrator.project import source
from orchestrator.project.findings import Mark, ProjectErrors
from orchestrator.project.load import load
from orchestrator.project.trials import junit
from orchestrator.project.trials.coverage import Covered, covered
from orchestrator.project.trials.forms import Trial
from orchestrator.project.trials.read import Trials, read
from orchestrator.project.trials.run import Result, passed, places, run
from orchestrator.project.trials.update import Renewed, renewed

FAILED = 1
NO_TESTS = 2

_COLOURS = {"-": typer.colors.RED, "+": typer.colors.GREEN}


def trials(
    project: Annotated[Path, typer.Argument(help="The project's folder.")] = Path(),
    only: Annotated[
        str, typer.Option("--only", "-k", help="Tests whose file or name has this in it.")
    ] = "",
    update: Annotated[
        bool, typer.Option("--update", help="Write what came into the files as what is expected.")
    ] = False,
    fail_under: Annotated[
        float | None,
        typer.Option(help="Fail if fewer percent of all steps and branches were tried."),
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML as well.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    also_project: AlsoProjectOption = None,
) -> None:
    """Live through the project's tests on a skipped clock: journeys/**/*.test.yaml.

    Nothing is sent and no database is needed. Exit code 0: all passed; 1: some did not, or too
    little was tried; 2: there is no project, or nothing in it to test.
    """
    if only and fail_under is not None:
        raise typer.BadParameter("--fail-under is about all tests: leave -k away")
    began_at = time.perf_counter()
    project = also_project or project
    files, tests, read_in, results = _lived(project, only)
    if update:
        for name in _update(project, tests, read_in, results):
            typer.echo(f"renewed: {name}", err=True)
        files, tests, read_in, results = _lived(project, only)
    coverage = covered(load(files), passed(results)) if not only else ()
    if junit_file is not None:
        junit_file.write_text(junit.report(map(_case, results)), "utf-8")
    low = fail_under is not None and _percent(coverage) < fail_under
    if json:
        typer.echo(msgspec.json.encode(_rows(results, coverage)).decode())
    else:
        _print(results, coverage, places(files) if coverage else {})
        _sum_up(results, coverage, time.perf_counter() - began_at)
    if low:
        typer.echo(f"tried too little: {fail_under:g} % were asked for", err=True)
    if low or not all(result.passed for result in results):
        raise typer.Exit(FAILED)


def _lived(folder: Path, only: str) -> tuple[dict[str, str], dict[str, str], Trials, list[Result]]:
    try:
        files, tests = source.read_folder(folder), source.read_tests(folder)
        whole = load(files)
        read_in = read(tests, whole)
    except ProjectErrors as errors:
        for found in errors.findings:
            typer.echo(str(found), err=True)
        raise typer.Exit(NO_TESTS) from None
    except OutreachError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(NO_TESTS) from None

    def wanted(mark: Mark, trial: Trial) -> bool:
        return only.lower() in f"{mark.file} {trial.test}".lower()

    results = [*run(read_in, whole, router.answer, wanted)]
    if not results:
        hint = f"none has {only!r} in it" if only else f"write journeys/hello{source.TESTS}"
        typer.echo(f"there are no tests: {hint}", err=True)
        raise typer.Exit(NO_TESTS)
    return files, tests, read_in, results


def _update(
    folder: Path, tests: dict[str, str], read_in: Trials, results: Sequence[Result]
) -> list[str]:
    """The files that are now others."""
    changed, key = [], read_in.places.key_mark
    for name, inside in groupby(results, key=lambda it: it.mark.file):
        stale = [
            Renewed(
                it.trial,
                it.mark,
                key(it.trial, "expect") if it.trial.expect is not None else None,
                it.story,
            )
            for it in inside
            if it.story is not None and it.stale
        ]
        if not stale:
            continue
        try:
            source.rewrite(folder / name, tests[name], renewed(tests[name], stale))
        except ProjectErrors as errors:
            for found in errors.findings:
                typer.echo(str(found), err=True)
            continue
        changed.append(name)
    return changed


def _print(
    results: Sequence[Result],
    coverage: Sequence[Covered],
    marks: dict[tuple[str, str], Mark],
) -> None:
    for name, inside in groupby(results, key=lambda it: it.mark.file):
        typer.secho(name, bold=True)
        for result in inside:
            _print_one(result)
    if coverage:
        typer.secho("steps and branches that were tried", bold=True)
    width = max((len(it.journey) for it in coverage), default=0)
    for it in coverage:
        colour = typer.colors.GREEN if not it.missed else typer.colors.YELLOW
        typer.echo(
            f"  {it.journey:<{width}}  {it.steps_passed:>3} of {it.steps_all:<3} steps  "
            f"{it.branches_passed:>3} of {it.branches_all:<3} branches  "
            + typer.style(f"{100 * it.share:>4.0f} %", fg=colour)
        )
        for missed in it.missed:
            mark = marks[missed.journey, missed.step]
            way = f", way {missed.way}" if missed.way else ""
            typer.echo(f"    not tried: {mark.file}:{mark.line}  {missed.step}{way}")


def _print_one(result: Result) -> None:
    sign = typer.style("✓", fg="green") if result.passed else typer.style("✗", fg="red")
    typer.echo(f"  {sign} {plain(result.trial.test)}")
    if result.passed:
        return
    typer.echo(f"      {result.mark.file}:{result.mark.line}")
    for line in _wrong(result):
        typer.secho(f"      {plain(line)}", fg=_COLOURS.get(line[:1]))


def _wrong(result: Result) -> Iterable[str]:
    """What is wrong with it: the difference, with two lines around each."""
    if result.problem:
        yield from result.problem.split("\n")
        return
    lines = result.lines
    near = {
        number + around
        for number, line in enumerate(lines)
        if line.sign != " "
        for around in (-2, -1, 0, 1, 2)
    }
    skipped = False
    for number, line in enumerate(lines):
        if number not in near:
            skipped = True
            continue
        if skipped:
            yield "  …"
        skipped = False
        yield f"{line.sign} {line.said}"
        for note in line.note.split("\n") if line.note else ():
            yield f"      {note}"


def _sum_up(results: Sequence[Result], coverage: Sequence[Covered], spent_s: float) -> None:
    failed = sum(not it.passed for it in results)
    days = sum(it.trial.until.day - 1 for it in results)
    tried = f", {_percent(coverage):.0f} % of steps and branches tried" if coverage else ""
    lasted = f"{days:,} days in {spent_s:.1f} s"
    said = f"{len(results) - failed} passed, {failed} failed{tried}: {lasted}"
    typer.secho(said, fg="red" if failed else "green", bold=True)


def _percent(coverage: Sequence[Covered]) -> float:
    whole = sum(it.steps_all + it.branches_all for it in coverage)
    missed = sum(len(it.missed) for it in coverage)
    return 100 * (whole - missed) / whole if whole else 100.0


def _case(result: Result) -> junit.Case:
    wrong = "" if result.passed else "\n".join(_wrong(result))
    mark = result.mark
    return junit.Case(mark.file, mark.line, result.trial.test, result.seconds, wrong)


def _rows(results: Sequence[Result], coverage: Sequence[Covered]) -> dict[str, Any]:
    """`tests`: file, line, test, passed, problem, lines of sign, said and note; `coverage`: by
    journey."""
    return {
        "passed": sum(it.passed for it in results),
        "failed": sum(not it.passed for it in results),
        "coverage_percent": round(_percent(coverage), 1) if coverage else None,
        "tests": [
            {
                "file": it.mark.file,
                "line": it.mark.line,
                "test": it.trial.test,
                "passed": it.passed,
                "problem": it.problem,
                "lines": [{"sign": x.sign, "said": x.said, "note": x.note} for x in it.lines],
            }
            for it in results
        ],
        "coverage": [msgspec.structs.asdict(it) for it in coverage],
    }
