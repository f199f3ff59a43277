"""A relay for packets over WebTransport: what one end of a room sends, all others of the room get. It has no keys,
reads no packet and keeps nothing; who it serves need not trust it.
"""
