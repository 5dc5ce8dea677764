"""Property tests here are about answers, not about the speed of the machine they run on."""

from hypothesis import settings

settings.register_profile("channels", deadline=None)
settings.load_profile("channels")
