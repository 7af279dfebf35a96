"""Arrow schemas of every dataset, with The Stack v2's column names.

A record is one text with an identity. (kind, repo_name, path) identify the record; `blob_id` (SHA-1 of the bytes) and `content_id`
(git's SHA-1 of the blob, the hash of its SWHID `swh:1:cnt:<content_id>`) identify its content. Paths start with "/", as in The Stack v2.
"""

import re
from collections.abc import Collection

import pyarrow as pa

TIMESTAMP = pa.timestamp("ns")


def _of(schema: pa.Schema, *names: str) -> list[pa.Field]:
    return [schema.field(name) for name in names]


# A marked span of `content`, in characters: `role` says what it is (title, comment, output...), `name` whose or where (a user, a path).
# A span without length is a mark.
SEGMENT = pa.struct([("role", pa.string()), ("name", pa.string()), ("start", pa.int32()), ("end", pa.int32())])

# One row per record, as ingest reads it. `content` is Unicode text; `length_bytes` counts its UTF-8 bytes. `segments` is null
# where the whole content is one piece, as it is for code. `parent`: the SWHID of the content that a model rewrote into this one.
RECORDS = pa.schema(
    [
        ("kind", pa.string()),
        ("repo_name", pa.string()),
        ("path", pa.string()),
        ("blob_id", pa.string()),
        ("content_id", pa.string()),
        ("directory_id", pa.string()),
        ("revision_id", pa.string()),
        ("snapshot_id", pa.string()),
        ("branch_name", pa.string()),
        ("visit_date", TIMESTAMP),
        ("revision_date", TIMESTAMP),
        ("committer_date", TIMESTAMP),
        ("github_id", pa.int64()),
        ("star_events_count", pa.int64()),
        ("fork_events_count", pa.int64()),
        ("gha_license_id", pa.string()),
        ("gha_created_at", TIMESTAMP),
        ("gha_language", pa.string()),
        ("parent", pa.string()),
        ("src_encoding", pa.string()),
        ("extension", pa.string()),
        ("length_bytes", pa.int64()),
        ("content", pa.string()),
        ("segments", pa.list_(SEGMENT)),
    ]
)

# A licence that a file speaks of. `path`: that file; `score`: per cent; lines from 1, or 0 for the whole file. `how`: text, notice, tag,
# reference, declared (in a manifest), own (of one file), restriction, unknown, unread, word (where nothing else is said), mention (none).
LICENSE_FINDING = pa.struct(
    [
        ("path", pa.string()),
        ("expression", pa.string()),
        ("how", pa.string()),
        ("score", pa.float64()),
        ("start_line", pa.int32()),
        ("end_line", pa.int32()),
    ]
)

# What is measured; a decision is a rule over these columns. Fractions are of characters, lengths in characters. A column is null for
# the kinds of records that no step measures it of.
ANNOTATIONS = pa.schema(
    [
        ("detected_licenses", pa.list_(pa.string())),
        ("license_findings", pa.list_(LICENSE_FINDING)),
        ("language", pa.string()),
        ("is_vendor", pa.bool_()),
        ("is_generated", pa.bool_()),
        ("is_documentation", pa.bool_()),
        ("is_configuration", pa.bool_()),
        ("is_test", pa.bool_()),
        ("is_binary", pa.bool_()),
        ("num_lines", pa.int32()),
        ("max_line_length", pa.int32()),
        ("avg_line_length", pa.float32()),
        ("alpha_fraction", pa.float32()),
        ("alphanum_fraction", pa.float32()),
        ("num_chars", pa.int32()),
        # Base64-like, hexadecimal and \u-escaped data: the longest run, and all runs together. A run of two kinds counts twice.
        ("encoded_longest", pa.int32()),
        ("encoded_total", pa.int32()),
        # Which of the phrases that give a generator away stand in the first lines.
        ("generated_phrases", pa.list_(pa.string())),
        # What a page shows, in characters; null for what is not HTML.
        ("visible_text_chars", pa.int32()),
        # Signals that a recipe asks for, else null: bytes in error nodes of a parse, of all bytes; characters of comments, of all
        # characters; what a trained scorer makes of a text.
        ("syntax_error_fraction", pa.float32()),
        ("comment_fraction", pa.float32()),
        ("quality_score", pa.float32()),
    ]
)
# Row i of measures/part-k describes row i of records/part-k; `keep` is false for a row that left in measure, whose others are null.
MEASURES = pa.schema([("keep", pa.bool_()), *ANNOTATIONS])
# `license_type` is what a rule made of the findings, and `license_rule` says which finding decided.
CURATED = pa.schema([*RECORDS, *ANNOTATIONS, ("license_type", pa.string()), ("license_rule", pa.string())])

# Row i of signatures/part-k describes row i of curated/part-k. `signature`: uint32[permutations] or, with 61 bits, uint64,
# little-endian; null under `shingle_words` words, and where its kind is not near-compared. `blob_id`: null where its kind is not compared
# at all. The other columns identify the file and rank it.
SIGNATURES = pa.schema(
    [
        *_of(RECORDS, "kind", "repo_name", "path", "blob_id", "content_id", "directory_id"),
        *_of(CURATED, "language", "length_bytes", "license_type"),
        *_of(RECORDS, "star_events_count", "fork_events_count", "revision_date", "visit_date"),
        ("signature", pa.binary()),
    ]
)

# Row i of verdicts/part-k judges row i of curated/part-k. A removed file names the kept file and their exact Jaccard
# similarity over shingles (1.0 for identical bytes). Where the kept file lies in an earlier release, `kept_release` is its
# workspace and `jaccard` the estimate from the two signatures, because that release's text is not read again.
VERDICTS = pa.schema(
    [
        ("keep", pa.bool_()),
        ("reason", pa.string()),
        ("kept_repo_name", pa.string()),
        ("kept_path", pa.string()),
        ("kept_content_id", pa.string()),
        ("kept_release", pa.string()),
        ("jaccard", pa.float64()),
        ("cluster_id", pa.string()),
    ]
)

# A redacted span of `content`, in characters of the redacted text; `kind` is EMAIL, KEY, NAME, PASSWORD, USERNAME or IP_ADDRESS, `detector`
# the option of release.redact that switches on what found it, or the name of a recognizer; `score` is how sure that was, 1 at most: the
# mean probability of a model's labels, what a recognizer says, 1 for a rule.
REDACTION = pa.struct(
    [("kind", pa.string()), ("start", pa.int32()), ("end", pa.int32()), ("detector", pa.string()), ("score", pa.float64())]
)

SCORE_DIGITS = 2  # behind the point: two kinds of processors differ in the seventh

# What stands for a redacted value in a name: EMAIL, KEY or IP_ADDRESS, and the first digits of the value's SHA-256.
PLACEHOLDER = re.compile(r"<(EMAIL|KEY|IP_ADDRESS)-([0-9a-f]{12})>")
# bigcode-dataset, pii redaction: the private addresses that stand for redacted ones.
PRIVATE_IPV4 = ("172.16.31.10", "172.16.58.3", "172.16.17.32", "192.168.127.12", "192.168.3.11")

# What one would publish: curated rows that survived, redacted, their names too (repo_name, path, branch_name, extension, and those of
# segments). content_id and blob_id stay those of the original bytes. `cuts`: what was a benchmark's and is cut out of `content`, in words,
# with its characters in the curated text; null where files with such a text are dropped.
DATASET = pa.schema([*CURATED, ("redactions", pa.list_(REDACTION)), ("cuts", pa.list_(pa.string()))])

# Where a file went that is in no shard, and why. `language` is null where it was not known yet.
DROPPED = pa.schema(
    [
        *((name, pa.string()) for name in ("stage", "step", "reason", "detail")),
        *_of(CURATED, "kind", "repo_name", "path", "blob_id", "content_id", "language", "length_bytes"),
        *_of(VERDICTS, "kept_repo_name", "kept_path", "kept_content_id", "kept_release", "jaccard", "cluster_id"),
    ]
)


class SchemaError(TypeError):
    """A block whose columns are not those of its dataset: a mistake in the step or stage that made it, never in the data."""


def conform(block: pa.RecordBatch, schema: pa.Schema, nulls: Collection[str] = ()) -> pa.RecordBatch:
    """Return `block` with the columns of `schema`, in its order and types. Whoever wants fewer columns selects them first.

    `nulls` names the columns that are null where the block has none such: what its source does not know. Raises SchemaError for
    any other column that is missing, for one that is not declared, and for one whose values do not fit the declared type.

    >>> block = pa.record_batch({"path": ["/a.py"], "keep": [True]})
    >>> wanted = pa.schema([("keep", pa.bool_()), ("path", pa.string()), ("jaccard", pa.float64())])
    >>> conform(block, wanted, nulls=["jaccard"]).to_pylist()
    [{'keep': True, 'path': '/a.py', 'jaccard': None}]
    """
    wrong = {
        "not declared": [n for n in block.schema.names if n not in schema.names],
        "missing": [n for n in schema.names if n not in block.schema.names and n not in nulls],
        "in nulls and not declared": [n for n in nulls if n not in schema.names],
    }
    if said := "; ".join(f"{what}: {', '.join(columns)}" for what, columns in wrong.items() if columns):
        raise SchemaError(f"columns {said}. Declare them in core/schema.py, or mend what made the block")
    return pa.RecordBatch.from_arrays([_column(block, field) for field in schema], schema=schema)


def _column(block: pa.RecordBatch, field: pa.Field) -> pa.Array:
    if field.name not in block.schema.names:
        return pa.nulls(block.num_rows, field.type)
    try:
        return block.column(field.name).cast(field.type)
    except pa.ArrowException as error:
        raise SchemaError(f"column {field.name}: {error}") from error
