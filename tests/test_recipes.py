"""Every shipped recipe loads, strictly; those of published models have the published hyper-parameters, and name languages that exist."""

import dataclasses
import importlib.util
import json
import math
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from starmill.core import recipe
from starmill.core.recipe_page import sections
from starmill.model.config import parameter_count
from starmill.pipelines.kinds import KINDS
from starmill.pipelines.recipe import Recipe
from starmill.trainer.config import TrainRecipe, load

ROOT = Path(__file__).resolve().parent.parent
DATA = sorted(p for p in (ROOT / "recipes/data").glob("*.yaml"))
TRAIN = sorted((ROOT / "recipes/train").glob("*.yaml"))
# Read in bigcode-project/Megatron-LM, examples/pretrain_bigcode_{model,7b,3b,1b}.slurm and those of the two later phases (but the warm-up
# of the Python phase: 500 there, 1,000 as the paper is quoted). StarCoder2's steps of the 3B and all GPUs but the 7B's: model cards. Its
# other figures: the paper's (arXiv 2402.19173) as remembered, not read; its lowest rates and the second phase's warm-up are ours.
# name: (devices, tensor, sequence), windows, window, steps, lr, min_lr, warm-up, dropout, saved every, weights
PUBLISHED: dict[str, tuple[Any, ...]] = {
    "starcoderbase": ((512, 4, True), 512, 8192, 250_000, 3e-4, 3e-5, 2000, 0.1, 2500, None),
    "starcoder": ((512, 4, True), 512, 8192, 8_500, 5e-5, 5e-6, 1000, 0.1, 2500, "starcoderbase"),
    "starcoderplus": ((512, 4, True), 512, 8192, 150_000, 1e-4, 1e-5, 1000, 0.1, 2500, "starcoderbase"),
    "starcoderbase-7b": ((512, 2, False), 512, 8192, 250_000, 3e-4, 3e-5, 2000, 0.1, 2500, None),
    "starcoderbase-3b": ((256, 1, False), 256, 8192, 500_000, 5e-4, 5e-5, 2000, 0.1, 5000, None),
    "starcoderbase-1b": ((128, 1, False), 128, 8192, 1_000_000, 4e-4, 4e-5, 2000, 0.1, 10_000, None),
    "starcoder2-3b": ((160, 1, False), 640, 4096, 1_200_000, 3e-4, 3e-5, 1000, 0.0, 5000, None),
    "starcoder2-7b": ((432, 1, False), 864, 4096, 1_000_000, 3e-4, 3e-5, 1000, 0.0, 5000, None),
    "starcoder2-15b": ((1024, 1, False), 1024, 4096, 1_000_000, 3e-4, 3e-5, 1000, 0.0, 5000, None),
    "starcoder2-3b-16k": ((160, 1, False), 160, 16_384, 80_000, 3e-5, 3e-6, 1000, 0.0, 1000, "starcoder2-3b"),
    "starcoder2-7b-16k": ((216, 1, False), 216, 16_384, 56_000, 2e-5, 2e-6, 1000, 0.0, 1000, "starcoder2-7b"),
    "starcoder2-15b-16k": ((256, 1, False), 256, 16_384, 50_000, 3e-5, 3e-6, 1000, 0.0, 1000, "starcoder2-15b"),
}
# Tokens of a step, of the run, and the slower rotations of the second phase.
TOKENS = {
    "starcoderbase": (4_194_304, 1.0486e12),
    "starcoder": (4_194_304, 35.65e9),
    "starcoderplus": (4_194_304, 629e9),
    "starcoderbase-7b": (4_194_304, 1.0486e12),
    "starcoderbase-3b": (2_097_152, 1.0486e12),
    "starcoderbase-1b": (1_048_576, 1.0486e12),
    "starcoder2-3b": (2_621_440, 3.1e12),
    "starcoder2-7b": (3_538_944, 3.5e12),
    "starcoder2-15b": (4_194_304, 4.1e12),
    "starcoder2-3b-16k": (2_621_440, 0.2e12),
    "starcoder2-7b-16k": (3_538_944, 0.2e12),
    "starcoder2-15b-16k": (4_194_304, 0.2e12),
}
THETA = {"3b": (1e5, 1e6), "7b": (1e5, 1e6), "15b": (1e4, 1e5)}
# StarCoder2, section 4, as recalled: languages, documentation, then the configuration of appendix C.1 that has a language of its own.
SMOL = set(
    "C C# C++ Go Java JavaScript Kotlin Lua PHP Python R Ruby Rust SQL Shell Swift TypeScript AsciiDoc HTML Markdown RDoc RMarkdown Text "
    "reStructuredText CMake Dockerfile Gradle INI Makefile TOML".split()
) | {"Ant Build System", "Go Module", "Java Properties", "Maven POM"}
# Gigabytes of a language that were kept.
CAPS = {"Java": 200, "JavaScript": 200, "HTML": 100}
CAPS |= dict.fromkeys(("CSS", "Java Server Pages", "JSON", "SCSS", "Smali", "XML", "YAML"), 8)
CAPS |= dict.fromkeys(("BibTeX", "Gettext Catalog", "Graphviz (DOT)", "Java Properties", "Roff", "Roff Manpage"), 1)
CAPS |= {"Web Ontology Language": 1}
# Kinds that all sizes were trained on (StarCoder2, table 4); the 3B had no more than these.
TABLE_4 = "code pull_request issue notebook notebook_script kaggle documentation stackoverflow lhq ir".split()


@pytest.mark.parametrize("path", DATA, ids=lambda p: p.stem)
def test_data_recipes_load(path: Path) -> None:
    from starmill.pipelines.recipe import load

    assert load(str(path), [], [], None).workspace.startswith("runs/")
    assert load(path.stem, [], [], None) == load(str(path), [], [], None), "by name"


def test_the_page_and_the_schemas_are_what_the_types_say() -> None:
    spec = importlib.util.spec_from_file_location("recipes_page", ROOT / "docs/recipes.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for path, text in script.files().items():
        assert path.read_text("utf-8") == text, f"run python docs/recipes.py, which writes {path.relative_to(ROOT)} anew"


@pytest.mark.parametrize("path", DATA + TRAIN, ids=lambda p: p.stem)
def test_shipped_recipes_fit_their_schema(path: Path) -> None:
    schema = json.loads((ROOT / f"recipes/schema-{path.parent.name}.json").read_text("utf-8"))
    check = jsonschema.Draft202012Validator(schema)
    values = recipe.read(str(path))
    assert not [error.message for error in check.iter_errors(values)]
    for wrong in ({"workspce": "w"}, {"workspace": 3}):
        assert not check.is_valid({**values, **wrong})
    named = {"curate.quality.languages.keep": ["python"]} if path in DATA else {"data.mixture.caps": {"python": 1}}
    [(key, value)] = named.items()
    assert not check.is_valid(recipe.override(values, [f"{key}={json.dumps(value)}"]))


def around_numbers(hint: Any) -> Iterator[Callable[[Any], Any]]:
    """Yield, for each number that a type holds, what puts a value in that number's place."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in (int, float):
        yield lambda value: value
    elif origin is dict:
        for inner in around_numbers(args[1]):
            yield lambda value, inner=inner: {"Python": inner(value)}
    else:
        for kind in (
            args if origin in (tuple, typing.Union, types.UnionType) else args[:1] if origin is typing.Annotated else ()
        ):
            for inner in around_numbers(kind):
                yield (lambda value, inner=inner: [inner(value)]) if origin is tuple else inner


@pytest.mark.parametrize("kind", [Recipe, TrainRecipe])
def test_every_number_of_a_recipe_has_two_ends(kind: type) -> None:
    seen = 0
    for path, section in sections(kind):
        hints = typing.get_type_hints(section, include_extras=True)
        for name, around in [(f.name, w) for f in dataclasses.fields(section) for w in around_numbers(hints[f.name])]:
            one = dataclasses.make_dataclass("One", [(name, hints[name])])
            for bad in (-1, -math.inf, math.nan, math.inf, 10**30, 1e30, True, "3", [3]):
                try:
                    recipe.build(one, {name: around(bad)}, where="r.yaml")
                except recipe.RecipeError as refusal:
                    said = str(refusal)
                    assert said.startswith(f"r.yaml: {name}") and f"got {bad!r}" in said and "\n" not in said
                    assert "from " in said or "above " in said, f"{said}: without the range"
                else:
                    pytest.fail(f"{path}.{name} takes {bad!r}")
            seen += 1
    assert seen > 20


def shipped(name: str) -> TrainRecipe:
    return load(str(ROOT / f"recipes/train/{name}.yaml"), [])


def test_there_are_recipes() -> None:
    assert {p.stem for p in DATA} >= {"smoke", "stack-v2"}
    ours = (
        "starencoder",
        "continue-",
        "sft-tiny",
        "dpo-tiny",
    )  # whose values are ours; `sft` is tests/trainer/sft/test_options.py's
    decoders = {p.stem for p in TRAIN if not p.stem.startswith(ours) and p.stem != "sft"}
    assert decoders == {"tiny", *PUBLISHED} == {"tiny", *TOKENS}
    assert shipped("tiny").steps


@pytest.mark.parametrize("name", PUBLISHED)
def test_hyper_parameters_are_the_published(name: str) -> None:
    options = shipped(name)
    data, adam, parallel, hardware = options.data, options.optimizer, options.parallel, options.hardware
    assert hardware is not None
    weights = Path(options.weights).parent.name if options.weights else None
    layout = (hardware.devices, parallel.tensor, parallel.sequence)
    found = (layout, data.batch, data.sequence_length, options.steps, adam.lr, adam.min_lr, adam.warmup_steps)
    assert (*found, options.model.dropout, options.checkpoint_every, weights) == PUBLISHED[name]
    assert (adam.beta1, adam.beta2, adam.epsilon, adam.weight_decay, adam.clip, adam.z_loss) == (0.9, 0.95, 1e-8, 0.1, 1.0, 0.0)
    assert (parallel.precision, parallel.reductions, data.mask_documents) == ("bfloat16", "float32", False)
    # A document of StarCoder is a file; of StarCoder2 a repository, with a rate of its own for the files of those that are chosen.
    second = name.startswith("starcoder2")
    assert (data.fim.rate, data.fim.file_rate, data.fim.spm_rate) == (0.5, 0.5 if second else None, 0.5)
    step, run = TOKENS[name]
    assert options.tokens_per_step == step and options.steps * step == pytest.approx(run, rel=0.05)
    assert data.micro_batch * hardware.devices // parallel.tensor <= data.batch
    if second:
        short, long = THETA[name.removeprefix("starcoder2-").removesuffix("-16k")]
        assert options.model.rope_theta == (long if name.endswith("-16k") else short) and options.model.sliding_window == 4096


# A file of each language, as its own ecosystem names it; content where the name is not enough.
FILES = {
    "C": ("main.c", ""),
    "C#": ("Program.cs", "using System;\nnamespace A { class B { } }\n"),
    "C++": ("main.cpp", ""),
    "Go": ("main.go", ""),
    "Java": ("Main.java", ""),
    "JavaScript": ("index.js", ""),
    "Kotlin": ("Main.kt", ""),
    "Lua": ("init.lua", ""),
    "PHP": ("index.php", "<?php echo 1;\n"),
    "Python": ("main.py", ""),
    "R": ("plot.R", "x <- c(1, 2)\nlibrary(stats)\n"),
    "Ruby": ("main.rb", ""),
    "Rust": ("main.rs", "use std::io;\nfn main() {}\n"),
    "SQL": ("schema.sql", "CREATE TABLE a (b INTEGER);\nSELECT * FROM a;\n"),
    "Shell": ("build.sh", ""),
    "Swift": ("main.swift", ""),
    "TypeScript": ("main.ts", "export const a: number = 1;\n"),
    "AsciiDoc": ("guide.adoc", ""),
    "HTML": ("page.html", "<!doctype html><html></html>\n"),
    "Markdown": ("guide.md", "# Title\n"),
    "RDoc": ("guide.rdoc", ""),
    "RMarkdown": ("guide.Rmd", ""),
    "Text": ("notes.txt", "notes\n"),
    "reStructuredText": ("guide.rst", ""),
    "Ant Build System": ("build.xml", ""),
    "CMake": ("CMakeLists.txt", ""),
    "Dockerfile": ("Dockerfile", ""),
    "Go Module": ("go.mod", ""),
    "Gradle": ("build.gradle", ""),
    "INI": ("setup.cfg", ""),
    "Java Properties": ("log.properties", "a.b=1\n# c\n"),
    "Makefile": ("Makefile", ""),
    "Maven POM": ("pom.xml", ""),
    "TOML": ("pyproject.toml", ""),
    "CSS": ("style.css", ""),
    "Java Server Pages": ("index.jsp", ""),
    "JSON": ("data.json", "{}\n"),
    "SCSS": ("style.scss", ""),
    "Smali": ("A.smali", ""),
    "XML": ("data.xml", "<a/>\n"),
    "YAML": ("data.yaml", "a: 1\n"),
    "BibTeX": ("refs.bib", ""),
    "Gettext Catalog": ("de.po", ""),
    "Graphviz (DOT)": ("graph.dot", "digraph a { b -> c; }\n"),
    "Roff": ("text.roff", ""),
    "Roff Manpage": ("ls.1", '.TH LS 1 "2020"\n.SH NAME\nls\n'),
    "Web Ontology Language": ("a.owl", ""),
}


@pytest.mark.parametrize("language", sorted(SMOL | set(CAPS)))
def test_the_mixtures_name_languages_as_the_classifier_does(language: str) -> None:
    from starmill.transforms.measure.language import classify

    path, content = FILES[language]
    assert classify(path, content.encode())[0] == language


@pytest.mark.parametrize("name", [n for n in PUBLISHED if n.startswith("starcoder2")])
def test_the_mixtures_are_starcoder2s(name: str) -> None:
    mixture = shipped(name).data.mixture
    if "15b" in name:
        assert not mixture.languages and mixture.other_languages == 1
    else:
        assert set(mixture.languages) == SMOL and set(mixture.languages.values()) == {1} and mixture.other_languages == 0
    assert not mixture.caps, "the data recipe's; twice would be less than the paper took"
    prose = dict.fromkeys(("openwebmath", "wikipedia", "arxiv"), 0 if "3b" in name else 1)
    assert mixture.kinds == dict.fromkeys(TABLE_4, 1) | prose and mixture.other_kinds == 0
    assert {*mixture.kinds} <= {*KINDS}, "kinds that the pipelines make"


@pytest.mark.parametrize("name", ["stack-v2", "stack-v3", "software-heritage"])
def test_the_caps_are_starcoder2s(name: str) -> None:
    from starmill.pipelines.recipe import load
    from starmill.transforms.decide.mix import SMOL as SHIPPED

    mix = load(name, [], [], None).mix
    assert mix.caps == {language: gigabytes * 1e9 for language, gigabytes in CAPS.items()}
    assert (mix.kinds, mix.languages, mix.weights) == (None, "full", None) and {*SHIPPED} == SMOL


def test_the_encoder_has_the_figures_of_its_card() -> None:
    """StarEncoder's card: 12 layers of 768, 1,024 positions, 100,000 steps of 4,096 sequences, about 125M parameters, 400B tokens."""
    wanted = load("starencoder", [])
    assert (wanted.steps, wanted.data.batch, wanted.data.sequence_length) == (100_000, 4096, 1024)
    config = wanted.model.config(49_152)
    assert (config.layers, config.hidden_size, config.heads, config.mlp_size, config.max_positions) == (12, 768, 12, 3072, 1024)
    assert config.is_encoder and config.vocab_size == 49_156 and 0.12e9 < parameter_count(config) < 0.13e9
    assert wanted.hardware is not None and wanted.hardware.devices == 64
