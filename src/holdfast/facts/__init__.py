"""Dated facts about software, platforms and CAs, as data: each with its source and date."""
