"""What is copied into an exported folder as it stands; nothing in here imports kd."""
