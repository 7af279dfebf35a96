"""Alignment: a model writes its own instructions and responses, inspired by seeds; what passes its own tests in a sandbox is kept."""
