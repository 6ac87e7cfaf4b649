"""Proof by running: start a file where nothing else exists, and watch it."""
