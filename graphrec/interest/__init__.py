"""What a user's interest was and how it moved: themes, changes, places, forecasts, words, cohorts."""
