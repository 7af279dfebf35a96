"""The table of hashes: each passes the filter, and is found where the table says; most others do not pass."""

import numpy as np

from starmill.transforms.clean.overlap.lookup import marks, table


def test_each_hash_is_in_its_bucket() -> None:
    hashes = np.random.default_rng(1).integers(0, 1 << 63, 500).astype(np.uint64) * np.uint64(2)
    which, shifts = np.arange(500, dtype=np.int32), np.zeros(500, np.int32)
    bits, filter, bucket_bits, firsts, tags, owners, _ = table(hashes, which, shifts)
    for n, hash in enumerate(hashes):
        bucket = int(hash >> bucket_bits)
        assert filter[hash >> bits] & marks(hash) == marks(hash)
        inside = range(firsts[bucket], firsts[bucket + 1])
        assert n in [owners[e] for e in inside if tags[e] == int(hash) & 0xFFFFFFFF]
    others = hashes ^ np.uint64(0x5555555555555555)
    assert np.mean(filter[others >> bits] & marks(others) == marks(others)) < 0.03
