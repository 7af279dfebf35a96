"""Prometheus' own parser reads what is counted."""

from prometheus_client.parser import text_string_to_metric_families

from starmill.serving.metrics import Metrics


def test_a_histogram_is_cumulative() -> None:
    metrics = Metrics()
    for seconds in (0.05, 0.1, 3.0, 9999.0):
        metrics.answered("/generate", 200, seconds)
    families = {family.name: family for family in text_string_to_metric_families(metrics.text({}))}
    samples = families["starmill_request_seconds"].samples
    buckets = {sample.labels["le"]: sample.value for sample in samples if sample.name.endswith("_bucket")}
    assert (buckets["0.1"], buckets["2.5"], buckets["5.0"], buckets["600.0"], buckets["+Inf"]) == (2, 2, 3, 3, 4)
    assert {sample.name: sample.value for sample in samples if not sample.name.endswith("_bucket")} == {
        "starmill_request_seconds_sum": 0.05 + 0.1 + 3.0 + 9999.0,
        "starmill_request_seconds_count": 4,
    }
