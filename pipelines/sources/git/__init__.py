"""Git repositories without git: references, objects, bundles, snapshots of a revision, and their history as commits."""
