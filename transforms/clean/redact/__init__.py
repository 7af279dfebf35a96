"""Redaction of personal data: finders of emails, IP addresses and keys, and the step that replaces what they find."""

from starmill.transforms.clean.redact.redact import Redact

__all__ = ["Redact"]
