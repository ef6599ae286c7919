"""Foundation of `students`: the contracts to implement, limits, shared types, this machine."""
