"""What a teacher emits, and which teacher emitted it: plain records that need no teacher to be read."""
