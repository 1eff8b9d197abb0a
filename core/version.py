"""Which version of Geomachine is this?"""

VERSION = "0.1.0"
