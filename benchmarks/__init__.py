"""Downstream protocols, their records, and the tables and leaderboard made of them."""
