"""Simulation: a city whose truth is known."""
