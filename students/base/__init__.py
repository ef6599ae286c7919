"""What everything in `students` stands on: the contracts to implement, limits, shared types, this machine."""
