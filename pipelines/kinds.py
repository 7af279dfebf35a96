"""The kinds of records, and which steps measure, decide and clean the records of each: the method section of a data set.

Steps do not know kinds; kinds choose steps. No stage imports this module: the recipe gives each stage the steps of each kind, and a
part's key counts the steps of its own kinds only. So a change of one kind's row remakes no part without records of that kind.

Deduplication, malware, decontamination, redaction and the lists of opt-outs are given to kinds as table 3 of StarCoder2's paper gives them;
commits, which StarCoder had, and text that a model rewrote have the lists too, and the latter is scanned as code is.
Names and passwords are found where `release.redact.model` names a model. User names: the sources of threads and questions mask the people
who take part, and `Redact` those whom they mention, in these three kinds (section 3.2: a counter).
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pyarrow as pa

from starmill.core.document import CODE, Document
from starmill.core.names import OneOf, Place
from starmill.pipelines import benchmarks, opt_outs
from starmill.pipelines.opt_outs import OptOutList
from starmill.transforms.clean.decontaminate import Decontaminate
from starmill.transforms.clean.malware import Malware
from starmill.transforms.clean.overlap.index import Matchers
from starmill.transforms.clean.redact import Redact
from starmill.transforms.clean.seeds import Seeds
from starmill.transforms.clean.typecheck import TypeCheck
from starmill.transforms.decide.answers import Answers
from starmill.transforms.decide.commits import CommitRules
from starmill.transforms.decide.licenses import KeepLicensed
from starmill.transforms.decide.optout import OptOut
from starmill.transforms.decide.parents import HasParent
from starmill.transforms.decide.pulls import Pulls
from starmill.transforms.decide.quality import Quality
from starmill.transforms.decide.signals import Signals
from starmill.transforms.decide.threads import Threads
from starmill.transforms.measure.comments import Comments
from starmill.transforms.measure.commits import ChangedLanguage
from starmill.transforms.measure.encoded import ScoredByEncoder
from starmill.transforms.measure.html import VisibleText
from starmill.transforms.measure.language import DetectLanguage
from starmill.transforms.measure.licenses import Licenses
from starmill.transforms.measure.marks import MarkedLicenses
from starmill.transforms.measure.notebooks import StatedLanguage
from starmill.transforms.measure.score import Score, Scored
from starmill.transforms.measure.syntax import Syntax
from starmill.transforms.measure.text import Text
from starmill.transforms.render import answers, code, commits, ir, issues, notebooks, prose, pulls
from starmill.transforms.step import PartStep, Step


@dataclass(frozen=True)
class Measure:
    """What is measured of each record: the options of the steps that add columns."""

    licenses: Licenses = Licenses()
    text: Text = Text()
    syntax: Syntax | None = None  # errors of syntax, of code; null: not measured
    comments: Comments | None = None  # the share of comments, of code; null: not measured
    score: Score | None = None  # what a trained scorer makes of each text; null: not measured

    @property
    def parsed(self) -> tuple[Syntax, ...]:
        """The step that parses; none where the recipe has none."""
        return (self.syntax,) if self.syntax is not None else ()

    @property
    def commented(self) -> tuple[Comments, ...]:
        """The step that looks for comments; none where the recipe has none."""
        return (self.comments,) if self.comments is not None else ()

    @functools.cached_property  # lies in the instance: the steps of all kinds come from one reading
    def scored(self) -> tuple[Scored | ScoredByEncoder, ...]:
        """The step that scores; none without a scorer. Raises NotThere, InputError or MachineError."""
        return (self.score.step(),) if self.score is not None else ()


@dataclass(frozen=True)
class Curate:
    """What is kept: the rules over the columns."""

    opt_out: tuple[OptOutList, ...] = ()  # dated lists of who and what is not to be trained on
    licenses: KeepLicensed = KeepLicensed()
    quality: Quality = Quality()
    signals: Signals = (
        Signals()
    )  # thresholds on what measure.syntax and measure.score found; over code, scripts, Stack Overflow
    threads: Threads = Threads()  # over issues
    pulls: Pulls = Pulls()  # over pull requests
    commits: CommitRules = CommitRules()  # over commits
    answers: Answers = Answers()  # over Stack Overflow

    def opted_out(self, records: Literal["files", "threads", "commits"] = "files") -> tuple[OptOut, ...]:
        """Return the step of the lists; none without a list. Raises NotThere or InputError, naming file and line."""
        return (replace(self._opt_out, records=records),) if self.opt_out else ()

    @functools.cached_property  # lies in the instance: the steps of all kinds come from one reading
    def _opt_out(self) -> OptOut:
        return opt_outs.read(self.opt_out)


@dataclass(frozen=True)
class Release:
    """What is taken out of the texts that dedup kept.

    `benchmarks`: files of benchmarks whose texts must not be trained on: JSON lines, JSON or Parquet, also compressed. Of each the
    fields tell what it is; `mbpp=PLACE` says so, and `mine.yaml=PLACE` describes one of your own. A bare name (`smoke`) ships.
    """

    malware: Malware = Malware()  # scanned for where a socket of clamd is named
    benchmarks: tuple[Place, ...] = ()  # paths, URLs or shipped names
    matchers: Matchers = Matchers()  # how a text is compared with them
    contaminated: Literal["drop", "cut"] = "drop"  # what goes: the file, or what of it is a benchmark's
    redact: Redact = Redact()
    seeds: Seeds = Seeds()  # which documented functions stay
    type_check: TypeCheck | None = None  # of documented functions in Python, by pyright; null: none

    @property
    def scanned(self) -> tuple[Malware, ...]:
        """The step that asks clamd; none where the recipe names no socket."""
        return (self.malware,) if self.malware.socket is not None else ()

    @property
    def typed(self) -> tuple[TypeCheck, ...]:
        """The step that checks types; none where the recipe has none."""
        return (self.type_check,) if self.type_check is not None else ()

    def decontaminate(self) -> Decontaminate:
        """Compile the benchmark files into the step. Raises NotThere or InputError, naming the file, the line and the field."""
        return Decontaminate(benchmarks.index(self.benchmarks), self.matchers, self.contaminated)


@dataclass(frozen=True)
class Sections:
    """The sections of a recipe that depend on the kind of record; `kinds` in a recipe replaces values of them for one kind."""

    measure: Measure = Measure()
    curate: Curate = Curate()
    release: Release = Release()

    def __post_init__(self) -> None:
        """Raise ValueError for a rule over what is not measured."""
        if missing := set(self.curate.quality.autogenerated.phrases) - set(self.measure.text.phrases):
            raise ValueError(
                f"curate.quality.autogenerated.phrases={sorted(missing)}: not looked for; name them in measure.text.phrases too"
            )
        signals, measured = self.curate.signals, self.measure
        if "comments" in self.curate.quality.rules and measured.comments is None:
            raise ValueError(
                "curate.quality.rules: comments: nothing is measured that it could decide by; give measure.comments too"
            )
        for rule, by, measures in (
            (signals.syntax_errors, "syntax", measured.syntax),
            (signals.low_score, "score", measured.score),
        ):
            if rule is not None and measures is None:
                raise ValueError(
                    f"curate.signals.{rule.name}: nothing is measured that it could decide by; give measure.{by} too"
                )


@dataclass(frozen=True)
class Kind:
    """A row of the table. Its functions take a section of the recipe, and return the steps in the order in which they run.

    `sentinels`: the special tokens of its renderer in a format that are not StarCoder2's. A tokenizer that is trained on such records has
    them.
    """

    measure: Callable[[Measure], tuple[Step | PartStep, ...]]
    decide: Callable[[Curate], tuple[Step, ...]]
    clean: Callable[[Release], tuple[Step, ...]]
    render: Callable[[Iterable[pa.RecordBatch], code.Format], Iterator[Document]]
    dedup: Literal["near", "exact", "none"] = "near"  # near duplicates are removed and exact ones, only exact ones, or neither
    sentinels: Callable[[code.Format], tuple[str, ...]] = lambda _: ()


def _of_talk(on: Release) -> Redact:
    """Return the redaction of what people say to each other: whom they mention goes too, unless the recipe says that it stays."""
    return replace(on.redact, mentions=on.redact.mentions is not False)


KINDS = {
    CODE: Kind(
        measure=lambda on: (on.licenses, DetectLanguage(), on.text, VisibleText(), *on.parsed, *on.commented, *on.scored),
        decide=lambda on: (*on.opted_out(), on.licenses.step(), *on.quality.steps(), *on.signals.steps()),
        clean=lambda on: (*on.scanned, on.decontaminate(), on.redact),
        render=code.documents,
        sentinels=code.sentinels,
    ),
    # These three are made by ingest, where the recipe wants them; they are deduplicated, decontaminated and redacted as code is.
    "notebook": Kind(
        measure=lambda on: (on.licenses, StatedLanguage(), on.text, *on.scored),
        decide=lambda on: (*on.opted_out(), on.licenses.step()),
        clean=lambda on: (*on.scanned, on.decontaminate(), on.redact),
        render=notebooks.turns,
    ),
    "notebook_script": Kind(
        measure=lambda on: (on.licenses, StatedLanguage(), on.text, *on.parsed, *on.scored),
        decide=lambda on: (*on.opted_out(), on.licenses.step(), *on.signals.steps()),
        clean=lambda on: (*on.scanned, on.decontaminate(), on.redact),
        render=notebooks.scripts,
    ),
    # It compiles as Python, so that no error of syntax is looked for, and what is said of its data is no Python.
    "kaggle": Kind(
        measure=lambda on: (on.licenses, StatedLanguage(), on.text, *on.scored),
        decide=lambda on: (on.licenses.step(), *replace(on.signals, syntax_errors=None).steps()),
        clean=lambda on: (*on.scanned, on.decontaminate(), on.redact),
        render=notebooks.described,
    ),
    "issue": Kind(
        measure=lambda on: (on.text, *on.scored),
        decide=lambda on: (*on.opted_out("threads"), on.threads),
        clean=lambda on: (*on.scanned, on.decontaminate(), _of_talk(on)),
        render=issues.documents,
    ),
    # It shows code, so its repository's licence holds for it (section 2.3): what GHArchive tells, for its record has no file of a licence.
    "pull_request": Kind(
        measure=lambda on: (on.licenses, on.text, *on.scored),
        decide=lambda on: (*on.opted_out("threads"), on.licenses.step(), on.pulls),
        clean=lambda on: (*on.scanned, on.decontaminate(), _of_talk(on)),
        render=pulls.documents,
    ),
    "commit": Kind(
        measure=lambda on: (ChangedLanguage(), on.text, *on.scored),
        decide=lambda on: (*on.opted_out("commits"), on.quality.languages, on.commits),
        clean=lambda on: (on.decontaminate(), on.redact),
        render=commits.documents,
        sentinels=lambda _: commits.TOKENS,
    ),
    "stackoverflow": Kind(
        measure=lambda on: (on.text, *on.scored),
        # The paper's own classifier is not published; a scorer takes its place where the recipe has one (docs/signals.md).
        decide=lambda on: (on.answers, *replace(on.signals, syntax_errors=None).steps()),
        clean=lambda on: (on.decontaminate(), _of_talk(on)),
        render=answers.documents,
        dedup="none",
    ),
    "arxiv": Kind(
        measure=lambda on: (on.text, *on.scored),
        decide=lambda on: (),
        clean=lambda on: (replace(on.redact, ip_addresses=False, keys=False, model=None),),
        render=prose.documents,
        dedup="none",
    ),
    "wikipedia": Kind(
        measure=lambda on: (on.text, *on.scored),
        decide=lambda on: (),
        clean=lambda on: (replace(on.redact, emails=False, ip_addresses=False, keys=False, model=None),),
        render=prose.documents,
        dedup="none",
    ),
    # Small sets are read, and nothing else: equal rows stay too, and table 3 takes nothing out of their texts.
    "lhq": Kind(
        measure=lambda on: (),
        decide=lambda on: (),
        clean=lambda on: (replace(on.redact, emails=False, ip_addresses=False, keys=False, model=None),),
        render=prose.documents,
        dedup="none",
    ),
    "openwebmath": Kind(
        measure=lambda on: (),
        decide=lambda on: (),
        clean=lambda on: (on.decontaminate(), replace(on.redact, ip_addresses=False, passwords=False, usernames=False)),
        render=prose.documents,
        dedup="none",
    ),
    # Text that a model rewrote is no longer what its parent was, and passes what code passes.
    "rewritten": Kind(
        measure=lambda on: (on.text, *on.scored),
        decide=lambda on: (*on.opted_out(), HasParent()),
        clean=lambda on: (*on.scanned, on.decontaminate(), on.redact),
        render=prose.documents,
    ),
    # StarCoder2-Instruct's seeds, of a dataset that passed all of the above: what was redacted there stays so.
    "seed": Kind(
        measure=lambda on: (StatedLanguage(), MarkedLicenses()),
        decide=lambda on: on.opted_out(),
        clean=lambda on: (
            on.seeds,
            on.decontaminate(),
            *on.typed,
            replace(on.redact, emails=False, ip_addresses=False, keys=False, model=None),
        ),
        render=prose.documents,
    ),
    # The paper has no row of it in table 3. The IR of two programs is alike where the programs are not: copies alone are dropped.
    "ir": Kind(
        measure=lambda on: (StatedLanguage(), on.text, *on.scored),
        decide=lambda on: (),
        clean=lambda on: (on.decontaminate(), on.redact),
        render=ir.documents,
        dedup="exact",
    ),
    # Near-deduplicated, and that is all, but for personal data: of which addresses of machines are not taken out (table 3, section 3.2).
    "documentation": Kind(
        measure=lambda on: (StatedLanguage(), on.text, *on.scored),
        decide=lambda on: (),
        clean=lambda on: (replace(on.redact, ip_addresses=False, passwords=False, usernames=False),),
        render=prose.documents,
    ),
}

KindName = Annotated[str, OneOf("kind of record", lambda: tuple(KINDS))]
