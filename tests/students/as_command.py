"""`kd` as a module, for torchrun and for processes that are sent signals."""

from cli import main

if __name__ == "__main__":
    main()
