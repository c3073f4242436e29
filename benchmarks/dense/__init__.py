"""Probes of a frozen backbone's maps: objects in their boxes, semantic maps by patches, where objects are."""
