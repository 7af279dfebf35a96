"""Which files of a release hold a text: membership by a portrait, provenance by fingerprints, verified in the texts."""
