"""The networks that a backbone file can hold, and what is asked of any of them."""
