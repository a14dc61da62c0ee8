"""Signed updates of the policy: what they carry, what they may change, and how old they may be."""
