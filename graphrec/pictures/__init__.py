"""Pictures of one style that show offline, and two that move."""
