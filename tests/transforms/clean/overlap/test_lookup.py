"""The table of hashes: each is found where the table says, and its bit is set."""

import numpy as np

from starmill.transforms.clean.overlap.lookup import table


def test_each_hash_is_in_its_bucket() -> None:
    hashes = np.random.default_rng(1).integers(0, 1 << 63, 500).astype(np.uint64) * np.uint64(2)
    which, shifts = np.arange(500, dtype=np.int32), np.zeros(500, np.int32)
    bits, bitmap, bucket_bits, firsts, tags, owners, _ = table(hashes, which, shifts)
    for n, hash in enumerate(hashes):
        spot, bucket = int(hash >> bits), int(hash >> bucket_bits)
        assert bitmap[spot >> 3] >> (spot & 7) & 1
        inside = range(firsts[bucket], firsts[bucket + 1])
        assert n in [owners[e] for e in inside if tags[e] == int(hash) & 0xFFFFFFFF]
