"""A runner whose registry holds the hazards."""

from tests.support.hazards import REGISTRY
from triggers.worker.runner import main

if __name__ == "__main__":
    main(REGISTRY)
