"""The commands of the benchmarks, a file each; they import what they run only when they run."""
