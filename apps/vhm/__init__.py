"""A virtual human memory: three Kafka workers that remember, recall and retell."""

from vhm.contract.version import __version__ as __version__
