"""Every codec that is in the folder keeps the contract: a new one is tested by being there."""

from kdcache.codecs import codec_classes
from kdcache.testing.codecs import CodecContract

for _codec in codec_classes():
    _name = f"Test{_codec.__name__}"
    globals()[_name] = type(_name, (CodecContract,), {"codec": _codec})
