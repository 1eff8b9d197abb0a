"""A runner whose process_raster_docker can be made to die."""

from tests.support.raster_crash import REGISTRY
from triggers.worker.runner import main

if __name__ == "__main__":
    main(REGISTRY)
