"""The regression gate: a run against a committed baseline or published numbers, from records alone."""
