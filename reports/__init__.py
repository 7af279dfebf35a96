"""Views of a workspace, read from its manifests and datasets; they need neither Beam nor torch."""
