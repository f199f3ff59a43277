"""What delivery services do with each other: who they are, and what they pass on for their clients (server fanout)."""
