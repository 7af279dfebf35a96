"""Croissant metadata (version 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html) of a published data set.

Each Parquet file is a FileObject with its sha256. The files of a kind of record are a FileSet, a pattern of paths below
croissant.json, from which the records of a RecordSet come: mlcroissant reads no FileSet that is contained in plain files. A column that
is a list of structs (segments, redactions) has no type in Croissant that its reader takes from Parquet, and is left out.
"""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from starmill.core.schema import DATASET
from starmill.reports.publish import File, Made

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
PARQUET = "application/x-parquet"


def metadata(about: dict[str, str], files: Sequence[File], made: Sequence[Made]) -> dict[str, Any]:
    """Return the JSON-LD of a data set. `about`: schema.org's properties of it (name, description, license, version, url...)."""
    known = {one.path: one for one in made}
    kinds: dict[str, list[File]] = {}
    for file in files:
        kinds.setdefault(file.path.split("/")[1], []).append(file)
    distribution: list[dict[str, Any]] = []
    for kind, mine in kinds.items():
        for file in mine:
            distribution.append(
                {
                    "@type": "cr:FileObject",
                    "@id": file.path,
                    "name": file.path,
                    "contentUrl": file.path,
                    "contentSize": f"{known[file.path].bytes} B",
                    "encodingFormat": PARQUET,
                    "sha256": known[file.path].sha256,
                }
            )
        distribution.append(
            {
                "@type": "cr:FileSet",
                "@id": f"files-{kind}",
                "name": f"files-{kind}",
                "description": f"The Parquet files of the records of kind {kind}.",
                "encodingFormat": PARQUET,
                "includes": f"data/{kind}/*/*.parquet",
            }
        )
    records = [
        {
            "@type": "cr:RecordSet",
            "@id": kind,
            "name": kind,
            "description": f"{sum(file.rows for file in mine):,} records of kind {kind}.",
            "field": [*_fields(kind)],
        }
        for kind, mine in kinds.items()
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **about,
        "distribution": distribution,
        "recordSet": records,
    }


def text(about: dict[str, str], files: Sequence[File], made: Sequence[Made]) -> bytes:
    """Return croissant.json."""
    return (json.dumps(metadata(about, files, made), indent=1, ensure_ascii=False) + "\n").encode()


def _fields(kind: str) -> list[dict[str, Any]]:
    fields = []
    for column in DATASET:
        repeated = pa.types.is_list(column.type)
        found = _type(column.type.value_type if repeated else column.type)
        if found is None:
            continue
        fields.append(
            {
                "@type": "cr:Field",
                "@id": f"{kind}/{column.name}",
                "name": column.name,
                "dataType": found,
                "source": {"fileSet": {"@id": f"files-{kind}"}, "extract": {"column": column.name}},
                **({"repeated": True} if repeated else {}),
            }
        )
    return fields


def _type(kind: pa.DataType) -> str | None:
    if pa.types.is_struct(kind):
        return None
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind):
        return "sc:Float"
    return "sc:DateTime" if pa.types.is_timestamp(kind) else "sc:Text"
