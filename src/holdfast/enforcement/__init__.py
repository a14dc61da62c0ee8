"""Pins enforced inside the TLS handshake: contexts, and what client libraries need beside."""
