"""Signed policy updates: what a client fetches and keeps, and what a publisher writes."""
