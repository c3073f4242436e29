"""``scenebench data check``: whether a folder holds a data set completely and undamaged."""
