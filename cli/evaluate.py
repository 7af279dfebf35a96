"""Score a model on benchmarks of code."""

import fnmatch
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from starmill.cli import options
from starmill.core.errors import InputError, NotThere, UsageError
from starmill.core.files import read_small, refuse_below_file, write
from starmill.core.terminal import say, seldom

if TYPE_CHECKING:
    from starmill.evaluation.run.classify import Classifier
    from starmill.evaluation.run.generate import Decoding, Model
    from starmill.evaluation.run.run import Loaded
    from starmill.evaluation.run.samples import Sample
    from starmill.evaluation.task import Task

SPECIAL = re.compile(r"<[^<>\s{}]+>")  # a text of a chat template that may be a special token
MAX_RESULT = 1 << 30  # bytes of results.json


def evaluate(
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="Folder of a model, ours or one that transformers loads; with --endpoint, its name there."
        ),
    ] = None,
    task_names: Annotated[
        list[str] | None, typer.Option("--tasks", help="Names or patterns, with commas or several times; see --list.")
    ] = None,
    benchmarks: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the files of benchmarks.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1.")
    ] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="Ask by messages, as the model's chat template writes them, for whole programs.")
    ] = False,
    held_out_files: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Files of your own, for the tasks held_out_fim and held_out_likelihood."),
    ] = None,
    solutions: Annotated[
        Literal["canonical", "mutant"] | None, typer.Option(help="Judge no model, but the right answers, or wrong ones.")
    ] = None,
    score: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge the generations of another harness: a list of lists of texts, as JSON."),
    ] = None,
    samples_only: Annotated[bool, typer.Option("--samples-only", help="Ask the model, and execute nothing.")] = False,
    list_tasks: Annotated[bool, typer.Option("--list", help="Name the tasks and their files, and stop.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, max=10**6, help="Only so many first problems of each task.")] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, max=10**4, help="Samples of each problem (default: the task's).")
    ] = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    max_new_tokens: options.MaxNewTokens = None,
    seed: options.Seed = 0,
    batch: Annotated[
        int, typer.Option(min=1, max=4096, help="Rows that the model writes at once, or requests under way.")
    ] = 16,
    dtype: Annotated[Literal["stored", "float32", "bfloat16"], typer.Option(help="Of the weights in memory.")] = "stored",
    device: options.Device = None,
    workers: options.Workers = None,
    folder: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where samples, results and the page go.")] = Path(
        "runs/evaluation"
    ),
    any_version: Annotated[
        bool, typer.Option("--any-version", help="Take files of other versions than the known; the result says so.")
    ] = False,
    python: Annotated[
        str,
        typer.Option(metavar="PATH", help="Python that executes solutions, of an environment with the libraries of a task."),
    ] = sys.executable,
    classifier: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Model of transformers that classifies sentences: of regard, sentiment or toxicity."),
    ] = None,
    unsafe: options.Unsafe = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Score a model on benchmarks of code, judged in a sandbox; a run that was stopped goes on where it was."""
    from starmill.evaluation.tasks import TASKS
    from starmill.evaluation.tasks.held_out import tasks as of_folder

    if list_tasks:
        known = [{"task": t.name, "about": t.about, "files": list(t.files), "source": t.source} for t in TASKS.values()]
        width = max(map(len, TASKS))
        options.show(as_json, known, (f"{t.name:<{width}}  {t.about}  [{', '.join(t.files)}]" for t in TASKS.values()))
        return
    if [subject is not None, solutions is not None, score is not None].count(True) != 1:
        raise UsageError("evaluate: give one of MODEL, --solutions or --score; or --list")
    refuse_below_file("--output", folder)
    with options.needs("trainer"), options.files():
        from starmill.evaluation.run import run
        from starmill.evaluation.run.chat import MOST
        from starmill.evaluation.sandbox.judge import Judge, installed

        known_tasks = TASKS | ({task.name: task for task in of_folder(held_out_files)} if held_out_files is not None else {})
        chosen = _chosen(task_names, known_tasks)
        wanted_tasks = chosen if samples_only else _judged_here(chosen, solutions)
        named = {name.strip() for one in task_names or [] for name in one.split(",")}
        loaded = _there(wanted_tasks, named, lambda task: run.load(task, benchmarks, limit, any_version))
        if chat and (other := [one.task.name for one in loaded if not all(problem.whole for problem in one.problems)]):
            raise UsageError(f"--chat asks for whole programs, and {other[0]} judges no such; give other tasks")
        if score is not None and len(loaded) > 1:
            raise UsageError(f"--score {score}: generations are of one task; give one with --tasks")
        asked = _model(subject, endpoint, batch, dtype, device, chat) if subject is not None else None
        tell = seldom(quiet)
        found: list[tuple[Path, Any, list[Sample], dict[str, Any]]] = []
        for one in loaded:
            decoding = run.decoding_of(one.task, seed, temperature, top_p, max_new_tokens)
            if chat:  # a reply ends itself, and has words beside its program
                longest = max(decoding.max_new_tokens, MOST) if max_new_tokens is None else max_new_tokens
                decoding = replace(decoding, stops=(), max_new_tokens=longest)
            if asked is not None:
                each = 1 if decoding.temperature == 0 and samples is None else samples or one.task.samples
                place, made = run.generated(one, asked, decoding, each, folder, tell)
                key = _key(asked, decoding)
            elif solutions is not None:
                place, made, key = folder / one.task.name / solutions, run.of_solutions(one, solutions), {"model": solutions}
            else:
                assert score is not None
                one, made = run.of_generations(one, run.generations(score, one))
                place, key = folder / one.task.name / "scored", {"model": f"generations of {score.name}"}
            found.append((place, one, made, key))
        if samples_only:
            places = [{"task": one.task.name, "samples": str(place / "samples.jsonl")} for place, one, _, _ in found]
            options.show(as_json, places, (f"{row['task']}: {row['samples']}" for row in places))
            return
        results = []
        reads = _classifier(classifier, device)
        there = installed(python, sorted({name for one in loaded for name in one.task.libraries}))
        with Judge(workers or os.cpu_count() or 1, [*there], unsafe, python) as judge:
            for place, one, made, key in found:
                result = run.judged(
                    one, made, judge, seed, key, score is not None, tell, reads.probabilities if reads else None, chat
                )
                if reads is not None and one.task.classified:
                    result["key"]["classifier"] = reads.identity
                result["versions"] |= {name: there[name] for name in one.task.libraries if there.get(name)}
                if absent := [name for name in one.task.libraries if name not in there]:
                    result["warnings"].append(f"not installed: {', '.join(absent)}; problems that import one fail")
                result["results"] = str(run.publish(place, result))
                results.append(result)
        texts = [_texts(one, made) for _, one, made, _ in found]
        _show(results, texts, folder, as_json)


def compare(
    first: Annotated[Path, typer.Argument(help="A results.json.")],
    second: Annotated[Path, typer.Argument(help="Another, of the same task.")],
    as_json: options.Json = False,
) -> None:
    """Compare two results of one task, problem by problem, and say whether the difference may be chance (McNemar)."""
    from starmill.evaluation.passk import mcnemar

    with options.files():
        a, b = _passed(first), _passed(second)
    if a["task"] != b["task"] or a["digest"] != b["digest"]:
        raise InputError(
            f"{second}: {b['task']} of other problems or tests than {first}; give results of one task and its files"
        )
    shared = [name for name in a["passed"] if name in b["passed"]]
    if not shared:
        raise InputError(f"{second}: no problem of {first}; give results of the same problems")
    one, two, p = mcnemar([a["passed"][n] for n in shared], [b["passed"][n] for n in shared])
    told = {"task": a["task"], "problems": len(shared), "only_first": one, "only_second": two, "p": p}
    lines = [
        f"{a['task']}, {len(shared):,} problems (the first sample of each)",
        f"only the first passes {one:,}, only the second {two:,}",
    ]
    options.show(as_json, told, [*lines, f"p = {p:.4f} (McNemar, exact, two-sided)"])


def _passed(place: Path) -> dict[str, Any]:
    try:
        result = json.loads(read_small(place, MAX_RESULT))
        firsts = {row["problem"]: bool(row.get("passed", False)) for row in reversed(result["outcomes"])}
        return {"task": result["task"], "digest": result["key"]["task"], "passed": firsts}
    except (ValueError, LookupError, TypeError):
        raise InputError(f"{place}: no result; give the results.json that `starmill evaluate` wrote") from None


def _chosen(tasks: Sequence[str] | None, known: "dict[str, Task]") -> "list[Task]":
    patterns = [name.strip() for one in tasks or [] for name in one.split(",") if name.strip()]
    if not patterns:
        raise UsageError("--tasks: none given; `starmill evaluate --list` names them")
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise UsageError(f"--tasks {pattern!r:.100}: no such task; `starmill evaluate --list` names them")
    return [task for name, task in known.items() if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _judged_here(tasks: "list[Task]", solutions: str | None) -> "list[Task]":
    """Return the tasks that can be judged: whose programs this machine runs, with solutions where those are asked for; name the others.

    Raises UsageError where none is left.
    """
    from starmill.evaluation.sandbox import programs

    reasons = {task.name: programs.absent(task.language) for task in tasks if task.language != "python"}
    if solutions is not None:
        reasons |= {task.name: f"its files have no solutions, for --solutions {solutions}" for task in tasks if not task.solved}
    for name, reason in reasons.items():
        if reason:
            say(f"{name}: not scored: {reason}", to=sys.stderr)
    if found := [task for task in tasks if not reasons.get(task.name)]:
        return found
    raise UsageError(f"--tasks: {next(filter(None, reasons.values()))}; give other tasks")


def _there(tasks: "list[Task]", named: set[str], load: "Callable[[Task], Loaded]") -> "list[Loaded]":
    """Return the tasks with their problems; of those that only a pattern names, one without its files is said, and left out."""
    found = []
    for task in tasks:
        try:
            found.append(load(task))
        except NotThere as error:
            if task.name in named or len(tasks) == 1:
                raise
            say(f"{task.name}: not scored: {error}", to=sys.stderr)
    if not found:
        raise UsageError("--tasks: the files of none are there; give --benchmarks, and see --list")
    return found


def _model(model: str, endpoint: str | None, batch: int, dtype: str, device: str | None, chat: bool) -> "Model":
    from starmill.evaluation.run.chat import Chat
    from starmill.evaluation.run.folder import model_of

    if endpoint is not None:
        from starmill.evaluation.run.endpoint import Endpoint

        server = Endpoint(endpoint, model, batch, chat=chat)
        return Chat(server) if chat else server
    if not chat:
        return model_of(Path(model), batch, dtype, device, chat)
    from starmill.model.template import of_folder

    if (template := of_folder(Path(model))) is None:
        raise InputError(f"{model}: no chat template; leave out --chat, or give a model that has one")
    found = model_of(Path(model), batch, dtype, device, chat)
    has = getattr(found.tokenizer, "has", None)  # transformers finds special tokens in texts by itself
    special = {text for text in [*SPECIAL.findall(template.text), *template.tokens.values()] if has and has(text)}
    end = tuple(filter(None, [template.tokens.get("eos_token", "")]))
    return Chat(
        found, lambda text: template.render([{"role": "user", "content": text}], asks=True), tuple(sorted(special)), end
    )


def _classifier(folder: Path | None, device: str | None) -> "Classifier | None":
    if folder is None:
        return None
    from starmill.evaluation.run.classify import Classifier

    return Classifier(folder, device)


def _key(model: "Model", decoding: "Decoding") -> dict[str, Any]:
    return {**model.identity, **{name: value for name, value in asdict(decoding).items() if name != "sentinels"}}


def _texts(one: Any, made: "Sequence[Sample]") -> list[tuple[str, Any, list[str]]]:
    texts: dict[str, list[str]] = {}
    for sample in made:
        texts.setdefault(sample.problem, []).append(sample.text)
    return [(problem.name, problem.prompt, texts.get(problem.name, [])) for problem in one.problems]


def _show(results: list[dict[str, Any]], texts: list[list[tuple[str, Any, list[str]]]], output: Path, as_json: bool) -> None:
    from starmill.reports.evaluation import page, rows

    place = output / "evaluation.html"
    write(place, page([*zip(results, texts, strict=True)]).encode("utf-8", "backslashreplace"))
    brief = [{name: value for name, value in one.items() if name != "outcomes"} for one in results]
    table = rows(results)
    widths = [max(len(row[column]) for row in table) for column in (0, 1)]
    lines = [f"{task:<{widths[0]}}  {metric:<{widths[1]}}  {value}" for task, metric, value in table]
    warned = [f"{one['task']}: {said}" for one in results for said in one["warnings"]]
    options.show(
        as_json, {"tasks": brief, "page": str(place)}, [*lines, *warned, f"{place} has each prompt, completion and verdict"]
    )
