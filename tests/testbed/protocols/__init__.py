"""Tiny captures of single protocols, spoken by real servers on one namespace's loopback.

They never leave that loopback, and each takes a few seconds.
"""
