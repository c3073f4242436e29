"""From a suite to its tables: the graph of jobs, run by Snakemake, resumable at any moment."""
