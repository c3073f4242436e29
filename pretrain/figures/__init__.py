"""Pictures of what a method has learnt, drawn from its state: at the end of a run, and by ``scenebench figures``."""
