"""Run directories: settings, weights, manifest."""
