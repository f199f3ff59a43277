"""The reference delivery service: hands out init keys, carries messages, orders commits; sees no conference key."""
