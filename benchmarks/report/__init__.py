"""From records to tables, a figure and the leaderboard."""
