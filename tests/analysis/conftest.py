"""Settings of the property tests."""

from hypothesis import settings

# A property that is slow because the machine is busy has not failed.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
