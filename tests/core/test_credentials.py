"""Credentials in URLs are refused, and not said."""

import pytest

from starmill.core.credentials import refuse_credentials
from starmill.core.storage import Storage


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAKEY:se-cret@bucket/work",
        "s3://AKIAKEY:se/cret@bucket/work",  # a secret key may hold slashes
        "gs://AKIAKEY:12/se-cret@bucket/work",
        "S3://AKIAKEY@bucket/work",
        "simplecache::s3://AKIAKEY:se-cret@bucket/work",
        "https://AKIAKEY:se/cret@example.org:8080/work",
    ],
)
def test_a_url_with_credentials_is_refused_unsaid(url: str) -> None:
    for refuse in (refuse_credentials, lambda url: Storage(url).fs):
        with pytest.raises(ValueError, match="in the environment") as refusal:
            refuse(url)
        assert "cret" not in str(refusal.value) and "AKIAKEY" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["s3://bucket/a@b", "http://127.0.0.1:9000/a:b@c", "http://[::1]:80/", "work@home/a:b", "file:///a@b", "memory://x"]
)
def test_a_url_without_credentials_is_not(url: str) -> None:
    refuse_credentials(url)
