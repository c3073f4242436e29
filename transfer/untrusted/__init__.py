"""Reading files of unknown origin: nothing in them is run, and no size is believed before it is checked."""
