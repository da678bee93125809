"""Measure look-alikes: whether an embedding finds what people agree looks alike, and which of several does better."""
