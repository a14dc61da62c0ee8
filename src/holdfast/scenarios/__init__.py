"""Scenarios: the parts put together into something that happens, step by step.

A scenario yields what happened; printing it is the business of `holdfast.cli`.
"""
